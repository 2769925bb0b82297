// What the rewards share: their options in the config, and the data column that they compare with.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reward/reward.h"

namespace cohort {

// `text` without ASCII white space at its ends.
std::string_view trim(std::string_view text);

// Throws (exit code 2) for an option of `spec` that is not in `known`, with the nearest one.
void check_options(const RewardSpec& spec, std::initializer_list<std::string> known);

// The option `key`, the name of a data column, `fallback` when it is absent. Throws (exit code 2)
// when it is not a text or empty.
std::string column_option(const RewardSpec& spec, const std::string& key = "column",
                          const std::string& fallback = "answer");

// The option `key`, one of `words` (the first when it is absent). Throws (exit code 2) for anything
// else, with the nearest.
std::string word_option(const RewardSpec& spec, const std::string& key,
                        std::initializer_list<std::string> words);

// The option `key` as a number in [low, high]. Throws (exit code 2) when it is none, and when it is
// absent and there is no `fallback`.
double number_option(const RewardSpec& spec, const std::string& key, double low, double high,
                     std::optional<double> fallback);
// The same, a whole number.
int64_t whole_option(const RewardSpec& spec, const std::string& key, int64_t low, int64_t high,
                     std::optional<int64_t> fallback);
// The option `key` as a list of texts that are not empty; an empty list when it is absent.
std::vector<std::string> list_option(const RewardSpec& spec, const std::string& key);

// What a length is counted in. Tokens need RewardInput::ids; words are what stands between white
// space, characters are code points.
enum class LengthUnit { kTokens, kWords, kCharacters };
LengthUnit unit_option(const RewardSpec& spec);
// Nothing when tokens are asked for and not known.
std::optional<int64_t> completion_length(const RewardInput& input, LengthUnit unit);

// The row's column as text: a text as it is, a number in its shortest decimal form. Nothing when
// the row has no such column or it is of another type: such a row cannot be judged.
std::optional<std::string> column_text(const RewardInput& input, const std::string& column);

}  // namespace cohort
