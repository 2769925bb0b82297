// Config: one struct tree from one YAML file. Every key has one row in the schema
// (config_keys.cpp): name, type, range and a sentence of help; parsing, printing and "did you mean"
// all come from that table. The defaults stand here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "model/config.h"
#include "model/device.h"
#include "reward/reward.h"

namespace cohort {

struct RunConfig {
  std::string name = "run";  // the run directory is dir/name
  std::string dir = "runs";
  uint64_t seed = 42;
  std::string device = "cpu";       // cpu | cuda
  int64_t threads = 0;              // per rank; 0: cores of this host / ranks on this host
  std::string numerics = "strict";  // strict | fast (on the CPU the same as strict)
  std::string resume = "auto";      // auto | never | PATH of a checkpoint
  std::vector<std::string> allow_changes;  // keys that may differ from those of the checkpoint at PATH
  std::string pin_threads = "auto";  // auto | off | on
  bool operator==(const RunConfig&) const = default;
};
inline Numerics numerics_of(const RunConfig& run) { return run.numerics == "fast" ? Numerics::fast : Numerics::strict; }

// A model made from scratch, with a byte-level tokenizer (256 bytes + special tokens).
struct ModelInitConfig {
  int64_t hidden_size = 128, intermediate_size = 384, num_layers = 4, num_heads = 4,
          num_kv_heads = 2, max_positions = 256;
  float rope_theta = 10000.0f;
  bool operator==(const ModelInitConfig&) const = default;
};

// A low-rank adapter that is trained in place of the weights (model/lora.h).
struct LoraSection {
  int64_t rank = 16;
  double alpha = 32;
  std::vector<std::string> target_modules = {"all-linear"};
  double dropout = 0;  // no other is possible: the sampler's forward pass is the trainer's
  bool save_merged = false;
  bool operator==(const LoraSection&) const = default;
};

struct ModelSection {
  std::string path;                     // a Hugging Face folder; or
  std::optional<ModelInitConfig> init;  // from scratch; exactly one of the two
  std::optional<LoraSection> lora;
  std::string dtype = "auto";           // auto (the checkpoint's) | float32 | bfloat16
  bool operator==(const ModelSection&) const = default;
};

struct TaskConfig {
  std::string name;  // addition | reverse | arithmetic | reverse_text | reverse_codes | countdown
  uint64_t seed = 0;
  int64_t train_size = 0, eval_size = 0;  // 0: the task's own default
  bool chat = false;                      // prompts as one user message (for chat models)
  bool operator==(const TaskConfig&) const = default;
};

// One of several JSONL files under a key.
struct DataSource {
  std::string name;   // in metrics, ids and messages
  std::string path;
  double weight = 1;  // of training: its share of the prompts, beside the others' weights
  Json columns = Json::object();  // its names of columns; none: data.columns
  bool operator==(const DataSource&) const = default;
};

// What a key names: nothing, one JSONL file by its path alone, or a list of sources with names.
struct DataFiles {
  DataFiles() = default;
  DataFiles(const char* file) : path(file) {}
  DataFiles(std::string file) : path(std::move(file)) {}
  DataFiles(const std::filesystem::path& file) : path(file.string()) {}
  std::string path;
  std::vector<DataSource> sources;  // at least one; `path` is then empty

  bool empty() const { return path.empty() && sources.empty(); }
  void clear() { *this = {}; }
  bool operator==(const DataFiles&) const = default;
};

// Problems whose measured pass rate is out of a range are skipped for a while (curriculum.h).
struct CurriculumConfig {
  std::string metric;  // the name of a reward; "": the first
  double pass_threshold = 1, min_pass_rate = 0, max_pass_rate = 1;
  int64_t skip_epochs = 2;
  bool operator==(const CurriculumConfig&) const = default;
};

struct DataSection {
  DataFiles train, eval;            // JSONL files; or
  std::optional<TaskConfig> task;   // a built-in generator
  std::optional<CurriculumConfig> curriculum;
  Json columns = Json::object();    // what our columns are called in the files
  int64_t max_eval_samples = 0;     // 0: all
  int64_t max_prompt_length = 512;  // tokens; a longer prompt is an error that names it
  bool shuffle = true;
  Json chat_template_kwargs = Json::object();  // more variables for the model's chat template
  bool allow_special_tokens = false;           // spelled in messages: tokens, not text
  std::string now;                             // what strftime_now of a template prints, ISO 8601
  bool operator==(const DataSection&) const = default;
};

struct RolloutSection {
  int64_t num_generations = 8, max_completion_length = 256, min_completion_length = 0;
  float temperature = 1.0f, top_p = 1.0f, min_p = 0.0f;
  int64_t top_k = 0;
  int64_t max_num_seqs = 64, max_num_batched_tokens = 2048;
  double kv_cache_gb = 0;         // of each rank, 10^9 bytes; 0: what is needed, within a share of free memory
  float eval_temperature = 0.0f;  // 0: greedy
  float eval_top_p = -1.0f, eval_min_p = -1.0f;  // -1: as in training
  int64_t eval_top_k = -1, num_generations_eval = 1;
  int64_t staleness = 0;  // 1: the next step's completions are sampled while this step's are learnt from
  std::string load_balancing = "static";  // static | work_stealing: which rank makes which completions; changes no bit
  std::vector<std::string> stop;        // a completion ends when its text holds one
  std::vector<int64_t> stop_token_ids;  // beside EOS
  bool operator==(const RolloutSection&) const = default;
};

// Formulas: policy_loss.h, kl.h, loss.h, advantage.h, entropy.h, rollout_correction.h. docs/algorithms.md has them beside the peers' names.
struct AlgorithmSection {
  std::string loss_type = "dapo";  // grpo | bnpo | dapo | dr_grpo | cispo | sapo | gspo | reinforce
  std::string loss_agg_mode = "auto", importance_sampling_level = "auto";  // auto: the loss_type's own
  float epsilon = 0.2f, epsilon_high = -1.0f /* = epsilon */, delta = 0.0f, clip_ratio_c = 0.0f;
  float sapo_temperature_pos = 1.0f, sapo_temperature_neg = 1.05f;

