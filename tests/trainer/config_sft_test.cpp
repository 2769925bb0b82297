// Configs of `cohort sft`: what they may have, what is refused by name, how they print and what identifies a run.
#include <algorithm>

#include "tests/trainer/config_cases.h"
#include "trainer/config_check.h"
#include "trainer/config_schema.h"

namespace cohort {
namespace {

const std::string kSft = "model: {path: models/m}\ndata: {train: t.jsonl, eval: e.jsonl}\nsft: {max_length: 64}\n";

Config sft_config(const std::string& more = "", const std::vector<std::string>& overrides = {}) {
  return parse_config(kSft + more, "f.yaml", overrides, ConfigUse::sft);
}

TEST(ConfigSft, DefaultsAndValues) {
  const Config config = sft_config("trainer: {eval_steps: 5}\n", {"sft.num_train_epochs=0.5", "sft.stop_token_ids=[2, 7]"});
  ASSERT_TRUE(config.sft.has_value());
  EXPECT_EQ(config.sft->max_length, 64);
  EXPECT_EQ(config.sft->num_train_epochs, 0.5);
  EXPECT_EQ(config.sft->stop_token_ids, (std::vector<int64_t>{2, 7}));
  EXPECT_EQ(config.trainer.max_steps, -1) << "epochs decide";
  EXPECT_EQ(sft_config("", {"trainer.max_steps=7"}).trainer.max_steps, 7);
}

TEST(ConfigSft, KeysWithoutAUseAreRefusedByName) {
  const std::vector<Case> cases = {
      {"rollout: {temperature: 1}", "f.yaml:4: rollout: cohort sft does not read it: it samples and scores nothing"},
      {"reward: [{name: exact}]", "f.yaml:4: reward: cohort sft does not read it"},
      {"algorithm: {beta: 0.1}", "f.yaml:4: algorithm: cohort sft does not read it"},
      {"trainer: {prompts_per_step: 4}", "f.yaml:4: trainer.prompts_per_step: cohort sft does not read it: cohort sft counts sft.examples_per_step"},
      {"trainer: {warm_start: {steps: 1}}", "f.yaml:4: trainer.warm_start: cohort sft does not read it"},
      {"trainer: {reuse_activations: true}", "trainer.reuse_activations"},
      {"trainer: {skip_zero_advantage: true}", "trainer.skip_zero_advantage: cohort sft does not read it: remove it"},
      {"log: {completions_steps: 1}", "log.completions_steps"},
      {"comm: {rollout_timeout_s: 1}", "comm.rollout_timeout_s"},
      {"comm: {reward_timeout_s: 1}", "comm.reward_timeout_s"},
      {"sft_: {}", "unknown section 'sft_'; did you mean 'sft'?"},
  };
  for (const Case& c : cases) EXPECT_ERROR(sft_config(std::string(c.line) + "\n"), kUsage, c.message);
  EXPECT_ERROR(parse_config("model: {path: m, lora: {rank: 4}}\ndata: {train: t.jsonl}\nrm: {max_length: 64}\n", "f.yaml", {}, ConfigUse::rm), kUsage,
               "f.yaml:1: model.lora: cohort rm does not read it: a reward model's head is new and has to be trained whole");
  EXPECT_ERROR(sft_config("", {"data.max_prompt_length=3"}), kUsage,
               "command line: data.max_prompt_length=3: data.max_prompt_length: cohort sft does not read it: sft.max_length bounds");
  EXPECT_ERROR(sft_config("", {"sft.max_lenght=3"}), kUsage, "did you mean 'max_length'?");
  EXPECT_ERROR(sft_config("", {"sft.packing=true"}), kUsage, "always packs examples");
  EXPECT_ERROR(sft_config("", {"sft.assistant_only_loss=true"}), kUsage, "always of the assistant's tokens alone");
  EXPECT_ERROR(sft_config("", {"sft.per_device_train_batch_size=8"}), kUsage, "sft.examples_per_step");
  EXPECT_ERROR(sft_config("", {"sft.num_train_epochs=0"}), kUsage, "above 0");
  EXPECT_ERROR(sft_config("", {"trainer.logical_ranks=3"}), kUsage, "a power of two");
}

TEST(ConfigSft, ItsSectionIsForItAlone) {
  EXPECT_ERROR(with("sft: {max_length: 64}"), kUsage, "f.yaml:4: section sft is for cohort sft");
  EXPECT_ERROR(parse_config(kMinimal, "f.yaml", {}, ConfigUse::sft), kUsage, "f.yaml: section sft is missing");
  EXPECT_ERROR(with("", {"trainer.max_steps=-1"}), kUsage, "trainer.max_steps: found -1, which is for cohort sft");
  EXPECT_FALSE(with("sft: null").sft.has_value());
  EXPECT_ERROR(parse_config("model: {init: {max_positions: 32}}\ndata: {train: t}\nsft: {max_length: 64}\n", "f.yaml", {}, ConfigUse::sft), kUsage,
               "model.init.max_positions is 32; sft.max_length 64 needs as many");
}

TEST(ConfigSft, PrintsWhatItReadsAndReadsItBack) {
  const Config config = sft_config("optim: {learning_rate: 2.0e-5}\n", {"sft.filter_overlong=true", "model.lora.rank=4"});
  const std::string yaml = config_to_yaml(config);
  const Config again = parse_config(yaml, "printed", {}, ConfigUse::recorded);
  EXPECT_EQ(again.sft, config.sft);
  EXPECT_EQ(again.model, config.model);
  EXPECT_EQ(again.optim, config.optim);
  EXPECT_EQ(again.trainer, config.trainer);
  EXPECT_EQ(again.data, config.data);
  EXPECT_EQ(config_to_yaml(again), yaml);
  for (const char* absent : {"rollout:", "reward:", "algorithm:", "prompts_per_step", "max_prompt_length", "completions_steps"})
    EXPECT_EQ(yaml.find(absent), std::string::npos) << absent;
  EXPECT_EQ(config_to_yaml(minimal_config()).find("\nsft:"), std::string::npos);
}

TEST(ConfigSft, TheIdentityKnowsWhatDecidesTheBits) {
  const Config base = sft_config();
  const auto differences = [&](const std::vector<std::string>& overrides) { return identity_differences(sft_config("", overrides), config_identity(base)); };
  EXPECT_TRUE(differences({"run.threads=7", "data.eval=other.jsonl", "trainer.eval_steps=3", "trainer.gradient_checkpointing=true"}).empty());
  EXPECT_EQ(differences({"sft.max_length=65"}), (std::vector<std::string>{"sft.max_length (now 65, was 64)"}));
  EXPECT_EQ(differences({"sft.num_train_epochs=2"}), (std::vector<std::string>{"sft.num_train_epochs (now 2.0, was 3.0)"}));
  EXPECT_EQ(differences({"trainer.max_steps=7"}), (std::vector<std::string>{"sft.num_train_epochs (now left to trainer.max_steps, was 3.0)"}));
  // By steps and with a constant learning rate a run may go on, and epochs do not matter.
  const Config by_steps = sft_config("", {"trainer.max_steps=7"});
  EXPECT_TRUE(identity_differences(sft_config("", {"trainer.max_steps=9", "sft.num_train_epochs=1"}), config_identity(by_steps)).empty());
  EXPECT_FALSE(identity_differences(sft_config("optim: {lr_scheduler_type: linear}\n", {"trainer.max_steps=9"}), config_identity(sft_config("optim: {lr_scheduler_type: linear}\n", {"trainer.max_steps=7"}))).empty());
  EXPECT_EQ(identity_differences(base, config_identity(minimal_config())), (std::vector<std::string>{"sft (now given, was absent)"}));
  EXPECT_EQ(identity_differences(minimal_config(), config_identity(base)), (std::vector<std::string>{"sft (now absent, was given)"}));
}

TEST(ConfigSft, EverySectionItReadsIsOneThatThereIs) {
  const Config config = sft_config();
  int read = 0;
  for (const KeyRow& key : config_keys()) read += config_reads(config, key.path()) ? 1 : 0;
  EXPECT_GT(read, 40);
  for (const char* path : {"run.seed", "model.init", "model.init.rope_theta", "model.lora", "model.lora.rank", "data.task", "optim.learning_rate", "trainer.save_steps", "comm.interface", "sft", "model"})
    EXPECT_TRUE(config_reads(config, path)) << path;
  for (const char* path : {"rollout", "rollout.stop", "reward", "trainer.warm_start.steps", "log.completions_steps"}) EXPECT_FALSE(config_reads(config, path)) << path;
}

}  // namespace
}  // namespace cohort
