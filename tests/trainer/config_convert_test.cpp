// Configs of TRL, verl and OpenRLHF: what becomes of each key, and that nothing is dropped in silence.
#include "trainer/config_convert.h"

#include <gtest/gtest.h>

#include "core/check.h"
#include "tests/core/expect_error.h"
#include "trainer/config.h"
#include "trainer/config_describe.h"

#include <fmt/ranges.h>

namespace cohort {
namespace {

void expect_note(const ConvertedConfig& converted, const std::string& part) {
  for (const std::string& note : converted.notes)
    if (note.find(part) != std::string::npos) return;
  ADD_FAILURE() << part << " in\n" << fmt::format("{}", fmt::join(converted.notes, "\n")) << "\n" << converted.yaml;
}

TEST(ConfigConvert, AConfigOfTrl) {
  const ConvertedConfig converted = convert_config(R"(# as open-r1 writes them
model_name_or_path: Qwen/Qwen2.5-1.5B-Instruct
torch_dtype: bfloat16
bf16: true
use_vllm: true
dataset_name: open-r1/OpenR1-Math-220k
output_dir: data/Qwen2.5-1.5B-Open-R1-GRPO
num_generations: 16
max_completion_length: 2048
per_device_train_batch_size: 16
gradient_accumulation_steps: 4
learning_rate: 1.0e-06
lr_scheduler_type: cosine
warmup_ratio: 0.1
max_steps: 500
adam_beta2: 0.95
beta: 0.04
epsilon_high: null
scale_rewards: false
sync_ref_model: true
ref_model_sync_steps: 64
reward_funcs: [accuracy, format, my_reward]
reward_weights: [1.0, 0.5, 1.0]
save_strategy: steps
save_steps: 100
eval_strategy: 'no'
log_completions: true
report_to: [wandb]
push_to_hub: true
seed: 7
top_k: 50
a_key_of_tomorrow: 1
)",
                                                   "trl.yaml", 8);
  const Config config = parse_config(converted.yaml, "converted");
  EXPECT_EQ(config.model.path, "Qwen/Qwen2.5-1.5B-Instruct");
  EXPECT_EQ(config.model.dtype, "bfloat16");
  EXPECT_EQ(config.run.name, "Qwen2.5-1.5B-Open-R1-GRPO");
  EXPECT_EQ(config.run.dir, "data");
  EXPECT_EQ(config.run.seed, 7u);
  EXPECT_EQ(config.rollout.num_generations, 16);
  EXPECT_EQ(config.rollout.max_completion_length, 2048);
  EXPECT_EQ(config.rollout.top_k, 50);
  EXPECT_EQ(config.trainer.prompts_per_step, 16 * 4 * 8 / 16);
  EXPECT_EQ(config.trainer.max_steps, 500);
  EXPECT_EQ(config.trainer.save_steps, 100);
  EXPECT_EQ(config.trainer.eval_steps, 0);
  EXPECT_EQ(config.algorithm.beta, 0.04f);
  EXPECT_EQ(config.algorithm.epsilon_high, -1.0f);
  EXPECT_EQ(config.algorithm.scale_rewards, "none");
  EXPECT_EQ(config.algorithm.ref_model_sync_steps, 64);
  EXPECT_EQ(config.algorithm.steps_per_generation, 1);
  EXPECT_EQ(config.optim.learning_rate, 1e-6f);
  EXPECT_EQ(config.optim.lr_scheduler_type, "cosine");
  EXPECT_EQ(config.optim.warmup_ratio, 0.1);
  EXPECT_EQ(config.optim.adam_beta2, 0.95f);
  ASSERT_EQ(config.reward.size(), 2u);
  EXPECT_EQ(config.reward[0].name, "math");
  EXPECT_EQ(config.reward[1].name, "format");
  EXPECT_EQ(config.reward[1].weight, 0.5);
  expect_note(converted, "trl.yaml:5: use_vllm: sampling and training are one engine");
  expect_note(converted, "trl.yaml:6: dataset_name: data.train takes JSONL files");
  expect_note(converted, "trl.yaml:10: per_device_train_batch_size: 16 a device x 4 x 8 process(es) / num_generations 16 = 32 prompts a step");
  expect_note(converted, "'my_reward' has no translation");
  expect_note(converted, "report_to: ");
  expect_note(converted, "push_to_hub: final/ of the run directory");
  expect_note(converted, "a_key_of_tomorrow: cohort has no such key");
  expect_note(converted, "trl.yaml:17: beta: algorithm.use_bias_correction_kl is true, the default of TRL 1.16");
  EXPECT_TRUE(config.algorithm.use_bias_correction_kl);
  EXPECT_EQ(converted.notes.size(), 8u) << fmt::format("{}", fmt::join(converted.notes, "\n"));
  ASSERT_EQ(converted.to_do.size(), 1u);
  EXPECT_EQ(converted.to_do[0].find("data.train: a JSONL file"), 0u);
  EXPECT_NE(converted.yaml.find("  beta: 0.04" + std::string(32, ' ') + "# beta\n"), std::string::npos) << converted.yaml;
}

TEST(ConfigConvert, AConfigOfVerl) {
  const ConvertedConfig converted = convert_config(R"(
algorithm:
  adv_estimator: grpo
  norm_adv_by_std_in_grpo: true
  use_kl_in_reward: false
  kl_ctrl: {type: fixed, kl_coef: 0.001}
data:
  train_files: data/gsm8k/train.parquet
  val_files: data/gsm8k/test.parquet
  train_batch_size: 1024
  max_prompt_length: 512
  max_response_length: 1024
  shuffle: True
actor_rollout_ref:
  model: {path: Qwen/Qwen3-8B, enable_gradient_checkpointing: true}
  actor:
    ppo_mini_batch_size: 256
    ppo_micro_batch_size_per_gpu: 32
    clip_ratio: 0.2
    clip_ratio_low: 0.21
    clip_ratio_high: 0.28
    clip_ratio_c: 3.0
    loss_agg_mode: token-mean
    entropy_coeff: 0
    use_kl_loss: true
    kl_loss_coef: 0.002
    kl_loss_type: low_var_kl
    policy_loss: {loss_mode: gspo}
    optim: {lr: 1e-6, weight_decay: 0.01, betas: [0.9, 0.98], lr_warmup_steps: -1}
  rollout:
    name: vllm
    n: 5
    temperature: 1.0
    top_k: -1
    tensor_model_parallel_size: 2
    val_kwargs: {temperature: 0.6, top_p: 0.9}
  ref: {log_prob_micro_batch_size_per_gpu: 32}
critic: {model: {path: other}, optim: {lr: 1e-5}}
custom_reward_function: {path: rewards.py, name: compute_score}
trainer:
  device: cuda
  total_epochs: 15
  total_training_steps: 300
  project_name: verl_grpo
  experiment_name: qwen3_8b
  default_local_dir: checkpoints/a
  save_freq: 20
  test_freq: -1
  resume_mode: disable
)",
                                                   "verl.yaml");
  const Config config = parse_config(converted.yaml, "converted");
  EXPECT_EQ(config.model.path, "Qwen/Qwen3-8B") << "not the critic's";
  EXPECT_EQ(config.data.train, "data/gsm8k/train.jsonl");
  EXPECT_EQ(config.data.columns, Json({{"answer", "reward_model.ground_truth"}}));
  EXPECT_EQ(config.data.eval, "data/gsm8k/test.jsonl");
  EXPECT_EQ(config.data.max_prompt_length, 512);
  EXPECT_EQ(config.rollout.num_generations, 5);
  EXPECT_EQ(config.rollout.max_completion_length, 1024);
  EXPECT_EQ(config.rollout.top_k, 0);
  EXPECT_EQ(config.rollout.top_p, 1.0f);
  EXPECT_EQ(config.rollout.eval_temperature, 0.6f);
  EXPECT_EQ(config.rollout.eval_top_p, 0.9f);
  EXPECT_EQ(config.trainer.prompts_per_step, 1024);
  EXPECT_EQ(config.algorithm.steps_per_generation, 4);
  EXPECT_EQ(config.algorithm.advantage, "group");
  EXPECT_EQ(config.algorithm.scale_rewards, "group");
  EXPECT_EQ(config.algorithm.loss_type, "gspo");
  EXPECT_EQ(config.algorithm.epsilon, 0.21f);
  EXPECT_EQ(config.algorithm.epsilon_high, 0.28f);
  EXPECT_EQ(config.algorithm.clip_ratio_c, 3.0f);
  EXPECT_EQ(config.algorithm.loss_agg_mode, "token-mean");
  EXPECT_EQ(config.algorithm.beta, 0.002f);
  EXPECT_EQ(config.algorithm.kl_estimator, "k3");
  EXPECT_FALSE(config.algorithm.use_kl_in_reward);
  EXPECT_EQ(config.optim.learning_rate, 1e-6f);
  EXPECT_EQ(config.optim.adam_beta2, 0.98f);
  EXPECT_EQ(config.trainer.max_steps, 300);
  EXPECT_EQ(config.trainer.save_steps, 20);
  EXPECT_EQ(config.trainer.eval_steps, 0);
  EXPECT_EQ(config.run.name, "qwen3_8b");
  EXPECT_EQ(config.run.dir, "checkpoints/a");
  EXPECT_EQ(config.run.resume, "never");
  EXPECT_EQ(config.run.device, "cpu");
  EXPECT_TRUE(config.trainer.gradient_checkpointing);
  expect_note(converted, "verl.yaml:8: data.train_files: data.train takes JSONL files");
  expect_note(converted, "critic.model.path: GRPO has no critic");
  expect_note(converted, "tensor_model_parallel_size: each rank holds the whole model");
  expect_note(converted, "custom_reward_function.path: ");
  expect_note(converted, "ppo_micro_batch_size_per_gpu: ");
  ASSERT_EQ(converted.to_do.size(), 1u);
  EXPECT_EQ(converted.to_do[0].find("reward: "), 0u);
}

