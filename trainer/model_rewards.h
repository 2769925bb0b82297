// The rewards of a config, those among them that are models on the engine of the run.
#pragma once

#include <string>

#include "model/exec.h"
#include "reward/reward.h"
#include "trainer/config.h"

namespace cohort {

// Loads models; two rewards of one folder and dtype share one. What `ex` points to outlives the rewards. Exit code 3 for a folder that
// holds no such model, 2 for options that do not fit it.
RewardSet make_rewards(const Config& config, const Exec& ex);

// What the rewards are beside their options, for checkpoints: the weights of models. "" without any.
std::string rewards_fingerprint(const RewardSet& rewards);

}  // namespace cohort
