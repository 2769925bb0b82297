#include "reward/code/cases.h"

#include <algorithm>

#include "core/check.h"

namespace cohort {
namespace {

// Text as it is, a list of texts as its lines.
std::optional<std::string> io_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return std::nullopt;
  std::string text;
  for (const Json& line : value) {
    if (!line.is_string()) return std::nullopt;
    text += line.get_ref<const std::string&>() + "\n";
  }
  return text;
}

class Reader {
 public:
  Reader(std::string entry_point, std::string& why) : entry_point_(std::move(entry_point)), why_(why) {}

  bool read(const Json& value) {
    if (value.is_string()) return script("", value);
    if (value.is_array()) return list("", value);
    if (!value.is_object()) return refuse("is neither text, list nor map");
    if (value.contains("asserts")) {
      const auto setup = value.find("setup");
      if (setup != value.end() && !setup->is_string()) return refuse("has a setup that is no text");
      return list(setup == value.end() ? "" : setup->get<std::string>() + "\n", value["asserts"]);
    }
    if (value.contains("inputs") && value.contains("outputs")) return columns(value);
    if (value.contains("input")) return io(value);
    return refuse("is a map without asserts, input, or inputs and outputs");
  }
  std::vector<CodeCase> cases;

 private:
  bool refuse(const char* what) {
    why_ = what;
    return false;
  }
  bool script(const std::string& setup, const Json& text) {
    cases.push_back({.kind = CodeCase::Kind::script, .function = entry_point_, .script = setup + text.get<std::string>()});
    return true;
  }
  bool io(const Json& entry) {
    const auto input = entry.find("input"), output = entry.find("output");
    if (input == entry.end() || output == entry.end()) return refuse("has a case without input or output");
    return io(*input, *output);
  }
  bool io(const Json& input, const Json& output) {
    const auto given = io_text(input), expected = io_text(output);
    if (!given || !expected) return refuse("has an input or output that is no text");
    cases.push_back({.kind = CodeCase::Kind::io, .input = *given, .output = *expected});
    return true;
  }
  bool list(const std::string& setup, const Json& items) {
    if (!items.is_array()) return refuse("has asserts that are no list");
    for (const Json& item : items) {
      if (item.is_string() ? !script(setup, item) : !(item.is_object() && io(item)))
        return why_.empty() ? refuse("has a case that is neither text nor map") : false;
    }
    return true;
  }
  bool columns(const Json& value) {
    const Json &inputs = value["inputs"], &outputs = value["outputs"];
    if (!inputs.is_array() || !outputs.is_array() || inputs.size() != outputs.size())
      return refuse("has inputs and outputs of other lengths");
    const auto function = value.find("fn_name");
    const bool calls = function != value.end() && !function->is_null();
    if (calls && !function->is_string()) return refuse("has an fn_name that is no text");
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (calls && !inputs[i].is_array()) return refuse("has arguments that are no list");
      if (calls)
        cases.push_back(
            {.kind = CodeCase::Kind::call, .function = *function, .arguments = inputs[i], .expected = outputs[i]});
      else if (!io(inputs[i], outputs[i]))
        return false;
    }
    return true;
  }

  std::string entry_point_;
  std::string& why_;
};

}  // namespace

std::optional<std::vector<CodeCase>> read_cases(const Json& columns, const std::string& column,
                                                const std::string& entry_point, std::string& why) {
  why.clear();
  const auto found = columns.is_object() ? columns.find(column) : columns.end();
  if (found == columns.end()) return why = fmt::format("the row has no column '{}'", column), std::nullopt;
  Json value = *found;
  if (value.is_string()) {
    const std::string text = value;
    const size_t start = text.find_first_not_of(" \t\r\n");
    if (start != std::string::npos && (text[start] == '[' || text[start] == '{')) try {
        value = parse_json(text, column);
      } catch (const Error&) {  // Python may begin like this too
      }
  }
  const auto entry = columns.find(entry_point);
  Reader reader(entry != columns.end() && entry->is_string() ? entry->get<std::string>() : "", why);
  const bool read = reader.read(value);
  if (read && reader.cases.empty()) why = "has no case";
  // Whoever prints nothing would pass.
  const auto asks_nothing = [](const CodeCase& c) {
    return c.kind == CodeCase::Kind::io && c.output.find_first_not_of(" \t\r\n") == std::string::npos;
  };
  if (read && why.empty() && std::ranges::all_of(reader.cases, asks_nothing)) why = "has only empty outputs";
  if (reader.cases.size() > kMaxCases)
    why = fmt::format("has {} cases; allowed are {}", reader.cases.size(), kMaxCases);
  if (!why.empty()) return why = fmt::format("column '{}' {}", column, why), std::nullopt;
  return std::move(reader.cases);
}

}  // namespace cohort
