// TrainRun: what a train run holds between its steps, and the stages of a step. trainer/grpo.cpp is the order of them.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "comm/signals.h"
#include "core/clock.h"
#include "core/trace.h"
#include "trainer/checkpoint.h"
#include "trainer/dataset.h"
#include "trainer/deadlines.h"
#include "trainer/evaluate.h"
#include "trainer/experience.h"
#include "trainer/generator_setup.h"
#include "trainer/group_filter.h"
#include "trainer/grpo.h"
#include "trainer/run_dir.h"
#include "trainer/update.h"

namespace cohort {

class TrainRun {
 public:
  // Loads data and model, measures the first accuracies, warms up, or goes on from a checkpoint. `signals` ask to save and stop;
  // null: nobody does. Called by all ranks.
  TrainRun(const Config& config, Comm& comm, Watchdog& watchdog, const StopSignals* signals, TrainObserver& observer,
           const Exec& ex);
  ~TrainRun();

  int64_t step() const { return state_.step; }  // the last step done
  const Policy& policy() const { return *model_->policy; }
  const Optimizer& optimizer() const { return *optimizer_; }
  // True on every rank when any of them was asked to save and stop; the checkpoint is then written.
  bool stop_requested();

  void begin_step();
  std::vector<Group> sample_groups();
  void set_advantages(std::vector<Group>& groups);
  void update(const std::vector<Group>& groups);  // and of the reference, when it follows the policy
  void evaluate_if_due();
  void end_step(const std::vector<Group>& groups);
  void save_if_due();
  TrainSummary finish();

 private:
  void enter(const char* section, int64_t step, double deadline_s);
  int64_t next_step() const { return state_.step + 1; }
  void load();
  void start_policy();
  // limit: of its KV cache; nothing: by the config and what is free now.
  std::unique_ptr<Generator> make_generator(Sampling sampling, const Dataset& data, const std::optional<CacheLimit>& limit = {}) const;
  std::filesystem::path warm_start_source() const;
  bool rounded() const;
  const Policy* reference() const;
  void take_up_base(bool warm);
  void write_final();
  void take_up_algorithm_state();
  std::vector<Group> draw_groups(int64_t draw);
  std::optional<double> measure(const char* stage, EvalResult* result = nullptr);
  double checkpoint_meeting() const;  // how long ranks wait where one may still be writing a checkpoint
  void begin_save();
  void release_checkpoint(const Exec& ex);
  void commit_saved(bool wait);
  void warn_of_missing(const std::vector<MissingScores>& missing);
  void write_trace();

  const Config& config_;
  Comm& comm_;
  int host_ranks_;
  Watchdog& watchdog_;
  const StopSignals* signals_;
  TrainObserver& observer_;
  Exec ex_;
  Clock::time_point start_, step_start_;

  TaskData data_;
  RewardSet rewards_;
  RunDir dir_;
  std::optional<Trace> trace_;           // with log.trace
  std::optional<TraceFile> trace_file_;  // of all ranks, on rank 0
  std::optional<LoadedModel> model_;
  ModelFiles model_files_;
  std::unique_ptr<Policy> reference_;  // only with algorithm.beta > 0 and no adapter; follows the policy with ref_model_sync_steps
  std::unique_ptr<Optimizer> optimizer_;
  std::optional<CheckpointWriter> checkpoints_;  // reads the optimizer's state
  std::unique_ptr<Updater> updater_;
  std::unique_ptr<Generator> generator_;
  int64_t step_tokens_ = 0;  // sampled in this step, in so many seconds
  double step_seconds_ = 0;
  std::optional<ActivationTape> tape_;  // of a step's rows, for its update
  ExpectedLengths lengths_;
  std::optional<GroupFilter> filter_;  // with algorithm.filter_groups
  RunIdentity identity_;
  CheckpointState state_;
  int64_t saved_step_ = -1;  // of the last checkpoint, written or being written
  std::optional<MeetingDeadline> released_;  // while others may still wait for their disks, in an update
  double checkpoint_seconds_ = 0;  // that the run stood still for checkpoints, since the last step's metrics
  bool stopped_ = false;

  Metrics metrics_;                 // of the step in progress
  std::vector<std::string> names_;  // of its groups, for messages and files
  std::vector<MissingScores> missing_;  // scores of its groups
  std::set<std::string> warned_;        // rewards and kinds
  std::optional<double> last_accuracy_;
  int64_t evaluated_step_ = -1;
};

}  // namespace cohort