TEST(ConfigConvert, AConfigOfOpenRlhf) {
  const ConvertedConfig converted = convert_config(R"(
pretrain: OpenRLHF/Llama-3-8b-sft-mixture
prompt_data: data/prompts.jsonl
advantage_estimator: reinforce
rollout_batch_size: 128
train_batch_size: 512
n_samples_per_prompt: 8
prompt_max_len: 1024
generate_max_len: 2048
actor_learning_rate: 5.0e-7
init_kl_coef: 0.01
kl_estimator: k1
eps_clip_low_high: [0.2, 0.27]
zero_stage: 3
)",
                                                   "openrlhf.yaml");
  const Config config = parse_config(converted.yaml, "converted");
  EXPECT_EQ(config.model.path, "OpenRLHF/Llama-3-8b-sft-mixture");
  EXPECT_EQ(config.data.train, "data/prompts.jsonl");
  EXPECT_EQ(config.trainer.prompts_per_step, 128);
  EXPECT_EQ(config.algorithm.steps_per_generation, 2);
  EXPECT_EQ(config.algorithm.advantage, "reinforce_plus_plus");
  EXPECT_TRUE(config.algorithm.use_kl_in_reward);
  EXPECT_EQ(config.algorithm.beta, 0.01f);
  EXPECT_EQ(config.algorithm.kl_estimator, "k1");
  EXPECT_EQ(config.algorithm.epsilon_high, 0.27f);
  expect_note(converted, "openrlhf.yaml:14: zero_stage: cohort has no such key");
  EXPECT_EQ(converted.notes.size(), 1u);
}

