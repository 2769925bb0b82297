// {name: judge}: a language model that is asked about each completion and answers with a number (docs/reward-models.md).
#pragma once

#include <memory>

#include "model/exec.h"
#include "reward/model_options.h"
#include "trainer/config.h"
#include "trainer/model_setup.h"

namespace cohort {

// Rewards of one folder share its model, whose fingerprint is given. Exit code 2 for options that do not fit it. What `ex` points to outlives
// the reward.
std::unique_ptr<Reward> make_judge(const RewardSpec& spec, const Config& config, std::shared_ptr<const LoadedModel> model, std::string fingerprint,
                                   const Exec& ex);

}  // namespace cohort
