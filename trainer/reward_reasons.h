// Why each reward gave a completion its score, as files of completions have it: cohort score --explain, but short.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/json.h"
#include "reward/reward.h"

namespace cohort {

constexpr size_t kLongestReason = 200;  // bytes, with the mark of a cut one: a file of completions is about completions

// One a verdict, in order: valid UTF-8 of at most kLongestReason bytes, "..." at the end of one that was longer.
std::vector<std::string> short_reasons(std::span<const Verdict> verdicts);

// {NAME: reason} of the rewards that gave one. `reasons` are one a reward, or none.
Json reasons_by_name(std::span<const std::string> reasons, const std::vector<RewardSpec>& specs);

}  // namespace cohort
