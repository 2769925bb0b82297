// The options of rewards (reward/option_table.h) in words and as data: their part of `cohort explain`, `schema` and docs/config.md.
#pragma once

#include <string>

#include "core/json.h"

namespace cohort {

// What `cohort explain reward.math` and `reward.math.mode` print; "" for what is neither. Exit code 2 names the nearest where only the last
// word is wrong.
std::string explain_reward(const std::string& query);
// A table of all options, as Markdown.
std::string reward_options_markdown();
// What must hold of an entry of the config's `reward` list: of which reward it is decides which options it may have.
Json reward_entry_schema();

}  // namespace cohort
