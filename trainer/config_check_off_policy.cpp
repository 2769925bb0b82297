// What goes together with completions of an older policy: rollout.staleness, old_policy and rollout_correction.
#include <fmt/format.h>

#include "reward/reward.h"
#include "trainer/config_check.h"
#include "trainer/rollout_correction.h"

namespace cohort {
namespace {

void check_staleness(const Config& config, const Refuse& refuse) {
  if (config.rollout.staleness == 0) return;
  if (config.run.device != "cpu")
    refuse({"rollout.staleness", "run.device"},
           fmt::format("rollout.staleness: found {} with run.device {}, whose one stream samples or trains; allowed: 0, or run.device: cpu",
                       config.rollout.staleness, config.run.device));
  if (config.rollout.load_balancing != "static")
    refuse({"rollout.staleness", "rollout.load_balancing"},
           fmt::format("rollout.staleness: found {} with load_balancing {}, where ranks exchange completions while they sample, and here the thread that may "
                       "talk to other ranks trains meanwhile; allowed: 0, or load_balancing: static",
                       config.rollout.staleness, config.rollout.load_balancing));
  for (const RewardSpec& spec : config.reward)
    if (is_model_reward(spec))
      refuse({"rollout.staleness", "reward"},
             fmt::format("rollout.staleness: found {} with the reward '{}', a model that computes on the threads that train meanwhile; allowed: 0, or "
                         "rewards that are no models",
                         config.rollout.staleness, spec.name));
  if (config.algorithm.loss_type == "reinforce" && config.algorithm.rollout_correction == "none")
    refuse({"rollout.staleness", "algorithm.loss_type"},
           fmt::format("rollout.staleness: found {} with loss_type reinforce, which has no ratio to correct for completions of an older policy; allowed: 0, "
                       "or algorithm.rollout_correction: token_truncate (or another one), or a loss_type with a ratio",
                       config.rollout.staleness));
}

}  // namespace

void check_off_policy(const Config& config, const Refuse& refuse) {
  if (!config.algorithm.teacher.empty() && config.run.device != "cpu")
    refuse({"algorithm.teacher", "run.device"},
           fmt::format("algorithm.teacher: found a teacher with run.device {}; allowed: run.device: cpu, where a teacher is computed", config.run.device));
  check_staleness(config, refuse);
  const AlgorithmSection& a = config.algorithm;
  const bool older = config.rollout.staleness > 0 || a.filter_groups;
  const auto needs_older = [&](bool given, const char* key, const std::string& found) {
    if (given && !older)
      refuse({key}, fmt::format("{}: found {}, but all completions are of the policy that the update begins with: it would do nothing; allowed: with "
                                "rollout.staleness: 1 or algorithm.filter_groups: true, or without this key", key, found));
  };
  needs_older(a.old_policy == "proximal", "algorithm.old_policy", a.old_policy);
  needs_older(a.rollout_correction != "none", "algorithm.rollout_correction", a.rollout_correction);
  if (a.loss_type == "reinforce" && a.old_policy == "proximal")
    refuse({"algorithm.old_policy", "algorithm.loss_type"},
           "algorithm.old_policy: found proximal with loss_type reinforce, which has no ratio; allowed: auto, recorded");
  const RolloutCorrection correction = make_rollout_correction(a);
  if (correction.is_on() && !correction.masks() && correction.mask_only)
    refuse({"algorithm.rollout_correction", "algorithm.old_policy"},
           fmt::format("algorithm.rollout_correction: found {} with old_policy recorded, where the ratio of loss_type {} is to the policy that sampled "
                       "already and would be counted twice; allowed: token_mask, sequence_mask, or old_policy: auto",
                       a.rollout_correction, a.loss_type));
}

}  // namespace cohort