TEST(ConfigConvert, SwitchesThatAreOffLeaveTheirCoefficientsOut) {
  const ConvertedConfig off = convert_config("actor_rollout_ref: {actor: {kl_loss_coef: 0.001, kl_loss_type: mse}, rollout: {n: 4}}\n", "v.yaml");
  EXPECT_EQ(off.yaml.find("beta"), std::string::npos) << off.yaml;
  EXPECT_EQ(off.yaml.find("kl_estimator"), std::string::npos);
  expect_note(off, "kl_loss_coef: use_kl_loss is off");
  const ConvertedConfig fixed = convert_config("num_generations: 4\nsync_ref_model: false\nref_model_sync_steps: 512\n", "t.yaml");
  EXPECT_EQ(fixed.yaml.find("ref_model_sync_steps"), std::string::npos) << fixed.yaml;
  expect_note(fixed, "no batch size is named: TRL's own is 8 completions a step and device, trainer.prompts_per_step is 8 here");
}

TEST(ConfigConvert, WhatDoesNotFitIsSaidAndLeftOut) {
  const ConvertedConfig converted = convert_config(
      "num_generations: 3\nper_device_train_batch_size: 8\ntemperature: hot\nloss_type: luspo\nscale_rewards: minmax\nmax_grad_norm: -1\n"
      "lr: 1e-5\nlearning_rate: 2e-5\nwarmup_steps: 10\nnum_train_epochs: 2\n",
      "t.yaml");
  expect_note(converted, "t.yaml:2: per_device_train_batch_size: 8 completions a step on 1 process(es) are no multiple of num_generations 3");
  expect_note(converted, "t.yaml:3: temperature: rollout.temperature: found 'hot'; allowed: a number above 0");
  expect_note(converted, "t.yaml:4: loss_type: algorithm.loss_type: found 'luspo'");
  expect_note(converted, "t.yaml:5: scale_rewards: found 'minmax', which has no translation");
  expect_note(converted, "t.yaml:6: max_grad_norm: optim.max_grad_norm: found the integer -1");
  expect_note(converted, "t.yaml:8: learning_rate: optim.learning_rate has its value from lr already");
  expect_note(converted, "t.yaml:9: warmup_steps: optim.warmup_ratio is a fraction");
  expect_note(converted, "t.yaml:10: num_train_epochs: cohort counts steps");
  EXPECT_EQ(converted.translated, 2);
  EXPECT_NO_THROW(parse_config(converted.yaml, "converted"));
}