  float beta = 0.0f;
  std::string kl_estimator = "k3";
  float kl_input_clamp_value = 0.0f, kl_output_clamp_value = 0.0f;
  bool use_bias_correction_kl = false, use_kl_in_reward = false;
  int64_t ref_model_sync_steps = 0;
  float ref_model_mixup_alpha = 0.6f;

  std::string advantage = "group", scale_rewards = "auto";  // auto: the advantage's own
  std::string multi_objective_aggregation = "sum_then_normalize";

  float entropy_coef = 0.0f;
  bool use_adaptive_entropy = false;
  float entropy_target = 0.2f, entropy_coef_delta = 0.005f, entropy_coef_min = 0.0f, entropy_coef_max = 1.0f;
  double top_entropy_quantile = 1;  // double: 1 - 0.8f is not 0.2
  std::string token_weight_pattern;  // "": every token weighs 1 (token_weights.h)
  float token_weight = 1.0f;

  std::string select_completions = "all";  // all | best | max_variance
  int64_t num_selected = 0;

  bool filter_groups = false;
  std::string filter_groups_metric = "reward";
  int64_t filter_groups_max_batches = 10;

  std::string teacher;  // a Hugging Face folder; "": none (distillation.h)
  float teacher_coef = 1.0f;

  std::string old_policy = "auto";          // auto | recorded | proximal (rollout_correction.h)
  std::string rollout_correction = "none";  // none | token_truncate | token_mask | sequence_truncate | sequence_mask
  float rollout_correction_max = 2.0f, rollout_correction_min = 0.0f;

