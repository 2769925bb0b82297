#include "trainer/run_frame.h"

#include <sys/resource.h>

#include <utility>

#include "comm/nccl.h"
#include "core/check.h"
#include "core/free_memory.h"
#include "core/hash.h"
#include "model/lora.h"
#include "model/score_head.h"
#include "trainer/adapter.h"
#include "trainer/generator_setup.h"
#include "trainer/lineage.h"
#include "trainer/ranks_agree.h"

namespace cohort {
namespace {

// Parameters, dtype, and what the files beside the weights say: config, tokenizer, template.
std::string model_fingerprint(const Policy& policy, const ModelFiles& files) {
  std::string text = fmt::format("{}\n{}", dtype_name(policy.dtype), files.fingerprint());
  for (const ParamEntry& entry : policy.table.entries)
    text += fmt::format("\n{} {} {} {}", entry.name, entry.shape[0], entry.shape[1], entry.offset);
  return fingerprint(text);
}

// Before the ranks decide anything together.
const Config& same_on_all_ranks(const Config& config, Comm& comm) {
  check_same_start(config, comm);
  return config;
}

}  // namespace

RunFrame::RunFrame(const Config& config, Comm& comm, Watchdog& watchdog, const StopSignals* signals, TrainObserver& observer,
                   const Exec& ex)
    : config_(config), comm_(comm), host_ranks_(ranks_on_host(comm)), watchdog_(watchdog), signals_(signals), observer_(observer, comm.rank() == 0), ex_(ex),
      start_(Clock::now()), dir_(same_on_all_ranks(config, comm), comm), save_by_(config.trainer.checkpoint_must_save_by) {
  if (config_.log.trace) ex_.trace = &trace_.emplace(comm_.rank());
}

RunFrame::~RunFrame() {
  watchdog_.leave();
  if (!trace_file_) return;
  try {  // what is left when a run fails: of this rank only, as the others may be gone
    trace_file_->append(trace_->take());
  } catch (const std::exception&) {  // the failure itself is what is told
  }
}

void RunFrame::enter(const char* section, int64_t step, double deadline_s) {
  watchdog_.enter(section, step, in_ms(deadline_s));
  observer_.section(section, step);
}

bool RunFrame::stop_requested() {
  commit_saved(/*wait=*/false);
  enter("collective", state_.step, config_.comm.timeout_s);
  const bool asked = signals_ != nullptr && signals_->requested(), late = time_is_up();
  if (!comm_.any(asked || late, "stop request")) return false;
  const std::string why = late ? fmt::format("trainer.checkpoint_must_save_by {}", config_.trainer.checkpoint_must_save_by) : "save and stop requested";
  observer_.message(fmt::format("{}: {}", why, state_.step > 0 ? fmt::format("saving step {}", state_.step) : "no step is done, there is nothing to save"));
  observer_.event("stop", state_.step, late ? why : "asked to save and stop");
  if (state_.step > 0 && saved_step_ != state_.step) begin_save();
  commit_saved(/*wait=*/true);
  stopped_ = true;
  return true;
}

// By rank 0's clock: the ranks stop at the same step. Not before this process has done one: a job that is started again and again must come on.
bool RunFrame::time_is_up() {
  if (signals_ == nullptr || comm_.rank() != 0 || step_start_ == Clock::time_point()) return false;
  save_by_.step_took(seconds_since(step_start_));
  save_by_.checkpoint_took(checkpoints_->seconds());
  return save_by_.is_due(process_age(), config_.rollout.staleness > 0);
}

void RunFrame::begin_step() {
  step_start_ = Clock::now();
  metrics_ = {};
  metrics_.set("step", state_.step + 1);
}

void RunFrame::save_if_due() {
  if (config_.trainer.save_steps > 0 && state_.step % config_.trainer.save_steps == 0) begin_save();
}

double RunFrame::checkpoint_meeting() const { return meeting_timeout(config_, config_.comm.checkpoint_timeout_s); }

// The rest is written while the run goes on.
void RunFrame::begin_save() {
  if (before_save_) before_save_();
  commit_saved(/*wait=*/true);
  enter("checkpoint", state_.step, config_.comm.checkpoint_timeout_s);
  const Span span(ex_.trace, "checkpoint");
  const Clock::time_point start = Clock::now();
  const MeetingDeadline meeting(comm_, config_, checkpoint_meeting());
  std::optional<int64_t> free_bytes = free_memory();
  if (free_bytes) *free_bytes /= host_ranks_;
  checkpoints_->begin(state_, identity_, config_.trainer.save_total_limit,
                      [&](const std::filesystem::path& folder) { return checkpoint_files_ ? checkpoint_files_(folder) : Json::object(); },
                      free_bytes);
  saved_step_ = state_.step;
  checkpoint_seconds_ += seconds_since(start);
}

// The optimizer's state is about to change.
void RunFrame::release_checkpoint(const Exec& ex) {
  if (!checkpoints_->pending()) return;
  enter("checkpoint", saved_step_, config_.comm.checkpoint_timeout_s);
  const Clock::time_point start = Clock::now();
  checkpoints_->release_state(ex, cache_limit(config_, host_ranks_).free_bytes);
  checkpoint_seconds_ += seconds_since(start);
  // The ranks meet once more, when they share their weights, and one may still wait for its disk.
  released_.emplace(comm_, config_, checkpoint_meeting());
  enter("update", next_step(), config_.comm.update_timeout_s + config_.comm.checkpoint_timeout_s);
}

void RunFrame::commit_saved(bool wait) {
  if (!checkpoints_->pending()) return;
  const Span span(ex_.trace, "checkpoint");
  const Clock::time_point start = Clock::now();
  enter("checkpoint", saved_step_, config_.comm.checkpoint_timeout_s);
  if (wait) checkpoints_->wait_written();
  enter("checkpoint", saved_step_, with_grace(checkpoint_meeting()));
  const MeetingDeadline meeting(comm_, config_, checkpoint_meeting());
  if (wait) checkpoints_->commit();
  const bool committed = wait || checkpoints_->commit_if_written();
  if (committed) observer_.event("checkpoint", saved_step_, fmt::format("checkpoints/step_{}", saved_step_));
  checkpoint_seconds_ += seconds_since(start);
}

// What every rank has seen since the last call, into the one file. Called by all ranks.
void RunFrame::write_trace() {
  if (!trace_) return;
  const std::string mine = trace_->take();
  for (const std::vector<std::byte>& bytes : comm_.all_gather(std::as_bytes(std::span(mine)), "trace")) {
    if (!trace_file_ || trace_file_->append({reinterpret_cast<const char*>(bytes.data()), bytes.size()})) continue;
    observer_.message(fmt::format("log.trace: trace.json has reached {} MB; later steps are not in it", TraceFile::kMaxBytes >> 20));
    trace_file_.reset();
  }
}

void RunFrame::finish_trackers() {
  if (!stopped_) observer_.event("end", state_.step, "all steps are done");
  if (config_.log.hooks.empty()) return;
  const double wait_s = meeting_timeout(config_, config_.log.hooks_timeout_s);
  enter("log.hooks", state_.step, with_grace(wait_s));
  const MeetingDeadline meeting(comm_, config_, wait_s);
  if (trackers_) {
    const auto asked = [this] { return signals_ != nullptr && signals_->requested(); };
    const bool before = asked();  // a run that stops on request lets them end as any other
    trackers_->finish([&] { return !before && asked(); });
    for (const std::string& warning : trackers_->take_warnings()) observer_.warning(warning);
  }
  comm_.barrier("log.hooks");
}

// Before anything of the run is on the GPU: NCCL takes memory of its own there.
void RunFrame::connect_gpus() {
  if (ex_.gpu == nullptr || comm_.size() == 1) return;
  gpus_ = make_nccl_comm(comm_, {.interface = config_.comm.interface, .deadline = in_ms(config_.comm.timeout_s), .seen = watchdog_.seen()});
}

void RunFrame::load_model_of_config() {
  connect_gpus();
  const int64_t shards = config_.trainer.logical_ranks;
  logical_range(static_cast<int>(shards), comm_.rank(), comm_.size());
  if (config_.model.init) {  // its files get their place once the run directory is known to be this run's
    model_files_ = initial_model_files(*config_.model.init, config_.model.dtype, config_.rm.has_value());
    model_ = init_model(model_files_, config_.model.dtype, shards, config_.run.seed, ex_);
    model_files_.dtypes.assign(model_->policy->table.entries.size(), model_files_.config_dtype);
    return;
  }
  if (config_.rm) {
    RewardModelStart start = load_as_reward_model(config_.model.path, config_.model.dtype, shards, config_.run.seed, ex_);
    model_ = std::move(start.model);
    reward_config_ = std::move(start.config_json);
  } else {
    model_ = load_model(config_.model.path, config_.model.dtype, shards, ex_);
  }
  model_files_ = read_model_files(model_->source, model_->policy->table, reward_config_);
}

void RunFrame::identify(const std::string& data_fingerprint) {
  identity_ = {config_identity(config_), data_fingerprint, model_fingerprint(*model_->policy, model_files_)};
  check_same_input(data_fingerprint, "the training data", config_.data.train.path.empty() ? "data.train or data.task" : config_.data.train.path, comm_);
  // A GPU's weights came from the same files by way of the same host memory; they are not copied back for this.
  const std::string weights = model_->policy->device == Device::cpu ? weights_fingerprint(*model_->policy) : "";
  check_same_input(fmt::format("{} {}", identity_.model, weights), "the model", model_->source.string(), comm_);
}

void RunFrame::begin_dir() {
  dir_.begin(config_, comm_, [this](const std::filesystem::path& checkpoint, bool begins_there) {
    check_resumable(checkpoint, identity_, config_);
    if (check_resume_) check_resume_(checkpoint);
    // Before anything is moved for its sake. The newest of a run moves nothing, and is verified as it is read.
    if (begins_there) verify_checkpoint(checkpoint, read_manifest(checkpoint));
  });
  if (comm_.rank() == 0) trackers_.emplace(config_.log, dir_.path());
  if (!dir_.message().empty()) observer_.message(dir_.message());
  if (comm_.rank() == 0 && dir_.resume_from())
    if (const std::string note = resume_note(*dir_.resume_from(), comm_.size()); !note.empty()) observer_.message(note);
  if (trace_ && comm_.rank() == 0) trace_file_.emplace(dir_.path() / "trace.json");
  if (config_.model.init) {
    if (comm_.rank() == 0) write_initial_model(model_files_, dir_.initial());
    model_->source = model_files_.source = dir_.initial();
    comm_.barrier("initial model");
  }
}

void RunFrame::begin_adapter() {
  if (!config_.model.lora) return;
  const std::string message = start_adapter(*model_->policy, config_, ex_);
  identity_.base = weights_fingerprint(*model_->policy->lora->base);
  if (comm_.rank() == 0) observer_.message(message);
}

bool RunFrame::rounded() const {
  return !config_.model.init && weights_are_rounded(*model_->policy, model_files_);
}

void RunFrame::begin_optimizer(const std::filesystem::path& masters) {
  optimizer_ = std::make_unique<Optimizer>(*model_->policy, config_.optim, static_cast<int>(config_.trainer.logical_ranks), comm_, gpus_.get(),
                                           numerics_of(config_.run));
  if (rounded() && !model_->policy->lora && !dir_.resume_from())
    optimizer_->set_masters([&](int64_t begin, std::span<float> out) {
      read_masters(model_->policy->table, masters, begin, out);
      if (!reward_config_.empty()) read_score_head(model_->policy->table, config_.run.seed, begin, out);
    }, ex_);
  if (dir_.resume_from()) take_up_checkpoint(*dir_.resume_from());
  checkpoints_.emplace(dir_.checkpoints(), *optimizer_, comm_);
  save_by_.checkpoint_will_be(3.0 * sizeof(float) * static_cast<double>(optimizer_->table().size));  // masters and moments of all ranks, perhaps on one disk
  optimizer_->before_change([this](const Exec& ex) { release_checkpoint(ex); });
}

void RunFrame::take_up_checkpoint(const std::filesystem::path& checkpoint) {
  const MeetingDeadline meeting(comm_, config_, meeting_timeout(config_, config_.comm.load_timeout_s));
  state_ = load_checkpoint(checkpoint, identity_, config_, *optimizer_, comm_, ex_);
  saved_step_ = state_.step;
  if (dir_.begins_at_path()) {
    const Json entry = lineage_entry(checkpoint, config_);
    if (state_.lineage.is_null()) state_.lineage = Json::array();
    state_.lineage.push_back(entry);
    for (const Json& change : entry["changes"])
      observer_.message(fmt::format("run.allow_changes: {}: another run from step {} on", change.get<std::string>(), next_step()));
  }
  drop_metrics_after(state_.step);
  if (const std::string missing = dir_.missing_metrics(state_.step, state_.lineage); !missing.empty()) observer_.warning(missing);
}

std::function<void(const std::string&)> RunFrame::non_finite_told() {
  return [this](const std::string& found) {
    observer_.warning(fmt::format("step {}: {}; looking for where it began", next_step(), found));
    enter("update", next_step(), with_grace(meeting_timeout(config_, config_.comm.update_timeout_s)));
    comm_.set_deadline(in_ms(meeting_timeout(config_, config_.comm.update_timeout_s)));  // no other follows
  };
}

void RunFrame::end_update() {
  released_.reset();
  state_.step += 1;
  state_.optimizer_steps = optimizer_->steps_done();
}

void RunFrame::drop_metrics_after(int64_t step) {
  const std::string damaged = dir_.drop_metrics_after(step);
  observer_.begin(dir_.path(), step, fmt::format("{} rank{}{}{}", comm_.size(), comm_.size() == 1 ? "" : "s", dir_.message().empty() ? "" : ", ", dir_.message()));
  if (!damaged.empty()) observer_.warning(damaged);
  if (trackers_) trackers_->drop_after(step);
}

void RunFrame::append_metrics() {
  struct rusage usage {};
  getrusage(RUSAGE_SELF, &usage);
  metrics_.set("perf/peak_memory_gb", static_cast<double>(usage.ru_maxrss) * 1024 / 1e9);
  metrics_.set("timing_s/checkpoint", std::exchange(checkpoint_seconds_, 0.0));
  metrics_.set("timing_s/checkpoint_write", checkpoints_->seconds());
  metrics_.set("timing_s/log", dir_.take_log_seconds() + observer_.take_seconds() + std::exchange(trackers_seconds_, 0.0));
  metrics_.set("timing_s/step", seconds_since(step_start_));
  dir_.append_metrics(metrics_);
  if (!trackers_) return;
  const Clock::time_point start = Clock::now();
  trackers_->write(metrics_);
  for (const std::string& warning : trackers_->take_warnings()) observer_.warning(fmt::format("step {}: {}", state_.step, warning));
  trackers_seconds_ = seconds_since(start);
}

void RunFrame::write_trained(const std::filesystem::path& target, const std::filesystem::path& merged, const std::filesystem::path& own_base) {
  const Policy& policy = *model_->policy;
  if (!policy.lora)
    return dir_.write_model(policy, model_files_, target, rounded() ? optimizer_->gather_masters() : std::vector<float>());
  std::filesystem::path base = own_base;
  if (base.empty() && config_.model.init) dir_.write_model(*policy.lora->base, model_files_, base = dir_.base());
  const std::filesystem::path beside = "..";  // so that a run directory may move
  dir_.write_adapter(*policy.lora, model_files_, base.empty() ? config_.model.path : (beside / base.filename()).string(), target);
  if (merged.empty() || comm_.rank() != 0) return;
  if (!config_.model.lora->save_merged) {
    std::filesystem::remove_all(merged);  // of an earlier end of this run: it would not be this adapter's
    return;
  }
  dir_.write_model(policy, model_files_, merged, rounded() ? merged_masters(policy, base.empty() ? model_->source : base) : std::vector<float>());
}

}  // namespace cohort