Config converted_config(const std::string& yaml) {
  const ConvertedConfig converted = convert_config(yaml, "t.yaml");
  return parse_config(converted.yaml, "converted");
}

TEST(ConfigConvert, EveryNameOfAPeerBecomesAConfigThatIsRead) {
  for (const PeerName& peer : peer_names()) {
    const bool sft = peer.ours.starts_with("sft.");
    std::string value = "1";
    if (const size_t dot = peer.ours.find_last_of('.'); dot != std::string::npos)
      value = key_default(*find_key(peer.ours.substr(0, dot), peer.ours.substr(dot + 1)));
    if (value == "null") value = peer.ours == "trainer.metric_for_best_model" ? "eval/accuracy" : "x.jsonl";
    std::string yaml = fmt::format("\"{}\": {}\n", peer.name, value);
    for (const std::string base : {"model_name_or_path: m", "dataset_name: t.jsonl", "eval_dataset: e.jsonl", "lora_r: 8", "num_generations: 8"})
      if (base.substr(0, base.find(':')) != peer.name && (!sft || base.starts_with("model") || base.starts_with("data"))) yaml += base + "\n";
    const ConvertedConfig converted = convert_config(yaml, "t.yaml");
    EXPECT_NO_THROW(parse_config(converted.yaml, "converted", {}, sft ? ConfigUse::sft : ConfigUse::training)) << yaml << converted.yaml;
    if (!peer.ours.empty() && peer.note.empty()) {
      EXPECT_NE(converted.yaml.find(fmt::format("  {}: ", peer.ours.substr(peer.ours.find_last_of('.') + 1))), std::string::npos)
          << yaml << converted.yaml << fmt::format("{}", fmt::join(converted.notes, "\n"));
    }
  }
}

