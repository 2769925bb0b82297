// Which keys of `algorithm` go together: what would do nothing, or not what it says, is refused with what was found and what to do.
#include <gtest/gtest.h>

#include "tests/trainer/config_cases.h"
#include "trainer/advantage.h"
#include "trainer/loss.h"

namespace cohort {
namespace {

TEST(ConfigAlgorithm, RatiosAndClips) {
  expect_refused({
      {"algorithm: {loss_type: gspo, importance_sampling_level: token}",
       "algorithm.importance_sampling_level: found token with loss_type gspo, whose ratio is the sequence's; allowed: auto, sequence"},
      {"algorithm: {loss_type: reinforce, importance_sampling_level: sequence}",
       "found sequence with loss_type reinforce, which has no ratio; allowed: auto, token"},
      {"algorithm: {loss_type: reinforce, num_iterations: 2}", "found num_iterations 2 and steps_per_generation 1; allowed: 1 and 1"},
      {"algorithm: {loss_type: reinforce, steps_per_generation: 2}", "take loss_type cispo or dapo, with any advantage"},
      {"algorithm: {loss_type: cispo}", "algorithm.epsilon_high: found -1; with loss_type cispo it is the cap of the ratio itself"},
      {"algorithm: {loss_type: cispo, epsilon_high: 0.28}", "algorithm.epsilon_high: found 0.28; with loss_type cispo"},
      {"algorithm: {loss_type: sapo, delta: 4.0}", "algorithm.delta: found 4 with loss_type sapo, which is not clipped; allowed: 0, or a loss_type"},
      {"algorithm: {loss_type: reinforce, clip_ratio_c: 3.0}", "algorithm.clip_ratio_c: found 3 with loss_type reinforce"},
      {"algorithm: {loss_type: reinforce, filter_groups: true}", "algorithm.filter_groups: found true with loss_type reinforce"},
      {"algorithm: {epsilon_high: 0.28, delta: 1.25}", "algorithm.delta: found 1.25; allowed: 0 (off), or above 1.28"},
      {"algorithm: {epsilon: 0.5, delta: 1.5}", "algorithm.delta: found 1.5; allowed: 0 (off), or above 1.5"},
      {"algorithm: {clip_ratio_c: 1.0}", "algorithm.clip_ratio_c: found 1; allowed: 0 (off), or above 1"},
      {"algorithm: {delta: 4.0, clip_ratio_c: 3.0}", "algorithm.delta 4 and clip_ratio_c 3 are two spellings of one bound"},
  });
  EXPECT_NO_THROW(with("algorithm: {loss_type: cispo, epsilon_high: 5.0, num_iterations: 2}"));
  EXPECT_NO_THROW(with("algorithm: {loss_type: gspo, importance_sampling_level: sequence, delta: 4.0}"));
}

TEST(ConfigAlgorithm, OneCompletionOfAPromptNeedsAnAdvantageWithoutAGroup) {
  expect_refused({
      {"rollout: {num_generations: 1}", "rollout.num_generations: found 1 with algorithm.advantage group, which compares the completions of a group"},
      {"rollout: {num_generations: 1}\nalgorithm: {advantage: rloo}", "allowed: 2 to 4096, or advantage batch, none, reinforce_plus_plus"},
      {"rollout: {num_generations: 1}\nalgorithm: {advantage: reinforce_plus_plus_baseline}", "found 1 with algorithm.advantage reinforce_plus_plus_baseline"},
      {"rollout: {num_generations: 1}\nalgorithm: {advantage: batch, filter_groups: true}", "found 1 with algorithm.filter_groups"},
      {"rollout: {num_generations: 1}\nalgorithm: {advantage: batch, select_completions: best, num_selected: 1}", "found 1 with algorithm.select_completions best"},
  });
  for (const char* advantage : {"batch", "none", "reinforce_plus_plus"})
    EXPECT_NO_THROW(with(std::string("rollout: {num_generations: 1}\nalgorithm: {advantage: ") + advantage + "}"));
}

TEST(ConfigAlgorithm, CompletionsOfAnOlderPolicy) {
  EXPECT_ERROR(parse("model: {path: models/m}\ndata: {train: t}\nreward: [{name: exact}, {name: model, path: m}]\nrollout: {staleness: 1}\n"), kUsage,
               "rollout.staleness: found 1 with the reward 'model', a model that computes on the threads that train meanwhile");
  const char* older = "algorithm.rollout_correction: found token_mask, but all completions are of the policy that the update begins with: it would do "
                      "nothing; allowed: with rollout.staleness: 1 or algorithm.filter_groups: true";
  expect_refused({
      {"rollout: {staleness: 2}", "rollout.staleness"},
      {"rollout: {staleness: 1}\nrun: {device: cuda}", "found 1 with run.device cuda, whose one stream samples or trains; allowed: 0, or run.device: cpu"},
      {"rollout: {staleness: 1, load_balancing: work_stealing}", "found 1 with load_balancing work_stealing, where ranks exchange completions"},
      {"rollout: {staleness: 1}\nalgorithm: {loss_type: reinforce}", "found 1 with loss_type reinforce, which has no ratio to correct"},
      {"algorithm: {rollout_correction: token_mask}", older},
      {"algorithm: {old_policy: proximal}", "algorithm.old_policy: found proximal, but all completions are of the policy"},
      {"algorithm: {loss_type: reinforce, rollout_correction: token_mask, old_policy: proximal}\nrollout: {staleness: 1}",
       "algorithm.old_policy: found proximal with loss_type reinforce, which has no ratio; allowed: auto, recorded"},
      {"algorithm: {rollout_correction: token_truncate, old_policy: recorded}\nrollout: {staleness: 1}",
       "would be counted twice; allowed: token_mask, sequence_mask, or old_policy: auto"},
      {"algorithm: {rollout_correction_max: 3.0}\nrollout: {staleness: 1}", "algorithm.rollout_correction_max: found 3, but algorithm.rollout_correction is none"},
      {"algorithm: {rollout_correction: token_mask, rollout_correction_max: 0.5}\nrollout: {staleness: 1}", "algorithm.rollout_correction_max: found the number 0.5"},
      {"algorithm: {rollout_correction: token_mask, rollout_correction_min: 1.5}\nrollout: {staleness: 1}", "algorithm.rollout_correction_min: found the number 1.5"},
  });
  EXPECT_NO_THROW(with("algorithm: {loss_type: reinforce, rollout_correction: sequence_truncate}\nrollout: {staleness: 1}"));
  EXPECT_NO_THROW(with("algorithm: {old_policy: recorded, rollout_correction: token_mask}\nrollout: {staleness: 1}"));
  EXPECT_NO_THROW(with("algorithm: {filter_groups: true, loss_type: reinforce, rollout_correction: token_truncate}"));
}

TEST(ConfigAlgorithm, TheKlTermNeedsAWeight) {
  expect_refused({
      {"algorithm: {use_bias_correction_kl: true}", "algorithm.use_bias_correction_kl: found true, but algorithm.beta is 0"},
      {"algorithm: {use_kl_in_reward: true}", "algorithm.use_kl_in_reward: found true, but algorithm.beta is 0"},
      {"algorithm: {ref_model_sync_steps: 400}", "algorithm.ref_model_sync_steps: found 400, but algorithm.beta is 0"},
      {"algorithm: {beta: 0.1, use_kl_in_reward: true, use_bias_correction_kl: true}", "needs no correction; allowed: one of the two"},
      {"algorithm: {kl_estimator: k4}", "algorithm.kl_estimator: found 'k4'; allowed: one of k1, k2, k3"},
  });
  EXPECT_NO_THROW(with("algorithm: {beta: 0.001, ref_model_sync_steps: 400, ref_model_mixup_alpha: 1.0, use_kl_in_reward: true}"));
}

TEST(ConfigAlgorithm, AdvantagesHaveTheirScales) {
  expect_refused({
      {"algorithm: {advantage: batch, scale_rewards: group}", "algorithm.scale_rewards: found group with advantage batch; allowed: auto, batch, none"},
      {"algorithm: {advantage: none, scale_rewards: group}", "found group with advantage none; allowed: auto, none"},
      {"algorithm: {advantage: none, scale_rewards: batch}", "found batch with advantage none; allowed: auto, none"},
      {"algorithm: {advantage: reinforce_plus_plus, scale_rewards: none}",
       "found none with advantage reinforce_plus_plus; allowed: auto, as the formula has a scale of its own"},
      {"algorithm: {multi_objective_aggregation: normalize_then_sum, scale_rewards: batch}",
       "found batch with advantage group and normalize_then_sum; allowed: auto"},
      {"algorithm: {multi_objective_aggregation: normalize_then_sum, advantage: rloo}", "found normalize_then_sum with advantage rloo; allowed"},
      {"algorithm: {multi_objective_aggregation: normalize_then_sum, beta: 0.1, use_kl_in_reward: true}",
       "found normalize_then_sum with use_kl_in_reward"},
      {"algorithm: {advantage: gae}", "algorithm.advantage: found 'gae'; allowed: one of group, rloo, batch, none"},
  });
  for (const auto& [advantage, scale] : {std::pair("group", "group"), {"rloo", "none"}, {"none", "none"}, {"batch", "batch"}})
    EXPECT_EQ(resolved_scale_rewards({.advantage = advantage}), scale);
  EXPECT_EQ(resolved_scale_rewards({.advantage = "rloo", .scale_rewards = "group"}), "group");
}

TEST(ConfigAlgorithm, EntropyBounds) {
  expect_refused({
      {"algorithm: {use_adaptive_entropy: true, entropy_coef_min: 0.5, entropy_coef_max: 0.25}",
       "algorithm.entropy_coef_min 0.5 is more than entropy_coef_max 0.25"},
      {"algorithm: {use_adaptive_entropy: true, entropy_coef: 2.0}",
       "algorithm.entropy_coef: found 2; allowed with use_adaptive_entropy: from entropy_coef_min 0 to entropy_coef_max 1"},
  });
  EXPECT_NO_THROW(with("algorithm: {entropy_coef: 2.0}"));
}

TEST(ConfigAlgorithm, GroupsAreFilteredByARewardThatIsThere) {
  expect_refused({
      {"algorithm: {filter_groups: true, filter_groups_metric: exact}",
       "algorithm.filter_groups_metric: found 'exact'; allowed: one of reward, last_number"},
      {"algorithm: {filter_groups_metric: last_number}",
       "algorithm.filter_groups_metric: found last_number, but algorithm.filter_groups is false: it would do nothing; allowed: with filter_groups: true"},
      {"algorithm: {filter_groups_max_batches: 0}", "algorithm.filter_groups_max_batches"},
  });
  EXPECT_NO_THROW(with("algorithm: {filter_groups: true, filter_groups_metric: last_number}"));
}

TEST(ConfigAlgorithm, SelectedCompletionsAreFewerThanAGroup) {
  expect_refused({
      {"algorithm: {select_completions: best}",
       "algorithm.num_selected: found 0 with select_completions best and rollout.num_generations 8; allowed: 1 to 7"},
      {"algorithm: {select_completions: max_variance, num_selected: 8}", "algorithm.num_selected: found 8"},
      {"algorithm: {select_completions: max_variance, num_selected: 1}",
       "found 1 with select_completions max_variance and advantage group, which compares the selected completions of a group with each other; "
       "allowed: 2 to 7"},
      {"algorithm: {num_selected: 4}", "algorithm.num_selected: found 4, but algorithm.select_completions is all: it would do nothing"},
      {"algorithm: {select_completions: worst, num_selected: 2}", "algorithm.select_completions: found 'worst'; allowed: one of all, best, max_variance"},
  });
  EXPECT_NO_THROW(with("algorithm: {select_completions: best, num_selected: 1, advantage: none}"));
  EXPECT_NO_THROW(with("algorithm: {select_completions: max_variance, num_selected: 1, advantage: batch}"));
}

TEST(ConfigAlgorithm, WeightsOfTokensHaveAPatternThatCompiles) {
  expect_refused({
      {"algorithm: {token_weight_pattern: '<think>'}",
       "algorithm.token_weight: found 1 with a token_weight_pattern, which would do nothing; allowed: 0 or more, but not 1"},
      {"algorithm: {token_weight: 0.5}", "algorithm.token_weight: found 0.5, but algorithm.token_weight_pattern is null: it would do nothing"},
      {"algorithm: {token_weight_pattern: '(a', token_weight: 2}", "algorithm.token_weight_pattern: the pattern (a does not compile: missing closing parenthesis"},
      {"algorithm: {token_weight_pattern: a, token_weight: -1}", "algorithm.token_weight: found the integer -1; allowed: a number from 0 to 1000000"},
  });
  EXPECT_NO_THROW(with("algorithm: {token_weight_pattern: '(?s)<think>.*?</think>', token_weight: 0.5}"));
}

TEST(ConfigAlgorithm, WhatAnotherKeySwitchesOffIsRefusedByBothNames) {
  expect_refused({
      {"algorithm: {loss_type: reinforce, epsilon: 0.1}",
       "algorithm.epsilon: found 0.1, but algorithm.loss_type is reinforce, which has no lower clip: it would do nothing; allowed: a loss_type of "
       "grpo, bnpo, dapo, dr_grpo, gspo, or without this key (which is 0.2)"},
      {"algorithm: {loss_type: sapo, epsilon: 0.1}", "algorithm.epsilon: found 0.1, but algorithm.loss_type is sapo"},
      {"algorithm: {loss_type: cispo, epsilon: 0.1, epsilon_high: 5.0}", "algorithm.epsilon: found 0.1, but algorithm.loss_type is cispo"},
      {"algorithm: {loss_type: sapo, epsilon_high: 0.28}", "algorithm.epsilon_high: found 0.28, but algorithm.loss_type is sapo, which is not clipped"},
      {"algorithm: {loss_type: reinforce, epsilon_high: 0.28}", "or without this key (which is -1)"},
      {"algorithm: {sapo_temperature_pos: 2.0}", "algorithm.sapo_temperature_pos: found 2, but algorithm.loss_type is dapo: it would do nothing"},
      {"algorithm: {sapo_temperature_neg: 2.0}", "algorithm.sapo_temperature_neg: found 2, but algorithm.loss_type is dapo"},
      {"algorithm: {kl_estimator: k1}", "algorithm.kl_estimator: found k1, but algorithm.beta is 0: there is no KL term: it would do nothing; allowed: a beta "
                                        "above 0, or without this key (which is k3)"},
      {"algorithm: {kl_input_clamp_value: 20.0}", "algorithm.kl_input_clamp_value: found 20, but algorithm.beta is 0"},
      {"algorithm: {kl_output_clamp_value: 10.0}", "algorithm.kl_output_clamp_value: found 10, but algorithm.beta is 0"},
      {"algorithm: {beta: 0.1, ref_model_mixup_alpha: 1.0}", "algorithm.ref_model_mixup_alpha: found 1, but algorithm.ref_model_sync_steps is 0"},
      {"algorithm: {entropy_target: 0.5}", "algorithm.entropy_target: found 0.5, but algorithm.use_adaptive_entropy is false"},
      {"algorithm: {entropy_coef_delta: 0.5}", "algorithm.entropy_coef_delta: found 0.5, but algorithm.use_adaptive_entropy is false"},
      {"algorithm: {entropy_coef_min: 0.5}", "algorithm.entropy_coef_min: found 0.5, but algorithm.use_adaptive_entropy is false"},
      {"algorithm: {entropy_coef_max: 0.5}", "algorithm.entropy_coef_max: found 0.5, but algorithm.use_adaptive_entropy is false"},
      {"algorithm: {filter_groups_max_batches: 5}", "algorithm.filter_groups_max_batches: found 5, but algorithm.filter_groups is false"},
  });
  // At its default a key is as if it were not there: a printed config has them all.
  EXPECT_NO_THROW(with("algorithm: {loss_type: reinforce, epsilon: 0.2, epsilon_high: -1, kl_estimator: k3, entropy_target: 0.2}"));
  EXPECT_NO_THROW(parse(config_to_yaml(with("algorithm: {loss_type: reinforce}"))));
}

TEST(ConfigAlgorithm, TheCommandLineMaySwitchAKeyOff) {
  EXPECT_ERROR(with("algorithm: {epsilon_high: 0.28}", {"algorithm.loss_type=sapo"}), kUsage, "f.yaml:4: algorithm.epsilon_high");
  EXPECT_NO_THROW(with("algorithm: {epsilon_high: 0.28}", {"algorithm.loss_type=sapo", "algorithm.epsilon_high=-1"}));
}

TEST(ConfigAlgorithm, PartsOfAStepAreEqual) {
  expect_refused({{"algorithm: {steps_per_generation: 3}",
                   "algorithm.steps_per_generation: found 3; allowed: a divisor of trainer.prompts_per_step 8"}});
  EXPECT_NO_THROW(with("algorithm: {steps_per_generation: 4}"));
}

TEST(ConfigAlgorithm, AutoIsWhatItStandsFor) {
  Config config = minimal_config(), spelled = config;
  spelled.algorithm.scale_rewards = "group";
  EXPECT_EQ(config_identity(config), config_identity(spelled));  // an older checkpoint says group
  spelled.algorithm.advantage = "rloo";
  EXPECT_NE(config_identity(config), config_identity(spelled));
  EXPECT_TRUE(make_loss_config({.loss_type = "gspo"}).sequence_level);
  EXPECT_FALSE(make_loss_config({.loss_type = "dapo"}).sequence_level);
  EXPECT_EQ(make_loss_config({.beta = 0.5f}).beta, 0.5f);
  EXPECT_EQ(make_loss_config({.beta = 0.5f, .use_kl_in_reward = true}).beta, 0);
}

}  // namespace
}  // namespace cohort
