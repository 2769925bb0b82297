// What the rewards share: their options in the config, and the data column that they compare with.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "reward/reward.h"

namespace cohort {

// `text` without ASCII white space at its ends.
std::string_view trim(std::string_view text);

// Throws (exit code 2) for an option of `spec` that is not in `known`, with the nearest one.
void check_options(const RewardSpec& spec, std::initializer_list<std::string> known);

// The option `column`, "answer" when it is absent. Throws (exit code 2) when it is not a text or
// empty.
std::string column_option(const RewardSpec& spec);

// The option `key`, one of `words` (the first when it is absent). Throws (exit code 2) for anything else, with the nearest.
std::string word_option(const RewardSpec& spec, const std::string& key, std::initializer_list<std::string> words);

// The row's column as text: a text as it is, a number in its shortest decimal form. Nothing when
// the row has no such column or it is of another type: such a row cannot be judged.
std::optional<std::string> column_text(const RewardInput& input, const std::string& column);

}  // namespace cohort
