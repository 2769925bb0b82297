// KL terms and counts of steps in configs of TRL, verl and OpenRLHF: what the same number would make another experiment.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "trainer/config.h"
#include "trainer/config_convert.h"

namespace cohort {
namespace {

struct Read {
  ConvertedConfig converted;
  Config config;
  std::string notes() const { return fmt::format("{}", fmt::join(converted.notes, "\n")); }
};

Read convert(const std::string& yaml) {
  Read read{.converted = convert_config(yaml, "t.yaml"), .config = {}};
  EXPECT_EQ(std::ranges::count_if(read.converted.to_do, [](const std::string& text) { return !text.starts_with("reward: ") && !text.starts_with("data.train: "); }), 0)
      << fmt::format("{}", fmt::join(read.converted.to_do, "\n"));
  read.config = parse_config(read.converted.yaml, "converted");
  return read;
}

#define EXPECT_NOTE(read, part) EXPECT_NE((read).notes().find(part), std::string::npos) << (read).notes() << "\n" << (read).converted.yaml
#define EXPECT_NO_NOTE(read, part) EXPECT_EQ((read).notes().find(part), std::string::npos) << (read).notes()

const std::string kTrl = "model_name_or_path: m\nnum_generations: 8\nper_device_train_batch_size: 64\n";

TEST(ConfigConvertKl, OptimizerStepsOfTrlAreStepsOfSeveralUpdatesHere) {
  const std::string steps = "max_steps: 1000\nsave_steps: 100\nwarmup_steps: 100\nbeta: 0.1\nuse_bias_correction_kl: false\n"
                            "sync_ref_model: true\nref_model_sync_steps: 64\n";
  const Read passes = convert(kTrl + steps + "num_iterations: 4\n");
  EXPECT_EQ(passes.config.trainer.max_steps, 250);
  EXPECT_EQ(passes.config.trainer.save_steps, 25);
  EXPECT_EQ(passes.config.algorithm.ref_model_sync_steps, 16);
  EXPECT_EQ(passes.config.optim.warmup_ratio, 0.1);
  EXPECT_NOTE(passes, "t.yaml:4: max_steps: 1000 optimizer steps there are 250 steps here, of 4 updates each");
  for (const char* key : {"save_steps: 100 ", "ref_model_sync_steps: 64 "}) EXPECT_NOTE(passes, key);
  // Of which a part is rounded. (Without data.eval it is no config yet.)
  EXPECT_NE(convert_config(kTrl + steps + "eval_steps: 50\nnum_iterations: 4\n", "t.yaml").yaml.find("eval_steps: 13"), std::string::npos);

  const Read parts = convert(kTrl + steps + "num_iterations: 2\nsteps_per_generation: 4\ngradient_accumulation_steps: 2\n");
  EXPECT_EQ(parts.config.algorithm.steps_per_generation, 2);
  EXPECT_EQ(parts.config.trainer.max_steps, 250);
  EXPECT_EQ(parts.config.algorithm.ref_model_sync_steps, 16);

  const Read one = convert(kTrl + steps + "num_iterations: 1\n");
  EXPECT_EQ(one.config.trainer.max_steps, 1000);
  EXPECT_EQ(one.config.trainer.save_steps, 100);
  EXPECT_EQ(one.config.algorithm.ref_model_sync_steps, 64);
  EXPECT_NO_NOTE(one, "optimizer steps");

  const Read standard = convert(kTrl + "num_iterations: 4\nbeta: 0.1\nsync_ref_model: true\n");
  EXPECT_EQ(standard.config.algorithm.ref_model_sync_steps, 128) << "TRL's default is 512";
  // Off, or a share of the run.
  const Read off = convert(kTrl + "num_iterations: 4\nmax_steps: -1\nsave_steps: 0\n");
  EXPECT_NO_NOTE(off, "optimizer steps");
  // Not known, which is said.
  const Read unknown = convert("model_name_or_path: m\nnum_generations: 4\nper_device_train_batch_size: 8\ngradient_accumulation_steps: 2\nsteps_per_generation: 3\nmax_steps: 1000\n");
  EXPECT_NOTE(unknown, "max_steps: counts optimizer steps there, and steps of new completions here");
  // verl counts as cohort does.
  const Read verl = convert("actor_rollout_ref: {model: {path: m}, actor: {ppo_epochs: 2, ppo_mini_batch_size: 64}}\ndata: {train_batch_size: 256}\n"
                            "trainer: {total_training_steps: 100, save_freq: 10}\n");
  EXPECT_EQ(verl.config.trainer.max_steps, 100);
  EXPECT_EQ(verl.config.trainer.save_steps, 10);
}

TEST(ConfigConvertKl, StepsPerGenerationAloneIsNotLost) {
  const Read read = convert("model_name_or_path: m\nnum_generations: 8\nsteps_per_generation: 4\nmax_steps: 400\n");
  EXPECT_EQ(read.config.trainer.prompts_per_step, 4) << "8 completions a device by default, 4 times";
  EXPECT_EQ(read.config.algorithm.steps_per_generation, 4);
  EXPECT_EQ(read.config.trainer.max_steps, 100);
}

TEST(ConfigConvertKl, TrlCorrectsTheBiasOfItsKlTermByDefault) {
  const Read on = convert(kTrl + "beta: 0.04\n");
  EXPECT_TRUE(on.config.algorithm.use_bias_correction_kl);
  EXPECT_NOTE(on, "t.yaml:4: beta: algorithm.use_bias_correction_kl is true, the default of TRL 1.16; older ones had false");
  EXPECT_NE(on.converted.yaml.find("# TRL's default of use_bias_correction_kl"), std::string::npos) << on.converted.yaml;
  for (const bool given : {true, false}) {
    const Read read = convert(kTrl + fmt::format("beta: 0.04\nuse_bias_correction_kl: {}\n", given));
    EXPECT_EQ(read.config.algorithm.use_bias_correction_kl, given);
    EXPECT_NO_NOTE(read, "use_bias_correction_kl");
  }
  for (const std::string beta : {"", "beta: 0.0\n"}) EXPECT_FALSE(convert(kTrl + beta).config.algorithm.use_bias_correction_kl);
  const Read none = convert(kTrl + "use_bias_correction_kl: true\n");
  EXPECT_FALSE(none.config.algorithm.use_bias_correction_kl) << "which cohort would refuse";
  EXPECT_NOTE(none, "use_bias_correction_kl: beta is 0");
  EXPECT_FALSE(convert("actor_rollout_ref: {model: {path: m}, actor: {use_kl_loss: true}}\n").config.algorithm.use_bias_correction_kl);
}

std::string verl(const std::string& actor, const std::string& algorithm) {
  return fmt::format("actor_rollout_ref: {{model: {{path: m}}, actor: {{{}}}}}\nalgorithm: {{{}}}\n", actor, algorithm);
}

TEST(ConfigConvertKl, OfTwoTermsOfVerlOneIsLeftOutAloud) {
  const Read both = convert(verl("use_kl_loss: true, kl_loss_coef: 0.001, kl_loss_type: low_var_kl", "use_kl_in_reward: true, kl_ctrl: {kl_coef: 0.01}"));
  EXPECT_TRUE(both.config.algorithm.use_kl_in_reward);
  EXPECT_EQ(both.config.algorithm.beta, 0.01f);
  EXPECT_EQ(both.config.algorithm.kl_estimator, "k1") << "verl's kl_penalty, not the loss's";
  EXPECT_NOTE(both, "kl_loss_coef: the KL term of the loss, left out: the reward has one as well");
  EXPECT_NOTE(both, "kl_loss_type: the estimator of the KL term of the loss, which is left out");
  EXPECT_NOTE(convert(verl("use_kl_loss: true", "use_kl_in_reward: true")), "use_kl_loss: the KL term of the loss, left out");
  const Read penalty = convert(verl("use_kl_loss: true, kl_loss_type: low_var_kl", "use_kl_in_reward: true, kl_penalty: mse"));
  EXPECT_EQ(penalty.config.algorithm.kl_estimator, "k2");
}

TEST(ConfigConvertKl, EachTermHasItsOwnEstimator) {
  const Read reward = convert(verl("kl_loss_type: low_var_kl", "use_kl_in_reward: true"));
  EXPECT_EQ(reward.config.algorithm.beta, 0.001f) << "verl's default";
  EXPECT_EQ(reward.config.algorithm.kl_estimator, "k1");
  EXPECT_EQ(convert(verl("", "use_kl_in_reward: true, kl_penalty: low_var_kl")).config.algorithm.kl_estimator, "k3");
  EXPECT_NOTE(convert(verl("", "use_kl_in_reward: true, kl_penalty: abs")), "kl_penalty: found 'abs', which has no translation");
  const Read loss = convert(verl("use_kl_loss: true, kl_loss_type: mse", "kl_penalty: kl, kl_ctrl: {kl_coef: 0.5}"));
  EXPECT_EQ(loss.config.algorithm.kl_estimator, "k2") << "the reward's counts for nothing";
  EXPECT_EQ(loss.config.algorithm.beta, 0.001f) << "nor does its weight";
  EXPECT_EQ(convert(verl("use_kl_loss: true", "kl_penalty: kl")).config.algorithm.kl_estimator, "k3") << "verl's default of the loss";
  const Read zero = convert(verl("use_kl_loss: true, kl_loss_coef: 0.2", "use_kl_in_reward: true, kl_ctrl: {kl_coef: 0.0}"));
  EXPECT_EQ(zero.config.algorithm.beta, 0.2f);
  EXPECT_FALSE(zero.config.algorithm.use_kl_in_reward);

  EXPECT_EQ(convert("pretrain: m\ninit_kl_coef: 0.01\n").config.algorithm.kl_estimator, "k1") << "OpenRLHF's default";
  EXPECT_EQ(convert("pretrain: m\ninit_kl_coef: 0.01\nuse_kl_loss: true\nkl_estimator: k3\n").config.algorithm.kl_estimator, "k3");
}

}  // namespace
}  // namespace cohort
