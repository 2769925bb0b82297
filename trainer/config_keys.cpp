// Every section and key of the config. The defaults are those of the structs in config.h.
#include <algorithm>

#include "trainer/config_key_places.h"
#include "trainer/dataset.h"

namespace cohort {
namespace {

using namespace config_keys_detail;

template <auto Section, auto Map>
SectionRow optional_map(const char* name, const char* help) {
  return {.name = name,
          .help = help,
          .present = [](const Config& config) { return ((config.*Section).*Map).has_value(); },
          .set_present =
              [](Config& config, bool present) {
                auto& map = (config.*Section).*Map;
                map.reset();
                if (present) map.emplace();
              }};
}

template <auto M>
constexpr auto run = in<&Config::run, M>;
template <auto M>
constexpr auto model = in<&Config::model, M>;
template <auto M>
constexpr auto init = inside<&Config::model, &ModelSection::init, M>;
template <auto M>
constexpr auto lora = inside<&Config::model, &ModelSection::lora, M>;
template <auto M>
constexpr auto data = in<&Config::data, M>;
template <auto M>
constexpr auto task = inside<&Config::data, &DataSection::task, M>;
template <auto M>
constexpr auto curriculum = inside<&Config::data, &DataSection::curriculum, M>;
template <auto M>
constexpr auto rollout = in<&Config::rollout, M>;
template <auto M>
constexpr auto optim = in<&Config::optim, M>;
template <auto M>
constexpr auto trainer = in<&Config::trainer, M>;
template <auto M>
constexpr auto warm_start = inside<&Config::trainer, &TrainerSection::warm_start, M>;
template <auto M>
constexpr auto sft = in_optional<&Config::sft, M>;
template <auto M>
constexpr auto rm = in_optional<&Config::rm, M>;
template <auto M>
constexpr auto comm = in<&Config::comm, M>;
template <auto M>
constexpr auto log = in<&Config::log, M>;

std::vector<KeyRow> make_keys() {
  using R = RunConfig;
  using M = ModelSection;
  using I = ModelInitConfig;
  using P = LoraSection;
  using D = DataSection;
  using K = TaskConfig;
  using U = CurriculumConfig;
  using G = RolloutSection;
  using O = OptimSection;
  using T = TrainerSection;
  using W = WarmStartConfig;
  using F = SftSection;
  using B = RmSection;  // Bradley and Terry
  using C = CommSection;
  using L = LogSection;
  return {
      // clang-format off
      {.section = "run", .name = "name", .value = run<&R::name>, .decides_bits = false,
       .help = "the run directory is dir/name"},
      {.section = "run", .name = "dir", .value = run<&R::dir>, .decides_bits = false,
       .help = "where run directories are made"},
      {.section = "run", .name = "seed", .value = run<&R::seed>,
       .help = "every random number is a function of it"},
      {.section = "run", .name = "device", .value = run<&R::device>, .words = {"cpu", "cuda"}, .decides_bits = false,
       .help = "cpu or cuda; a run may go on on the other, which says that its bits are others from there on"},
      {.section = "run", .name = "threads", .value = run<&R::threads>, .bounds = from(0, 1024), .decides_bits = false,
       .help = "of each rank; 0: its share of the host's cores"},
      {.section = "run", .name = "numerics", .value = run<&R::numerics>, .words = {"strict", "fast"},
       .help = "strict: equal bits for any number of ranks; fast: on GPUs cuBLASLt and NCCL add up in orders of their own (on the CPU the same as strict)"},
      {.section = "run", .name = "resume", .value = run<&R::resume>, .decides_bits = false,
       .help = "auto: from the newest checkpoint, if any; never; or the path of a checkpoint: from the newest that came of it, else from it"},
      {.section = "run", .name = "allow_changes", .value = run<&R::allow_changes>, .decides_bits = false,
       .help = "keys of optim, and trainer.max_steps, that may differ from those of the checkpoint at run.resume: PATH; it is another run from there on"},
      {.section = "run", .name = "pin_threads", .value = run<&R::pin_threads>, .words = {"auto", "off", "on"},
       .decides_bits = false, .help = "each thread on a core of its own; auto: where the ranks do not have to share cores"},

      {.section = "model", .name = "path", .value = model<&M::path>, .may_be_null = true,
       .help = "a Hugging Face folder; or init"},
      {.section = "model", .name = "dtype", .value = model<&M::dtype>, .words = {"auto", "float32", "bfloat16"},
       .help = "of weights and activations; auto: the checkpoint's"},

      {.section = "model.init", .name = "hidden_size", .value = init<&I::hidden_size>, .bounds = from(16, 65536),
       .help = "a multiple of 16 and of num_heads"},
      {.section = "model.init", .name = "intermediate_size", .value = init<&I::intermediate_size>,
       .bounds = from(16, 1 << 20), .help = "of the MLP, a multiple of 16"},
      {.section = "model.init", .name = "num_layers", .value = init<&I::num_layers>, .bounds = from(1, 1024),
       .help = "transformer blocks"},
      {.section = "model.init", .name = "num_heads", .value = init<&I::num_heads>, .bounds = from(1, 1024),
       .help = "attention heads; hidden_size / num_heads is even and at most 256"},
      {.section = "model.init", .name = "num_kv_heads", .value = init<&I::num_kv_heads>, .bounds = from(1, 1024),
       .help = "key-value heads; divides num_heads"},
      {.section = "model.init", .name = "max_positions", .value = init<&I::max_positions>, .bounds = from(2, kMaxLength),
       .help = "tokens of a prompt and its completion together"},
      {.section = "model.init", .name = "rope_theta", .value = init<&I::rope_theta>, .bounds = {.low = 1},
       .help = "base of the rotary position embedding"},

      {.section = "model.lora", .name = "rank", .value = lora<&P::rank>, .bounds = from(1, 1024),
       .help = "columns of B, rows of A; PEFT's r"},
      {.section = "model.lora", .name = "alpha", .value = lora<&P::alpha>, .bounds = {.low = 0, .high = 1e6, .above = true},
       .help = "the adapter counts alpha / rank times; PEFT's lora_alpha"},
      {.section = "model.lora", .name = "target_modules", .value = lora<&P::target_modules>, .like = "[q_proj, v_proj]",
       .help = "of q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj; all-linear: all of them"},
      {.section = "model.lora", .name = "dropout", .value = lora<&P::dropout>, .bounds = from(0, 1),
       .help = "0: sampling and training are one forward pass"},
      {.section = "model.lora", .name = "save_merged", .value = lora<&P::save_merged>, .decides_bits = false,
       .help = "write final_merged/ beside the adapter in final/: a whole model"},

      {.section = "data", .name = "train", .value = data<&D::train>, .may_be_null = true, .decides_bits = false,
       .has_weights = true,
       .help = "JSONL: {\"prompt\": text or messages, \"answer\": ...}, or a list of such files with weights; or task. cohort sft: docs/sft.md; rm: docs/reward-models.md"},
      {.section = "data", .name = "eval", .value = data<&D::eval>, .may_be_null = true, .decides_bits = false,
       .help = "JSONL, held back, or a list of such files with names"},
      {.section = "data", .name = "columns", .value = data<&D::columns>, .decides_bits = false, .like = "{prompt: question}",
       .help = "names of columns in the files, e.g. {prompt: question, answer: reward_model.ground_truth}; a source may have its own: docs/data.md"},
      {.section = "data", .name = "max_eval_samples", .value = data<&D::max_eval_samples>, .bounds = from(0, 1e9),
       .decides_bits = false, .help = "evaluate on the first so many of each set; 0: all"},
      {.section = "data", .name = "max_prompt_length", .value = data<&D::max_prompt_length>,
       .bounds = from(1, kMaxLength), .help = "tokens; a longer prompt is an error that names it"},
      {.section = "data", .name = "shuffle", .value = data<&D::shuffle>,
       .help = "another order each epoch; false: as in the file"},
      {.section = "data", .name = "chat_template_kwargs", .value = data<&D::chat_template_kwargs>,
       .help = "more variables for the chat template, e.g. {enable_thinking: false}"},
      {.section = "data", .name = "allow_special_tokens", .value = data<&D::allow_special_tokens>,
       .help = "false: a special token spelled in a message is plain text and cannot forge a turn"},
      {.section = "data", .name = "now", .value = data<&D::now>, .may_be_null = true,
       .help = "the time that a chat template may print, e.g. 2026-01-31T00:00:00"},

      {.section = "data.curriculum", .name = "metric", .value = curriculum<&U::metric>, .may_be_null = true,
       .help = "which reward says that a completion passes, by its name; null: the first"},
      {.section = "data.curriculum", .name = "pass_threshold", .value = curriculum<&U::pass_threshold>, .bounds = from(-1e6, 1e6),
       .help = "a completion passes from this score of it on"},
      {.section = "data.curriculum", .name = "min_pass_rate", .value = curriculum<&U::min_pass_rate>, .bounds = kFraction,
       .help = "a problem whose last group passed less often is skipped: too hard now"},
      {.section = "data.curriculum", .name = "max_pass_rate", .value = curriculum<&U::max_pass_rate>, .bounds = kFraction,
       .help = "a problem whose last group passed more often is skipped: too easy now"},
      {.section = "data.curriculum", .name = "skip_epochs", .value = curriculum<&U::skip_epochs>, .bounds = from(1, 1e6),
       .help = "so many times is it skipped when its turn comes; then it is sampled and measured again"},

      {.section = "data.task", .name = "name", .value = task<&K::name>, .words = task_names(),
       .help = "which problems"},
      {.section = "data.task", .name = "seed", .value = task<&K::seed>, .help = "of the choice of problems"},
      {.section = "data.task", .name = "train_size", .value = task<&K::train_size>, .bounds = from(0, 1e9),
       .help = "problems; 0: the task's own default"},
      {.section = "data.task", .name = "eval_size", .value = task<&K::eval_size>, .bounds = from(0, 1e9),
       .help = "held-back problems; 0: the task's own default"},
      {.section = "data.task", .name = "chat", .value = task<&K::chat>,
       .help = "a prompt is one message of the user (for chat models)"},

      {.section = "rollout", .name = "num_generations", .value = rollout<&G::num_generations>, .bounds = from(1, 4096),
       .help = "completions of each prompt: the group; 1: only with an advantage that compares with the batch or with nothing"},
      {.section = "rollout", .name = "max_completion_length", .value = rollout<&G::max_completion_length>,
       .bounds = from(1, kMaxLength), .help = "tokens"},
      {.section = "rollout", .name = "min_completion_length", .value = rollout<&G::min_completion_length>,
       .bounds = from(0, kMaxLength), .help = "tokens before the end may come, by a token or a stop string"},
      {.section = "rollout", .name = "stop", .value = rollout<&G::stop>,
       .help = "a completion ends when its text holds one of these, as in vLLM; the token that completes it stays whole"},
      {.section = "rollout", .name = "stop_token_ids", .value = rollout<&G::stop_token_ids>, .bounds = from(0, kMaxSize),
       .help = "tokens that end a completion, beside those of the model and its tokenizer"},
      {.section = "rollout", .name = "temperature", .value = rollout<&G::temperature>, .bounds = kPositive,
       .help = "of sampling, and of the log-probs in the loss"},
      {.section = "rollout", .name = "top_p", .value = rollout<&G::top_p>, .bounds = {.low = 0, .high = 1, .above = true},
       .help = "sample from the likeliest tokens that have this mass; 1: off"},
      {.section = "rollout", .name = "top_k", .value = rollout<&G::top_k>, .bounds = from(0, kMaxSize),
       .help = "sample from so many tokens; 0: off"},
      {.section = "rollout", .name = "min_p", .value = rollout<&G::min_p>, .bounds = kFraction,
       .help = "drop tokens below this part of the likeliest one's probability; 0: off"},
      {.section = "rollout", .name = "eval_temperature", .value = rollout<&G::eval_temperature>, .bounds = kNotNegative,
       .decides_bits = false, .help = "of evaluation; 0: greedy"},
      {.section = "rollout", .name = "eval_top_p", .value = rollout<&G::eval_top_p>,
       .bounds = {.low = 0, .high = 1, .above = true, .or_be = -1}, .decides_bits = false, .help = "top_p of evaluation; -1: as in training"},
      {.section = "rollout", .name = "eval_min_p", .value = rollout<&G::eval_min_p>,
       .bounds = {.low = 0, .high = 1, .or_be = -1}, .decides_bits = false, .help = "min_p of evaluation; -1: as in training"},
      {.section = "rollout", .name = "eval_top_k", .value = rollout<&G::eval_top_k>,
       .bounds = from(-1, kMaxSize), .decides_bits = false, .help = "top_k of evaluation; -1: as in training"},
      {.section = "rollout", .name = "num_generations_eval", .value = rollout<&G::num_generations_eval>, .bounds = from(1, 4096),
       .decides_bits = false, .help = "completions of each problem in evaluation, for pass@k, avg@k and maj@k"},
      {.section = "rollout", .name = "max_num_seqs", .value = rollout<&G::max_num_seqs>, .bounds = from(1, 65536),
       .decides_bits = false, .help = "sequences decoded together: memory and speed, not the result"},
      {.section = "rollout", .name = "max_num_batched_tokens", .value = rollout<&G::max_num_batched_tokens>,
       .bounds = from(1, kMaxSize), .decides_bits = false,
       .help = "rows of one forward pass: memory and speed, not the result"},
      {.section = "rollout", .name = "staleness", .value = rollout<&G::staleness>, .bounds = from(0, 1),
       .help = "1: the next step's completions are sampled while this step's are learnt from, by the weights before its update; 0: one after the other"},
      {.section = "rollout", .name = "load_balancing", .value = rollout<&G::load_balancing>, .words = {"static", "work_stealing"},
       .decides_bits = false,
       .help = "static: each rank samples its share; work_stealing: one that has room takes what others have not begun"},
      {.section = "rollout", .name = "kv_cache_gb", .value = rollout<&G::kv_cache_gb>, .bounds = from(0, 1e6),
       .decides_bits = false,
       .help = "the most that a rank's KV cache takes, in 10^9 bytes; 0: max_num_seqs sequences, within half of free memory"},

      {.section = "optim", .name = "learning_rate", .value = optim<&O::learning_rate>, .bounds = kPositive,
       .help = "of AdamW"},
      {.section = "optim", .name = "adam_beta1", .value = optim<&O::adam_beta1>, .bounds = kDecay,
       .help = "decay of the mean of gradients"},
      {.section = "optim", .name = "adam_beta2", .value = optim<&O::adam_beta2>, .bounds = kDecay,
       .help = "decay of the mean of their squares"},
      {.section = "optim", .name = "adam_epsilon", .value = optim<&O::adam_epsilon>, .bounds = kPositive,
       .help = "added to the root of the mean square"},
      {.section = "optim", .name = "weight_decay", .value = optim<&O::weight_decay>, .bounds = kNotNegative,
       .help = "of matrices, decoupled"},
      {.section = "optim", .name = "max_grad_norm", .value = optim<&O::max_grad_norm>, .bounds = kNotNegative,
       .help = "longer gradients are scaled down to it; 0: never"},
      {.section = "optim", .name = "lr_scheduler_type", .value = optim<&O::lr_scheduler_type>,
       .words = {"constant", "linear", "cosine"}, .help = "linear and cosine end at 0 after max_steps"},
      {.section = "optim", .name = "warmup_ratio", .value = optim<&O::warmup_ratio>, .bounds = kFraction,
       .help = "part of the steps over which the learning rate rises from 0"},

      {.section = "trainer", .name = "max_steps", .value = trainer<&T::max_steps>,
       .bounds = {.low = 0, .high = kMaxSteps, .or_be = -1},
       .help = "steps of the run; 0: only warm start and evaluation; -1, in cohort sft and rm alone: as many as their num_train_epochs takes"},
      {.section = "trainer", .name = "prompts_per_step", .value = trainer<&T::prompts_per_step>, .bounds = from(1, 65536),
       .help = "over all ranks"},
      {.section = "trainer", .name = "logical_ranks", .value = trainer<&T::logical_ranks>, .bounds = from(1, 4096),
       .help = "a power of two: the most ranks that can share the work, and part of the result"},
      {.section = "trainer", .name = "pack_tokens", .value = trainer<&T::pack_tokens>, .bounds = from(0, kMaxSize),
       .help = "rows of one training pass; 0: chosen from the step's tokens"},
      {.section = "trainer", .name = "gradient_checkpointing", .value = trainer<&T::gradient_checkpointing>,
       .decides_bits = false, .help = "keep each layer's input only and run it again in the backward pass: less memory"},
      {.section = "trainer", .name = "reuse_activations", .value = trainer<&T::reuse_activations>,
       .decides_bits = false,
       .help = "keep what sampling computed for the update, which then needs no forward pass; with up to a quarter of the free "
               "memory; with gradient_checkpointing layers' inputs alone, and each layer is run again"},
      {.section = "trainer", .name = "skip_zero_advantage", .value = trainer<&T::skip_zero_advantage>,
       .help = "do not run groups whose rewards are all equal"},
      {.section = "trainer", .name = "eval_steps", .value = trainer<&T::eval_steps>, .bounds = from(0, kMaxSteps),
       .decides_bits = false, .help = "evaluate each so many steps; 0: before and after only"},
      {.section = "trainer", .name = "eval_before", .value = trainer<&T::eval_before>, .decides_bits = false,
       .help = "evaluate before the first step"},
      {.section = "trainer", .name = "eval_pass_at_k", .value = trainer<&T::eval_pass_at_k>, .bounds = from(1, 4096), .decides_bits = false, .like = "[1, 8]",
       .help = "the k of pass@k, at most num_generations_eval; []: powers of two up to it, and it"},
      {.section = "trainer", .name = "eval_pass_threshold", .value = trainer<&T::eval_pass_threshold>, .bounds = from(-1e6, 1e6), .decides_bits = false,
       .help = "pass@k: a completion is correct from this score of the first reward on"},
      {.section = "trainer", .name = "metric_for_best_model", .value = trainer<&T::metric_for_best_model>, .may_be_null = true,
       .decides_bits = false, .help = "a metric of evaluation, e.g. eval/accuracy: the model of its best value is kept in best/; null: none"},
      {.section = "trainer", .name = "greater_is_better", .value = trainer<&T::greater_is_better>, .decides_bits = false,
       .help = "whether that value is the highest; false: the lowest"},
      {.section = "trainer", .name = "save_steps", .value = trainer<&T::save_steps>, .bounds = from(0, kMaxSteps),
       .decides_bits = false, .help = "a checkpoint each so many steps; 0: none"},
      {.section = "trainer", .name = "save_total_limit", .value = trainer<&T::save_total_limit>, .bounds = from(0, kMaxSteps),
       .decides_bits = false, .help = "checkpoints that are kept, the newest; 0: all"},
      {.section = "trainer", .name = "checkpoint_must_save_by", .value = trainer<&T::checkpoint_must_save_by>, .may_be_null = true,
       .decides_bits = false,
       .help = "DD:HH:MM:SS after the program's start, e.g. 00:03:45:00: saves and stops (exit code 75) while there is time for it; null: none"},

      {.section = "trainer.warm_start", .name = "steps", .value = warm_start<&W::steps>, .bounds = from(0, kMaxSteps),
       .help = "steps of supervised fine-tuning; 0: none"},
      {.section = "trainer.warm_start", .name = "problems_per_step", .value = warm_start<&W::problems_per_step>,
       .bounds = from(1, 65536), .help = "over all ranks"},
      {.section = "trainer.warm_start", .name = "learning_rate", .value = warm_start<&W::learning_rate>,
       .bounds = kPositive, .help = "of AdamW, constant"},

      {.section = "sft", .name = "examples_per_step", .value = sft<&F::examples_per_step>, .bounds = from(1, 65536),
       .help = "over all ranks; the last step of the last epoch has what is left"},
      {.section = "sft", .name = "num_train_epochs", .value = sft<&F::num_train_epochs>, .bounds = {.low = 0, .high = 1e6, .above = true},
       .help = "passes over the examples, also parts of one, while trainer.max_steps is -1"},
      {.section = "sft", .name = "max_length", .value = sft<&F::max_length>, .bounds = from(2, kMaxLength),
       .help = "tokens of an example; a longer one is an error that names it, and nothing is ever cut"},
      {.section = "sft", .name = "filter_overlong", .value = sft<&F::filter_overlong>,
       .help = "true: longer examples are left out instead, and counted"},
      {.section = "sft", .name = "stop_token_ids", .value = sft<&F::stop_token_ids>, .bounds = from(0, kMaxSize),
       .help = "tokens that end an assistant's turn, beside those of the model and its tokenizer"},

      {.section = "rm", .name = "pairs_per_step", .value = rm<&B::pairs_per_step>, .bounds = from(1, 65536),
       .help = "over all ranks; the last step of the last epoch has what is left"},
      {.section = "rm", .name = "num_train_epochs", .value = rm<&B::num_train_epochs>, .bounds = {.low = 0, .high = 1e6, .above = true},
       .help = "passes over the pairs, also parts of one, while trainer.max_steps is -1"},
      {.section = "rm", .name = "max_length", .value = rm<&B::max_length>, .bounds = from(2, kMaxLength),
       .help = "tokens of a conversation; a pair with a longer one is an error that names it, and nothing is ever cut"},
      {.section = "rm", .name = "filter_overlong", .value = rm<&B::filter_overlong>,
       .help = "true: such pairs are left out instead, and counted"},
      {.section = "rm", .name = "center_rewards_coefficient", .value = rm<&B::center_rewards_coefficient>, .bounds = {.low = 0, .high = 1e6},
       .help = "weight of the mean square of (score of chosen + score of rejected), which keeps scores around 0"},

      {.section = "comm", .name = "timeout_s", .value = comm<&C::timeout_s>, .bounds = kSeconds, .decides_bits = false,
       .help = "seconds that one collective may take"},
      {.section = "comm", .name = "rollout_timeout_s", .value = comm<&C::rollout_timeout_s>, .bounds = kSeconds,
       .decides_bits = false, .help = "sampling of a step"},
      {.section = "comm", .name = "update_timeout_s", .value = comm<&C::update_timeout_s>, .bounds = kSeconds,
       .decides_bits = false, .help = "update of a step"},
      {.section = "comm", .name = "load_timeout_s", .value = comm<&C::load_timeout_s>, .bounds = kSeconds,
       .decides_bits = false, .help = "loading model and data; before that, MPI_Init and the first meeting of all ranks"},
      {.section = "comm", .name = "reward_timeout_s", .value = comm<&C::reward_timeout_s>, .bounds = kSeconds,
       .decides_bits = false, .help = "for a completion's scores to be there, from its end; later ones are left out"},
      {.section = "comm", .name = "checkpoint_timeout_s", .value = comm<&C::checkpoint_timeout_s>, .bounds = kSeconds,
       .decides_bits = false, .help = "writing or reading a checkpoint"},
      {.section = "comm", .name = "interface", .value = comm<&C::interface>, .decides_bits = false,
       .help = "network interface of NCCL, e.g. ib0, =eth0 or ^docker,lo; empty: as NCCL chooses"},

      {.section = "log", .name = "completions_steps", .value = log<&L::completions_steps>, .bounds = from(0, kMaxSteps),
       .decides_bits = false, .help = "write completions/step_N.jsonl each so many steps; 0: never"},
      {.section = "log", .name = "eval_completions", .value = log<&L::eval_completions>, .decides_bits = false,
       .help = "write the completions of each evaluation to eval/step_N.jsonl"},
      {.section = "log", .name = "progress", .value = log<&L::progress>, .decides_bits = false,
       .help = "show progress while training"},
      {.section = "log", .name = "format", .value = log<&L::format>, .words = {"text", "json"}, .decides_bits = false,
       .help = "of what a run says: text (a live view on a terminal, lines elsewhere), or json: one object a line, also of the summary"},
      {.section = "log", .name = "trace", .value = log<&L::trace>, .decides_bits = false,
       .help = "write trace.json, a timeline of the steps that Perfetto opens"},
      {.section = "log", .name = "tensorboard", .value = log<&L::tensorboard>, .decides_bits = false,
       .help = "write events.out.tfevents.*, the metrics for TensorBoard"},
      {.section = "log", .name = "hooks", .value = log<&L::hooks>, .decides_bits = false, .like = "[\"cat >> all.jsonl\"]",
       .help = "shell commands that run beside the training; each gets every line of metrics.jsonl on standard input"},
      {.section = "log", .name = "hooks_timeout_s", .value = log<&L::hooks_timeout_s>, .bounds = kSeconds, .decides_bits = false,
       .help = "seconds until a hook that reads nothing, or does not end with the run, is killed; the run goes on"},
      // clang-format on
  };
}

}  // namespace

const std::vector<SectionRow>& config_sections() {
  static const std::vector<SectionRow> rows = {
      {.name = "run", .help = "where it runs and what it is called"},
      {.name = "model", .help = "exactly one of path and init"},
      optional_map<&Config::model, &ModelSection::init>("model.init",
                                                        "a model from scratch, reading bytes"),
      optional_map<&Config::model, &ModelSection::lora>("model.lora",
                                                        "train a low-rank adapter, not the weights: docs/lora.md"),
      {.name = "data", .help = "exactly one of train and task"},
      optional_map<&Config::data, &DataSection::curriculum>("data.curriculum", "skip problems by their measured pass rate: docs/algorithms.md"),
      optional_map<&Config::data, &DataSection::task>("data.task", "problems made by cohort"),
      {.name = "reward", .help = "text in, score out; the total is the weighted sum"},
      {.name = "rollout", .help = "how completions are sampled"},
      {.name = "algorithm", .help = "loss, advantages, KL, entropy, reuse: docs/algorithms.md"},
      {.name = "optim", .help = "AdamW and its learning rate"},
      {.name = "trainer", .help = "steps, evaluation, checkpoints"},
      optional_map<&Config::trainer, &TrainerSection::warm_start>(
          "trainer.warm_start", "fine-tuning on the task's solutions before step 1"),
      {.name = "sft", .help = "what cohort sft learns from, instead of rewards: docs/sft.md",
       .present = [](const Config& config) { return config.sft.has_value(); },
       .set_present =
           [](Config& config, bool present) {
             config.sft.reset();
             if (present) config.sft.emplace();
           }},
      {.name = "rm", .help = "what cohort rm makes of pairs of answers: docs/reward-models.md",
       .present = [](const Config& config) { return config.rm.has_value(); },
       .set_present =
           [](Config& config, bool present) {
             config.rm.reset();
             if (present) config.rm.emplace();
           }},
      {.name = "comm", .help = "deadlines: seconds until a silent rank ends the job; the network"},
      {.name = "log", .help = "what is written beside metrics.jsonl"},
  };
  return rows;
}

const std::vector<KeyRow>& config_keys() {
  static const std::vector<KeyRow> rows = [] {
    std::vector<KeyRow> keys = make_keys();
    const auto after = std::ranges::find(keys, "optim", &KeyRow::section);
    const std::vector<KeyRow> algorithm = algorithm_keys();
    keys.insert(after, algorithm.begin(), algorithm.end());
    return keys;
  }();
  return rows;
}

}  // namespace cohort
