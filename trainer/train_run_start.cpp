// How a run begins (train_run.h): its data, its model, and the policy as the checkpoint or the warm start leaves it.
#include <algorithm>
#include <utility>

#include "core/check.h"
#include "trainer/deadlines.h"
#include "model/device.h"
#include "model/lora.h"
#include "trainer/memory_plan.h"
#include "trainer/model_rewards.h"
#include "trainer/reference.h"
#include "trainer/train_run.h"
#include "trainer/warm_start.h"
#include "trainer/whole_model.h"

namespace cohort {

void TrainRun::load() {
  observer_.stage("loading", 0, 1);
  const MeetingDeadline meeting(comm_, config_, meeting_timeout(config_, config_.comm.load_timeout_s));
  // What can be refused is refused before the run directory is touched.
  rewards_ = make_rewards(config_, ex_);
  CHECK_USAGE(config_.trainer.metric_for_best_model.find("/maj@") == std::string::npos || rewards_.reward(0).takes_answers(),
              "trainer.metric_for_best_model: found {}, but the first reward, '{}', takes no answers from completions to vote on; allowed: another metric, "
              "or exact, last_number, math or reasoning_gym first in the list of rewards", config_.trainer.metric_for_best_model,
              rewards_.specs()[0].name);
  data_ = load_data(config_.data);
  load_model_of_config();
  for (Dataset* data : {&data_.train, &data_.eval})
    encode_prompts(*data, model_->tokenizer, model_->chat_template, config_.data, model_->policy->config.vocab_size);
  identify(data_.train.fingerprint);
  if (!config_.algorithm.teacher.empty()) {
    teacher_model_config(config_);  // so that what is wrong with its folder is said of this key
    teacher_.emplace(config_, *model_, ex_);
    identity_.teacher = weights_fingerprint(teacher_->policy());
  }
  identity_.rewards = rewards_fingerprint(rewards_);
  CHECK_USAGE(!stop_tokens(*model_).empty(), "{}: neither config.json nor the tokenizer names a token that ends a completion",
              model_->source.string());
  make_generator(Sampling::training, data_.train)->cache_size().require_free();
  if (!data_.eval.problems.empty()) make_generator(Sampling::evaluation, data_.eval);
  check_resume_ = [this](const std::filesystem::path& checkpoint) { check_warm_start(checkpoint); };
  if (dir_.resume_from()) check_resumable(*dir_.resume_from(), identity_, config_), check_warm_start(*dir_.resume_from());

  begin_dir();
  observer_.stage("loading", 1, 1);
}

// Its memory is taken when it is used.
std::unique_ptr<Generator> TrainRun::make_generator(Sampling sampling, const Dataset& data, const std::optional<CacheLimit>& limit) const {
  const int64_t sequences = sampling == Sampling::evaluation ? std::ssize(data.problems) * config_.rollout.num_generations_eval
                                                             : config_.trainer.prompts_per_step * config_.rollout.num_generations;
  GeneratorConfig generator = generator_config(config_, *model_, sampling, sequences, comm_, host_ranks_);
  if (limit) generator.kv_cache = *limit;
  const Policy& policy = overlap_ && sampling == Sampling::training ? overlap_->policy() : *model_->policy;
  return std::make_unique<Generator>(policy, generator, longest_prompt(data));
}

namespace {

// With the checkpoint, which may be of a run under another name.
std::filesystem::path warm_start_of(const std::filesystem::path& checkpoint) { return checkpoint.parent_path().parent_path() / "warm_start"; }

}  // namespace

// Where the model after the warm start lies.
std::filesystem::path TrainRun::warm_start_source() const { return dir_.resume_from() ? warm_start_of(*dir_.resume_from()) : dir_.warm_start(); }

// The reference of the KL term, and what is under an adapter, are no part of a checkpoint.
void TrainRun::check_warm_start(const std::filesystem::path& checkpoint) const {
  const bool warm = config_.trainer.warm_start && config_.trainer.warm_start->steps > 0;
  if (!warm || (config_.algorithm.beta == 0 && !config_.model.lora)) return;
  CHECK_INPUT(std::filesystem::exists(warm_start_of(checkpoint) / "config.json"),
              "{}: not found; {} needs the model after the warm start, which lies in the run directory beside checkpoints/: copy the folder warm_start of "
              "the run that wrote {} there, or name the checkpoint in that run", warm_start_of(checkpoint).string(),
              config_.model.lora ? "model.lora" : "algorithm.beta", checkpoint.string());
}

// The adapter is new; its base is what the run began with, or what a warm start made of it.
void TrainRun::take_up_base(bool warm) {
  if (warm && dir_.resume_from()) {  // a checkpoint holds no more than the adapter
    model_->policy.reset();
    LoadedModel warmed = load_model(warm_start_source(), config_.model.dtype, config_.trainer.logical_ranks, ex_);
    model_->policy = std::move(warmed.policy);
    if (warm_start_source() != dir_.warm_start())
      dir_.copy_model(warm_start_source(), dir_.warm_start());
  }
  begin_adapter();
  if (config_.algorithm.beta > 0) identity_.reference = identity_.base;
}

// With an adapter: the same weights without it, which are there anyway.
const Policy* TrainRun::reference() const {
  if (config_.algorithm.beta == 0) return nullptr;
  return model_->policy->lora ? model_->policy->lora->base.get() : reference_.get();
}

// What of the algorithm has moved since step 0.
void TrainRun::take_up_algorithm_state() {
  if (config_.algorithm.ref_model_sync_steps > 0)
    read_reference(*reference_, *dir_.resume_from(), state_.files.value("reference", Json()), ex_);
  if (filter_)
    filter_->load(*dir_.resume_from(), state_.files.value("groups", Json()), data_.train, model_->tokenizer);
  if (curriculum_) curriculum_->load(*dir_.resume_from(), state_.files.value("curriculum", Json()));
  if (samples_ahead(config_, state_.step))
    next_ = load_batch(*dir_.resume_from(), state_.files.value("batch", Json()), data_.train, model_->tokenizer);
  take_up_best();
  if (!config_.algorithm.use_adaptive_entropy) return;
  const std::string where = (*dir_.resume_from() / "manifest.json").string();
  const Json state = state_.extra.value("entropy_bonus", Json());
  CHECK_INPUT(state.is_array() && state.size() == 2 && state[0].is_number() && state[1].is_number(),
              "{}: 'extra' has no 'entropy_bonus' of two numbers, which algorithm.use_adaptive_entropy goes on with", where);
  updater_->entropy_bonus().coefficient = state[0].get<double>();
  updater_->entropy_bonus().last_entropy = state[1].get<double>();
}

// The weights that training starts from: the checkpoint's, or the loaded ones after the warm start.
void TrainRun::start_policy() {
  const bool warm = config_.trainer.warm_start && config_.trainer.warm_start->steps > 0;
  if (!dir_.resume_from()) {
    drop_metrics_after(0);
    if (config_.trainer.eval_before)
      if (const auto accuracy = measure("accuracy before", "step_0")) {
        state_.extra["accuracy_before"] = *accuracy;
        remember_evaluation("before");
      }
    if (warm) {
      enter("warm start", 0, config_.comm.update_timeout_s);
      const std::vector<float> masters =
          warm_start(*model_, data_.train, stop_tokens(*model_).front(), rounded(), config_, comm_, gpus_.get(), ex_,
                     [&](int64_t done, int64_t total) {
                       observer_.stage("warm start", done, total);
                       write_trace();
                     });
      enter("checkpoint", 0, config_.comm.checkpoint_timeout_s);
      {
        const MeetingDeadline meeting(comm_, config_, checkpoint_meeting());
        dir_.write_model(*model_->policy, model_files_, dir_.warm_start(), masters);
        comm_.barrier("warm start");
      }
      if (const auto accuracy = measure("accuracy after warm start", "warm_start")) {
        state_.extra["accuracy_after_warm_start"] = *accuracy;
        remember_evaluation("after warm start");
      }
    }
  }
  if (config_.model.lora) take_up_base(warm);
  if (config_.algorithm.beta > 0 && !config_.model.lora) {
    const int64_t shards = config_.trainer.logical_ranks;
    constexpr PolicyUse kUse = PolicyUse::inference;
    // The folder, not a copy of what is in memory: a resumed run must get the very same reference.
    LoadedModel reference =
        warm ? load_model(warm_start_source(), config_.model.dtype, shards, ex_, kUse)
        : config_.model.init
            ? init_model(dir_.initial(), config_.model.dtype, shards, config_.run.seed, ex_)
            : load_model(config_.model.path, config_.model.dtype, shards, ex_, kUse);
    reference_ = std::move(reference.policy);
    identity_.reference = weights_fingerprint(*reference_);
    if (warm && warm_start_source() != dir_.warm_start())
      dir_.copy_model(warm_start_source(), dir_.warm_start());
  }
  begin_optimizer(warm ? warm_start_source() : model_->source);
  if (!config_.algorithm.token_weight_pattern.empty()) token_weights_.emplace(config_.algorithm);
  updater_ = std::make_unique<Updater>(*model_->policy, reference(), *optimizer_, config_, comm_);
  updater_->on_non_finite(non_finite_told());
  order_.emplace(data_.train, config_.run.seed, config_.data.shuffle);
  if (config_.data.curriculum) curriculum_.emplace(*config_.data.curriculum, config_.reward, std::ssize(data_.train.problems));
  if (config_.algorithm.filter_groups) filter_.emplace(config_.algorithm.filter_groups_metric, config_.reward);
  if (dir_.resume_from()) take_up_algorithm_state();
  // What comes after cache and tape (gradients, activations, buffers) is left free, by the estimate that --dry-run prints.
  const TrainingPlan plan{.model = model_->policy->config, .config = config_, .ranks = comm_.size(),
                          .longest_prompt = longest_prompt(data_.train), .loaded_as = model_->policy->dtype, .threads = ex_.pool->size()};
  std::optional<int64_t> free_bytes = cache_limit(config_, host_ranks_).free_bytes;
  const std::optional<GpuMemory> on_gpu = gpu_memory();
  if (free_bytes) *free_bytes += on_gpu ? on_gpu->total - on_gpu->free : taken_memory();
  const MemoryRoom room = memory_room(plan, free_bytes);
  if (config_.rollout.staleness > 0) overlap_.emplace(*model_->policy, ex_);
  generator_ = make_generator(Sampling::training, data_.train, planned_cache_limit(plan, room));
  generator_->cache_size().require_free();
  const TapeSize tape = planned_tape(plan, room, generator_->cache_size());
  if (tape.slots > 0)
    tape_.emplace(model_->policy->config, model_->policy->dtype, tape.slots, tape_rows(config_), model_->policy->device);
  if (comm_.rank() != 0) return;
  observer_.message(generator_->cache_size().text());
  if (tape_) observer_.message(tape.text());
}

}  // namespace cohort