  int64_t num_iterations = 1, steps_per_generation = 1;
  bool mask_truncated_completions = false;
  bool operator==(const AlgorithmSection&) const = default;
};

struct OptimSection {
  float learning_rate = 1e-6f, adam_beta1 = 0.9f, adam_beta2 = 0.999f, adam_epsilon = 1e-8f,
        weight_decay = 0.0f, max_grad_norm = 1.0f;
  std::string lr_scheduler_type = "constant";  // constant | linear | cosine
  double warmup_ratio = 0;  // double: ceil(0.1f * 100) is 11
  bool operator==(const OptimSection&) const = default;
};

// Supervised fine-tuning on the training problems' own solutions before step 1 (built-in tasks
// only).
struct WarmStartConfig {
  int64_t steps = 0, problems_per_step = 64;
  float learning_rate = 1e-3f;
  bool operator==(const WarmStartConfig&) const = default;
};

struct TrainerSection {
  int64_t max_steps = 100, prompts_per_step = 8;  // cohort sft and rm: -1, as many steps as its epochs take
  int64_t logical_ranks = 8;  // power of two: the data-parallel width of the result
  int64_t pack_tokens =
      0;  // rows per training pack; 0: chosen from the step's tokens and logical_ranks
  bool gradient_checkpointing = false;  // keep less, compute more; changes no bit
  bool reuse_activations = true;        // of sampled rows, instead of a forward pass; changes no bit
  bool skip_zero_advantage = true;
  int64_t eval_steps = 0;  // 0: before and after only
  bool eval_before = true;
  std::vector<int64_t> eval_pass_at_k;  // empty: powers of two up to num_generations_eval, and it
  double eval_pass_threshold = 1;       // a completion is correct from this score of the first reward on
  std::string metric_for_best_model;    // "": no best model is kept
  bool greater_is_better = true;
  int64_t save_steps = 0, save_total_limit = 2;  // 0: no checkpoints
  std::string checkpoint_must_save_by;  // DD:HH:MM:SS after the program's start; "": no such time
  std::optional<WarmStartConfig> warm_start;
  bool operator==(const TrainerSection&) const = default;
};

// cohort sft: supervised fine-tuning on examples (docs/sft.md). A config that has it is for that command.
struct SftSection {
  int64_t examples_per_step = 32;
  double num_train_epochs = 3;  // while trainer.max_steps is -1
  int64_t max_length = 1024;
  bool filter_overlong = false;
  std::vector<int64_t> stop_token_ids;  // beside the model's own
  bool operator==(const SftSection&) const = default;
};

// cohort rm: a reward model from pairs of answers (docs/reward-models.md). A config that has it is for that command.
struct RmSection {
  int64_t pairs_per_step = 32;
  double num_train_epochs = 1;  // while trainer.max_steps is -1
  int64_t max_length = 1024;
  bool filter_overlong = false;
  double center_rewards_coefficient = 0;
  bool operator==(const RmSection&) const = default;
};

struct CommSection {
  double timeout_s = 600;  // one collective
  double rollout_timeout_s = 3600, update_timeout_s = 3600, load_timeout_s = 600,
         reward_timeout_s = 600, checkpoint_timeout_s = 1800;
  std::string interface;  // by which GPUs of several hosts talk, in NCCL's notation; "": as NCCL chooses
  bool operator==(const CommSection&) const = default;
};

struct LogSection {
  int64_t completions_steps = 10;  // write completions/step_N.jsonl each so many steps; 0: never
  bool eval_completions = true;    // write eval/STAGE.jsonl
  bool progress = true;
  std::string format = "text";     // of progress and messages; or json
  bool trace = false;
  bool tensorboard = true;           // events.out.tfevents.*
  std::vector<std::string> hooks;    // shell commands; each gets the lines of metrics.jsonl
  double hooks_timeout_s = 10;
  bool operator==(const LogSection&) const = default;
};

struct Config {
  RunConfig run;
  ModelSection model;
  DataSection data;
  RolloutSection rollout;
  std::vector<RewardSpec> reward;
  AlgorithmSection algorithm;
  OptimSection optim;
  TrainerSection trainer;
  std::optional<SftSection> sft;
  std::optional<RmSection> rm;
  CommSection comm;
  LogSection log;
  // By cohort sft or cohort rm, from rows of data; nothing is sampled.
  bool learns_from_rows() const { return sft || rm; }
  std::filesystem::path run_dir() const { return std::filesystem::path(run.dir) / run.name; }
};

// What a config is read for. Rewards alone need no model and no data. recorded: by whichever command wrote it, sft or rm where that
// section is given.
enum class ConfigUse { training, rewards, sft, rm, recorded };

// Reads FILE (`where` leads the messages of parse_config) and applies "section.key=value" overrides
// (value in YAML). Unknown, duplicate and misspelt keys, wrong types, values out of range and
// contradictions: exit code 2, "FILE:LINE: ..." with the nearest valid name; names of verl and
// OpenRLHF that map one to one are answered with ours.
Config load_config(const std::filesystem::path& file,
                   const std::vector<std::string>& overrides = {},
                   ConfigUse use = ConfigUse::training);
Config parse_config(const std::string& yaml, const std::string& where,
                    const std::vector<std::string>& overrides = {},
                    ConfigUse use = ConfigUse::training);

// The resolved config, every key that the run reads present with its help as a comment: itself a valid config file,
// from which the same config is read bit for bit.
std::string config_to_yaml(const Config& config);

// The keys that decide the bits of a run's weights, one "section.key: value" a line, for
// checkpoints: a run may be resumed only under the same ones. Left out, because they cannot change
// what is computed:
//   run.name, dir, threads, resume, allow_changes; comm.*; log.*; trainer.save_*, checkpoint_must_save_by; rollout.max_num_seqs,
//   max_num_batched_tokens, kv_cache_gb; trainer.gradient_checkpointing, reuse_activations; what evaluation alone reads (data.eval,
//   max_eval_samples, rollout.eval_*, num_generations_eval, trainer.eval_*, metric_for_best_model, greater_is_better); data.train, as the
//   checkpoint holds the data's fingerprint and files may move, but the weights of several sources; trainer.max_steps while the learning
//   rate does not depend on it (constant and no warm-up): such a run may go on; and what cohort sft or rm does not read, when it is a
//   config of that.
std::string config_identity(const Config& config);
// What differs between a config and a stored identity, e.g. "optim.learning_rate (now 1.0e-05,
// was 1.0e-06)"; `ours` and `theirs` are the words before the two values. A key that the stored one
// does not know (written by an older version) counts as its default.
std::vector<std::string> identity_differences(const Config& config,
                                              const std::string& stored_identity,
                                              std::string_view ours = "now", std::string_view theirs = "was");

}  // namespace cohort