TEST(ConfigConvert, LoraIsOnWhereItIsOnThere) {
  const std::string model = "model_name_or_path: m\ndataset_name: t.jsonl\n";
  const Config ranked = converted_config(model + "lora_r: 8\nlora_alpha: 64\nlora_target_modules: all-linear\n");
  ASSERT_TRUE(ranked.model.lora.has_value());
  EXPECT_EQ(ranked.model.lora->rank, 8);
  EXPECT_EQ(ranked.model.lora->alpha, 64);
  EXPECT_EQ(ranked.model.lora->target_modules, std::vector<std::string>{"all-linear"});
  const Config standard = converted_config(model + "use_peft: True\nlora_target_modules: [q_proj, v_proj]\nlora_dropout: 0.05\n");
  ASSERT_TRUE(standard.model.lora.has_value());
  EXPECT_EQ(standard.model.lora->rank, 16);
  EXPECT_EQ(standard.model.lora->alpha, 32);
  EXPECT_EQ(standard.model.lora->target_modules, (std::vector<std::string>{"q_proj", "v_proj"}));
  EXPECT_EQ(standard.model.lora->dropout, 0);
  const Config scaled = converted_config(model + "use_peft: true\nlora_r: 16\nlora_alpha: 8\nuse_rslora: true\n");
  ASSERT_TRUE(scaled.model.lora.has_value());
  EXPECT_EQ(scaled.model.lora->alpha, 32) << "8 times the root of 16";
  const Config verl = converted_config("actor_rollout_ref: {model: {path: m, lora_rank: 32, target_modules: all-linear}}\ndata: {train_files: t.jsonl}\n");
  ASSERT_TRUE(verl.model.lora.has_value());
  EXPECT_EQ(verl.model.lora->alpha, 16) << "verl's default";

  for (const std::string off : {"use_peft: false\nlora_r: 16\nlora_alpha: 32\n", "lora_rank: 0\nlora_alpha: 16\ntarget_modules: all-linear\n",
                                "lora_alpha: 16\n", "lora_rank: 0\nlora_r: 16\n"}) {
    const ConvertedConfig converted = convert_config(model + off, "t.yaml");
    EXPECT_FALSE(parse_config(converted.yaml, "converted").model.lora.has_value()) << converted.yaml;
    expect_note(converted, "all weights are trained");
  }
  expect_note(convert_config(model + "use_peft: true\nlora_r: 0\n", "t.yaml"), "lora_r: LoRA is on with a rank that is not above 0");
  expect_note(convert_config(model + "reward_funcs: [accuracy]\nreward_weights: [nan]\n", "t.yaml"), "reward_weights: 'nan' is no number");
  expect_note(convert_config(model + "critic: {lora_rank: 4}\n", "t.yaml"), "critic.lora_rank: GRPO has no critic");
}

TEST(ConfigConvert, AKeyOfTheFileWritesNoYamlAndNoEscapeSequences) {
  const ConvertedConfig converted = convert_config(
      "\"x\\n\\nlog:\\n  hooks: [touch OWNED]\\n#.learning_rate\": 1e-5\n\"\\e[31mred\\x9b\": 2\n\"\\e[2J.reward_funcs\": [\"\\x9bmine\", accuracy]\n", "t.yaml");
  const Config config = parse_config(converted.yaml, "converted");
  EXPECT_TRUE(config.log.hooks.empty()) << converted.yaml;
  EXPECT_EQ(config.optim.learning_rate, 1e-5f);
  for (const std::string& text : {converted.yaml, fmt::format("{}", fmt::join(converted.notes, ""))}) {
    EXPECT_EQ(text.find('\x1b'), std::string::npos);
    EXPECT_EQ(text.find("\xc2\x9b"), std::string::npos);
  }
}

TEST(ConfigConvert, WhatRunsAndWhereFilesGoIsNotTakenByANameAlone) {
  const ConvertedConfig converted = convert_config(
      "hooks: [touch OWNED]\nlog: {hooks: [touch OWNED]}\nresume: /x\ndir: /y\nname: z\ninterface: eth0\ntensorboard: false\nseed: 3\n", "t.yaml");
  const Config config = parse_config(converted.yaml, "converted");
  const Config standard = converted_config("seed: 3\n");
  EXPECT_TRUE(config.log.hooks.empty());
  EXPECT_EQ(config_to_yaml(config), config_to_yaml(standard));
  EXPECT_EQ(config.run.seed, 3u);
  expect_note(converted, "t.yaml:1: hooks: log.hooks is not taken over");
  expect_note(converted, "t.yaml:2: log.hooks: log.hooks is not taken over");
  EXPECT_EQ(converted.notes.size(), 8u);
}

