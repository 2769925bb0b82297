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

void check_options(const RewardSpec& spec, std::initializer_list<std::string> known) {
  if (spec.options.is_null()) return;
  CHECK(spec.options.is_object(), "options of reward '{}' are no object", spec.name);
  std::vector<std::string> allowed = {"name", "label", "weight"};
  allowed.insert(allowed.end(), known);
  for (const auto& [key, value] : spec.options.items()) {
    if (std::ranges::find(known, key) != known.end()) continue;
    const std::string nearest = nearest_name(key, allowed);
    fail(ExitCode::kUsage, "reward '{}': unknown option '{}';{} allowed are {}", spec.name, key,
         nearest.empty() ? "" : fmt::format(" did you mean '{}'?", nearest),
         fmt::join(allowed, ", "));
  }
}

std::string column_option(const RewardSpec& spec, const std::string& key, const std::string& fallback) {
  const auto it = spec.options.find(key);
  if (it == spec.options.end()) return fallback;
  CHECK_USAGE(it->is_string() && !it->get_ref<const std::string&>().empty(),
              "reward '{}': '{}' is the name of a data column, found {}", spec.name, key, it->dump());
  return it->get<std::string>();
}

std::string word_option(const RewardSpec& spec, const std::string& key,
                        std::initializer_list<std::string> words) {
  const auto it = spec.options.find(key);
  if (it == spec.options.end()) return *words.begin();
  const std::string found = it->is_string() ? it->get<std::string>() : it->dump();
  if (it->is_string() && std::ranges::find(words, found) != words.end()) return found;
  const std::string nearest = nearest_name(found, std::vector<std::string>(words));
  fail(ExitCode::kUsage, "reward '{}': '{}' is '{}';{} allowed are {}", spec.name, key, found,
       nearest.empty() ? "" : fmt::format(" did you mean '{}'?", nearest), fmt::join(words, ", "));
}

double number_option(const RewardSpec& spec, const std::string& key, double low, double high,
                     std::optional<double> fallback) {
  const auto it = spec.options.find(key);
  if (it == spec.options.end() && fallback) return *fallback;
  CHECK_USAGE(it != spec.options.end(), "reward '{}' needs the option '{}', a number in [{}, {}]",
              spec.name, key, low, high);
  const bool fits = it->is_number() && it->get<double>() >= low && it->get<double>() <= high;
  CHECK_USAGE(fits, "reward '{}': '{}' is {}; allowed is a number in [{}, {}]", spec.name, key,
              it->dump(), low, high);
  return it->get<double>();
}

int64_t whole_option(const RewardSpec& spec, const std::string& key, int64_t low, int64_t high,
                     std::optional<int64_t> fallback) {
  const auto it = spec.options.find(key);
  if (it == spec.options.end() && fallback) return *fallback;
  CHECK_USAGE(it != spec.options.end(),
              "reward '{}' needs the option '{}', a whole number in [{}, {}]", spec.name, key, low,
              high);
  const bool fits =
      it->is_number_integer() && it->get<int64_t>() >= low && it->get<int64_t>() <= high;
  CHECK_USAGE(fits, "reward '{}': '{}' is {}; allowed is a whole number in [{}, {}]", spec.name,
              key, it->dump(), low, high);
  return it->get<int64_t>();
}

std::vector<std::string> list_option(const RewardSpec& spec, const std::string& key) {
  const auto it = spec.options.find(key);
  if (it == spec.options.end()) return {};
  CHECK_USAGE(it->is_array(), "reward '{}': '{}' is {}; allowed is a list of texts", spec.name, key,
              it->dump());
  std::vector<std::string> list;
  for (const Json& item : *it) {
    CHECK_USAGE(item.is_string() && !item.get_ref<const std::string&>().empty(),
                "reward '{}': '{}' holds {}; allowed are texts that are not empty", spec.name, key,
                item.dump());
    list.push_back(item.get<std::string>());
  }
  return list;
}

LengthUnit unit_option(const RewardSpec& spec) {
  const std::string word = word_option(spec, "unit", {"tokens", "words", "characters"});
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
  if (it->is_string()) return it->get<std::string>();
  if (it->is_number_unsigned()) return std::to_string(it->get<uint64_t>());
  if (it->is_number_integer()) return std::to_string(it->get<int64_t>());
  if (it->is_number_float() && std::isfinite(it->get<double>())) return shortest(it->get<double>());
  return std::nullopt;
}

}  // namespace cohort
