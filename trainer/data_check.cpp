#include "trainer/data_check.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "core/check.h"
#include "core/hash.h"
#include "trainer/dataset.h"
#include "trainer/jsonl_rows.h"
#include "trainer/sft_data.h"

namespace cohort {
namespace {

constexpr size_t kMostPlaces = 10;

// A row as far as the check looks at it.
struct CheckedRow {
  std::string place;           // "FILE:12"
  std::string exact, normal;   // fingerprints of the prompt as it is, and normalised
  std::string answer;          // a fingerprint; "": none
  bool eval = false, example = false;
};

std::string text_of(const Json& content) {
  if (content.is_string()) return content.get<std::string>();
  std::string text;
  if (content.is_array())
    for (const Json& part : content) text += part.value("text", "");
  return text;
}

// What the user says in it, or all of it where the user says nothing.
std::string spoken(const Problem& problem) {
  if (problem.messages.empty()) return problem.prompt;
  std::string users, all;
  for (const Json& message : problem.messages) {
    const std::string text = text_of(message.value("content", Json())) + "\n";
    all += text;
    if (message["role"] == "user") users += text;
  }
  return users.empty() ? all : users;
}

int64_t characters(const std::string& text) {
  return std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

// An example as a problem and its answer.
std::pair<Problem, std::string> split(ExampleRow row) {
  Problem problem{.id = row.id, .prompt = row.prompt};
  if (row.messages.empty()) return {std::move(problem), std::move(row.completion)};
  size_t end = row.first;
  if (end == 0 && row.completion.empty()) {  // a conversation: its last answer is what it is about
    end = row.messages.size() - 1;
    while (row.messages[end]["role"] != "assistant") --end;
  } else if (end == 0) {
    end = row.messages.size();
  }
  const std::string answer = row.completion.empty() ? text_of(row.messages[end].value("content", Json())) : row.completion;
  for (size_t i = 0; i < end; ++i) problem.messages.push_back(row.messages[i]);
  return {std::move(problem), answer};
}

class DataCheck {
 public:
  DataCheck(const DataCheckSetting& setting) : setting_(setting) {
    if (setting.tokenizer != nullptr) chat_ = prompt_setting(*setting.tokenizer, setting.config);
    report_.in_tokens = setting.tokenizer != nullptr;
  }

  void read(const CheckedSource& source) {
    const std::string text = read_lines_text(source.file), name = source.file.string();
    FileSummary& file = report_.files.emplace_back(FileSummary{.file = name, .eval = source.eval});
    std::unordered_map<std::string, int64_t> ids;
    std::vector<int64_t> prompts, answers;
    std::string first_row;
    each_line(text, [&](std::string_view line, int64_t number) {
      const std::string where = fmt::format("{}:{}", name, number);
      try {
        ParsedRow row = parse_row(line, number, where, "'prompt'", source.columns);
        const Types types = types_of(row.object);
        take_row(std::move(row), number, where, source.eval, ids, prompts, answers);
        if (file.rows++ == 0) first_row = where;
        count_columns(types, where, first_row, file);
      } catch (const Error& error) {
        if (error.code() != ExitCode::kInput) throw;
        ++file.bad_lines;
        add(true, "bad_line", "lines that training refuses", error.what());
      }
      return true;
    });
    if (file.rows + file.bad_lines == 0) add(true, "empty", "files without a row", name);
    file.prompt = summarize_lengths(std::move(prompts));
    file.answer = summarize_lengths(std::move(answers));
    judge_columns(file);
  }

  DataReport finish() {
    find_repeated(false);
    find_repeated(true);
    find_leaks();
    std::ranges::stable_sort(report_.findings, [](const DataFinding& a, const DataFinding& b) { return a.error && !b.error; });
    return std::move(report_);
  }

 private:
  void add(bool error, const std::string& kind, const std::string& text, const std::string& place, int64_t count = 1) {
    auto found = std::ranges::find(report_.findings, kind, &DataFinding::kind);
    if (found == report_.findings.end()) {
      report_.findings.push_back({.error = error, .kind = kind, .text = text});
      found = report_.findings.end() - 1;
    }
    found->count += count;
    if (found->places.size() < kMostPlaces) found->places.push_back(place);
  }

  using Types = std::map<std::string, std::string>;  // of a row's columns
  static Types types_of(const Json& row) {
    Types types;
    for (const auto& [name, value] : row.items()) types.emplace(name, value.type_name());
    return types;
  }

  static void count_columns(const Types& types, const std::string& where, const std::string& first_row, FileSummary& file) {
    size_t known = 0;
    for (ColumnSummary& column : file.columns) {
      const auto found = types.find(column.name);
      if (found != types.end()) ++known, ++column.types[found->second];
      else if (column.first_missing.empty()) column.first_missing = where;
    }
    if (known == types.size()) return;
    for (const auto& [name, type] : types)
      if (std::ranges::find(file.columns, name, &ColumnSummary::name) == file.columns.end())
        file.columns.push_back({.name = name, .types = {{type, 1}}, .first_missing = where == first_row ? "" : first_row});
  }

  void judge_columns(const FileSummary& file) {
    for (const ColumnSummary& column : file.columns) {
      std::string list;
      for (const auto& [type, count] : column.types) list += fmt::format("{}{} {}", list.empty() ? "" : ", ", count, type);
      if (!column.first_missing.empty())
        add(false, "missing_column", "columns that some rows lack", fmt::format("{}: {} is not in {}", file.file, shown(column.name), column.first_missing));
      if (column.types.size() > 1) add(false, "mixed_types", "columns of several types", fmt::format("{}: {}: {}", file.file, shown(column.name), list));
    }
  }

  void take_row(ParsedRow row, int64_t number, const std::string& where, bool eval, std::unordered_map<std::string, int64_t>& ids,
                std::vector<int64_t>& prompts, std::vector<int64_t>& answers) {
    const bool example = row.object.contains("completion") || (row.object.contains("messages") && !row.object.contains("prompt"));
    CheckedRow checked{.place = where, .eval = eval, .example = example};
    Problem problem;
    std::string answer;
    if (example) {
      std::tie(problem, answer) = split(read_example(row.object, row.id, where));
    } else {
      if (const auto found = row.object.find(setting_.answer); found != row.object.end() && !found->is_null())
        answer = found->is_string() ? found->get<std::string>() : found->dump();
      const bool given = row.object.contains(setting_.answer);
      problem = read_problem(std::move(row.object), row.id, where);
      if (given && answer.empty()) add(false, "empty_answer", "answers without text", where);
    }
    take_id(ids, row.id, number, example ? RowIds::any : RowIds::unique, where);
    const std::string text = spoken(problem);
    if (text.find_first_not_of(" \t\r\n") == std::string::npos && !example) add(false, "blank_prompt", "prompts of white space alone", where);
    prompts.push_back(prompt_length(problem, text, example, where));
    if (!answer.empty()) answers.push_back(length_of(answer));
    checked.exact = fingerprint(problem.messages.empty() ? problem.prompt : dump_json(problem.messages));
    checked.normal = fingerprint(normalized_prompt(text));
    if (text.empty()) checked.exact = checked.normal = where;  // a conversation that the assistant begins: like no other
    if (!answer.empty()) checked.answer = fingerprint(answer);
    rows_.push_back(std::move(checked));
  }

  int64_t length_of(const std::string& text) const {
    return setting_.tokenizer == nullptr ? characters(text) : std::ssize(setting_.tokenizer->encode(text));
  }

  int64_t prompt_length(Problem& problem, const std::string& text, bool example, const std::string& where) {
    if (setting_.tokenizer == nullptr) return characters(text);
    encode_prompt(problem, *setting_.tokenizer, *setting_.chat_template, setting_.config, chat_, where + ": the row");
    const auto length = std::ssize(problem.tokens);
    const int64_t allowed = setting_.config.max_prompt_length;
    if (!example && length > allowed)
      add(true, "too_long", fmt::format("prompts of more than {} tokens, which data.max_prompt_length allows", allowed), fmt::format("{} ({} tokens)", where, length));
    return length;
  }

  // Prompts that stand twice on one side. Of examples it is the answer that must be the same as well: several to a prompt are usual.
  void find_repeated(bool normal) {
    for (const bool eval : {false, true}) {
      std::unordered_map<std::string, const CheckedRow*> first;
      std::unordered_set<std::string> contradicted;
      for (const CheckedRow& row : rows_) {
        if (row.eval != eval) continue;
        const std::string key = (normal ? row.normal : row.exact) + (row.example ? row.answer : "");
        const auto [found, is_new] = first.emplace(key, &row);
        if (is_new) continue;
        const CheckedRow& earlier = *found->second;
        const std::string place = fmt::format("{} repeats {}", row.place, earlier.place);
        if (!normal) add(false, "duplicate", "prompts that stand in an earlier row", place);
        else if (row.exact != earlier.exact) add(false, "near_duplicate", "prompts of an earlier row but for case, white space or Unicode form", place);
        const bool differs = !row.answer.empty() && !earlier.answer.empty() && row.answer != earlier.answer;
        if (!normal && differs && contradicted.insert(key).second)
          add(false, "contradiction", "prompts whose rows have different answers", fmt::format("{} and {}", earlier.place, row.place));
      }
    }
  }

  void find_leaks() {
    std::unordered_map<std::string, const CheckedRow*> trained;  // by both fingerprints, which are of different texts or of one
    for (const CheckedRow& row : rows_)
      if (!row.eval) trained.emplace(row.exact, &row), trained.emplace(row.normal, &row);
    for (const CheckedRow& row : rows_) {
      if (!row.eval) continue;
      auto seen = trained.find(row.exact);
      if (seen == trained.end()) seen = trained.find(row.normal);
      if (seen == trained.end()) continue;
      add(true, "leak", "prompts of evaluation that training sees too, whatever their case, white space and Unicode form",
          fmt::format("{} is {}", row.place, seen->second->place));
    }
  }

  const DataCheckSetting& setting_;
  ChatSetting chat_;
  DataReport report_;
  std::vector<CheckedRow> rows_;
};

}  // namespace

LengthSummary summarize_lengths(std::vector<int64_t> lengths) {
  if (lengths.empty()) return {};
  std::ranges::sort(lengths);
  const auto rows = std::ssize(lengths);
  const auto at = [&](int64_t percent) { return lengths[static_cast<size_t>((rows * percent + 99) / 100 - 1)]; };  // nearest rank
  return {.rows = rows, .min = lengths.front(), .median = at(50), .percentile_95 = at(95), .max = lengths.back(),
          .total = std::accumulate(lengths.begin(), lengths.end(), int64_t{0})};
}

int64_t DataReport::errors() const { return std::ranges::count(findings, true, &DataFinding::error); }
int64_t DataReport::warnings() const { return std::ssize(findings) - errors(); }

std::string normalized_prompt(std::string_view text) {
  utf8proc_uint8_t* mapped = nullptr;
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD);
  const utf8proc_ssize_t size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                                             &mapped, options);
  CHECK(size >= 0, "a prompt cannot be normalised: {}", utf8proc_errmsg(size));
  std::string folded;
  for (utf8proc_ssize_t i = 0; i < size; ++i) {
    const char c = static_cast<char>(mapped[i]);
    const bool space = c == ' ' || (c >= '\t' && c <= '\r');
    if (!space) folded += c;
    else if (!folded.empty() && folded.back() != ' ') folded += ' ';
  }
  std::free(mapped);
  if (!folded.empty() && folded.back() == ' ') folded.pop_back();
  return folded;
}

DataReport check_data(const std::vector<CheckedSource>& sources, const DataCheckSetting& setting) {
  CHECK((setting.tokenizer == nullptr) == (setting.chat_template == nullptr), "a tokenizer without a chat template, or the other way round");
  DataCheck check(setting);
  for (const CheckedSource& source : sources) check.read(source);
  return check.finish();
}

}  // namespace cohort