TEST(ConfigConvert, SeveralFilesAreSourcesAndEvaluationHasItsOwnSampling) {
  const Config config = converted_config(
      "actor_rollout_ref: {rollout: {n: 4, val_kwargs: {n: 8, top_p: 0.9, top_k: 20, temperature: 0.6, do_sample: true}}}\n"
      "data: {train_files: [a/gsm8k/train.parquet, b/math 1/train.parquet, b/math 1/train.json], val_files: [x.parquet, y.jsonl]}\n");
  EXPECT_EQ(config.rollout.num_generations_eval, 8);
  EXPECT_EQ(config.rollout.eval_top_p, 0.9f);
  EXPECT_EQ(config.rollout.eval_top_k, 20);
  ASSERT_EQ(config.data.train.sources.size(), 3u);
  EXPECT_EQ(config.data.train.sources[0], (DataSource{"train", "a/gsm8k/train.jsonl", 1.0}));
  EXPECT_EQ(config.data.train.sources[1].name, "math_1_train");
  EXPECT_EQ(config.data.train.sources[2].name, "math_1_train_2");
  ASSERT_EQ(config.data.eval.sources.size(), 2u);
  EXPECT_EQ(config.data.eval.sources[1].path, "y.jsonl");
  const Config weighed = converted_config("prompt_data: \"a.jsonl, b.jsonl\"\nprompt_data_probs: \"0.25,0.75\"\nrollout_batch_size: 8\n");
  ASSERT_EQ(weighed.data.train.sources.size(), 2u);
  EXPECT_EQ(weighed.data.train.sources[1], (DataSource{"b", "b.jsonl", 0.75}));
  const ConvertedConfig greedy = convert_config("actor_rollout_ref: {rollout: {n: 4, val_kwargs: {n: 8, temperature: 0.6, do_sample: false}}}\n", "t.yaml");
  EXPECT_EQ(parse_config(greedy.yaml, "converted").rollout.eval_temperature, 0.0f);
  expect_note(greedy, "val_kwargs.n: val_kwargs.do_sample is off");
}

TEST(ConfigConvert, AConfigOfFineTuningIsOneOfCohortSft) {
  const ConvertedConfig converted = convert_config(
      "model_name_or_path: m\ndataset_name: a.jsonl\nmax_length: 2048\nnum_train_epochs: 2\nper_device_train_batch_size: 4\n"
      "gradient_accumulation_steps: 8\npacking: true\nlearning_rate: 2e-5\nuse_peft: true\nlora_r: 8\nlog_completions: false\n",
      "t.yaml", 2);
  EXPECT_TRUE(converted.to_do.empty());
  const Config config = parse_config(converted.yaml, "converted", {}, ConfigUse::sft);
  ASSERT_TRUE(config.sft.has_value());
  EXPECT_EQ(config.sft->examples_per_step, 64);
  EXPECT_EQ(config.sft->num_train_epochs, 2);
  EXPECT_EQ(config.sft->max_length, 2048);
  ASSERT_TRUE(config.model.lora.has_value());
  EXPECT_EQ(config.model.lora->rank, 8);
  expect_note(converted, "log_completions: cohort sft does not read log.completions_steps");
  const ConvertedConfig rl = convert_config("num_generations: 8\nmax_length: 2048\n", "t.yaml");
  EXPECT_NO_THROW(parse_config(rl.yaml, "converted")) << rl.yaml;
  expect_note(rl, "max_length: sft.max_length is a key of `cohort sft`");
}

TEST(ConfigConvert, AFolderWithoutANameIsLeftOut) {
  for (const char* folder : {"/", "..", ".", "a/..", "runs/${name}"}) {
    const ConvertedConfig converted = convert_config(fmt::format("output_dir: \"{}\"\nlr: 1\n", folder), "t.yaml");
    EXPECT_EQ(converted.yaml.find("run:"), std::string::npos) << converted.yaml;
    expect_note(converted, "output_dir: the run directory is run.dir/run.name");
    EXPECT_NO_THROW(parse_config(converted.yaml, "converted"));
  }
  expect_note(convert_config("run_name: a/b\nlr: 1\n", "t.yaml"), "run_name: run.name: found 'a/b'");
}

TEST(ConfigConvert, NoConfigOfAPeerIsRefused) {
  EXPECT_ERROR(convert_config("- a\n", "l.yaml"), kUsage, "l.yaml: a config is a map");
  EXPECT_ERROR(convert_config("apples: 3\npears: {x: 1}\n", "f.yaml"), kUsage, "f.yaml: none of its 2 keys");
  EXPECT_ERROR(convert_config("a: [1\n", "b.yaml"), kUsage, "b.yaml:");
  EXPECT_ERROR(convert_config("", "e.yaml"), kUsage, "e.yaml: a config is a map");
}

}  // namespace
}  // namespace cohort
