#include "reward/options.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "core/check.h"
#include "core/text.h"

namespace cohort {
namespace {

constexpr std::string_view kSpace = " \t\n\v\f\r";

std::string shortest(double value) {
  std::array<char, 32> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  return {buffer.data(), end};
}

}  // namespace

std::string_view trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
}

OptionReader::OptionReader(const RewardSpec& spec, const OptionTable& table) : spec_(spec), table_(table) {
  if (spec.options.is_null()) return;
  CHECK(spec.options.is_object(), "options of reward '{}' are no object", spec.name);
  for (const auto& [key, value] : spec.options.items()) {
    if (find_option(table, key) != nullptr) continue;
    std::vector<std::string> allowed = {"name", "label", "weight"};
    for (const OptionRow& row : table) allowed.push_back(row.name);
    const std::string nearest = nearest_name(key, allowed);
    fail(ExitCode::kUsage, "reward '{}': unknown option '{}';{} allowed are {}; `cohort explain reward.{}` says what they do", spec.name, key,
         nearest.empty() ? "" : fmt::format(" did you mean '{}'?", nearest), fmt::join(allowed, ", "), spec.reward());
  }
}

const OptionRow& OptionReader::row(const std::string& name, std::initializer_list<OptionType> types) const {
  const OptionRow* row = find_option(table_, name);
  CHECK(row != nullptr && std::ranges::find(types, row->type) != types.end(), "reward '{}' reads '{}', which its table does not have so",
        spec_.reward(), name);
  return *row;
}

void OptionReader::refuse(const OptionRow& row, const Json& found) const {
  CHECK_USAGE(!found.is_null() || given(row.name), "reward '{}' needs the option '{}': {}; allowed is {}", spec_.name, row.name, row.help,
              row.allowed());
  if (row.type != OptionType::word) fail(ExitCode::kUsage, "reward '{}': '{}' is {}; allowed is {}", spec_.name, row.name, found.dump(), row.allowed());
  const std::string word = found.is_string() ? found.get<std::string>() : found.dump(), nearest = nearest_name(word, row.words);
  fail(ExitCode::kUsage, "reward '{}': '{}' is '{}';{} allowed are {}", spec_.name, row.name, word,
       nearest.empty() ? "" : fmt::format(" did you mean '{}'?", nearest), fmt::join(row.words, ", "));
}

const Json& OptionReader::value_or_default(const OptionRow& row) const {
  const auto it = spec_.options.find(row.name);
  return it == spec_.options.end() ? row.standard : *it;
}

bool OptionReader::given(const std::string& name) const { return spec_.options.contains(name); }

double OptionReader::number(const std::string& name) const {
  const OptionRow& found = row(name, {OptionType::number});
  const Json& value = value_or_default(found);
  if (!value.is_number() || !found.bounds.contain(value.get<double>())) refuse(found, value);
  return value.get<double>();
}

int64_t OptionReader::integer(const std::string& name) const {
  const OptionRow& found = row(name, {OptionType::integer});
  const Json& value = value_or_default(found);
  const bool fits = value.is_number_integer() && found.bounds.contain(value.get<double>());
  if (!fits || (value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX)) refuse(found, value);
  return value.get<int64_t>();
}

std::string OptionReader::word(const std::string& name) const {
  const OptionRow& found = row(name, {OptionType::word});
  const Json& value = value_or_default(found);
  if (!value.is_string() || std::ranges::find(found.words, value.get_ref<const std::string&>()) == found.words.end()) refuse(found, value);
  return value.get<std::string>();
}

std::string OptionReader::text(const std::string& name) const {
  const OptionRow& found = row(name, {OptionType::text, OptionType::column});
  const Json& value = value_or_default(found);
  if (value.is_null() && !given(name) && !found.needed) return "";
  if (!value.is_string() || value.get_ref<const std::string&>().empty() || value.get_ref<const std::string&>().find('\0') != std::string::npos)
    refuse(found, value);
  return value.get<std::string>();
}

std::vector<std::string> OptionReader::texts(const std::string& name) const {
  const OptionRow& found = row(name, {OptionType::texts});
  const Json& value = value_or_default(found);
  if (value.is_null() && !given(name) && !found.needed) return {};
  if (!value.is_array()) refuse(found, value);
  std::vector<std::string> list;
  for (const Json& item : value) {
    if (!item.is_string() || item.get_ref<const std::string&>().empty()) refuse(found, value);
    list.push_back(item.get<std::string>());
  }
  return list;
}

const Json* OptionReader::value(const std::string& name) const {
  row(name, {OptionType::text, OptionType::texts, OptionType::map, OptionType::value});
  const auto it = spec_.options.find(name);
  return it == spec_.options.end() ? nullptr : &*it;
}

LengthUnit unit_option(const OptionReader& options) {
  const std::string word = options.word("unit");
  return word == "tokens"  ? LengthUnit::kTokens
         : word == "words" ? LengthUnit::kWords
                           : LengthUnit::kCharacters;
}

std::optional<int64_t> completion_length(const RewardInput& input, LengthUnit unit) {
  int64_t length = 0;
  switch (unit) {
    case LengthUnit::kTokens:
      if (input.ids.empty() && !input.completion.empty()) return std::nullopt;
      return static_cast<int64_t>(input.ids.size());
    case LengthUnit::kWords: {
      bool inside = false;
      for (const char c : input.completion) {
        const bool space = kSpace.find(c) != std::string_view::npos;
        length += !space && !inside;
        inside = !space;
      }
      return length;
    }
    case LengthUnit::kCharacters:  // every byte that does not continue a code point
      for (const char c : input.completion)
        length += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
      return length;
  }
  return length;
}

std::optional<std::string> column_text(const RewardInput& input, const std::string& column) {
  if (input.columns == nullptr || !input.columns->is_object()) return std::nullopt;
  const auto it = input.columns->find(column);
  if (it == input.columns->end()) return std::nullopt;
  if (it->is_string()) return to_valid_utf8(it->get_ref<const std::string&>());  // whoever embeds cohort may give any bytes
  if (it->is_number_unsigned()) return std::to_string(it->get<uint64_t>());
  if (it->is_number_integer()) return std::to_string(it->get<int64_t>());
  if (it->is_number_float() && std::isfinite(it->get<double>())) return shortest(it->get<double>());
  return std::nullopt;
}

std::string in_quotes(std::string_view text) {
  constexpr size_t kMost = 80;
  const bool whole = text.size() <= kMost;
  return fmt::format("'{}{}'", printable(to_valid_utf8(text.substr(0, kMost))), whole ? "" : "...");
}

Verdict no_column(const std::string& column) { return {std::nullopt, fmt::format("the row has no text or number in its column '{}'", column)}; }

Verdict no_length() { return {std::nullopt, "the row has no token ids to be counted (ids); unit: words and characters need none"}; }

}  // namespace cohort
