// The rewards and their options (reward/option_table.h) in words and as data: their part of `cohort explain`, `schema`, `completion`, `man` and
// docs/config.md.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "reward/option_table.h"

namespace cohort {

// As YAML; "" where there is none.
std::string option_default(const OptionRow& row);

// "reward.math", "reward.math.mode", ...: what `cohort explain` knows of them.
std::vector<std::string> reward_paths();
// A line a reward.
std::string list_rewards();
// What `cohort explain reward.math` and `reward.math.mode` print; nothing for a query that does not begin so. Throws (exit code 2) for a
// reward or an option that there is not, with the nearest.
std::optional<std::string> explain_reward(const std::string& query);
// The options of all rewards that are called `name`, as `reward.math.mode` prints one.
std::vector<std::string> explain_options_called(const std::string& name);
// For docs/config.md: a table a reward.
std::string rewards_markdown();
// What holds of an entry of the config's `reward` list: its name decides which options it may have.
Json reward_entry_schema();

}  // namespace cohort
