// What a step's scores come to: metrics of each reward, and words about scores that are missing.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "trainer/experience.h"
#include "trainer/metrics.h"
#include "trainer/packs.h"

namespace cohort {

// Mean and standard deviation (n - 1) of the values that are there, in order.
std::pair<double, double> mean_and_std(std::span<const std::optional<double>> values);

// rewards/NAME/mean and std of the scores that are there; none: completions without one, for whatever reason; timeout and
// error: how many of those because it was late or the checker failed; outcome/WORD: for rewards that have such words.
void set_reward_metrics(Metrics& metrics, const RewardSet& rewards, std::span<const Group> groups);

}  // namespace cohort
