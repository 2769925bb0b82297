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
#include "trainer/evaluate.h"
#include "trainer/experience.h"
#include "trainer/generator_setup.h"
#include "trainer/grpo.h"
#include "trainer/run_dir.h"
#include "trainer/update.h"

namespace cohort {

class TrainRun {
 public:
  // Loads data and model, measures the first accuracies, warms up, or goes on from a checkpoint. Called by all ranks.
  TrainRun(const Config& config, Comm& comm, Watchdog& watchdog, TrainObserver& observer, const Exec& ex);
  ~TrainRun();

  int64_t step() const { return state_.step; }  // the last step done
  // True on every rank when any of them was asked to save and stop; the checkpoint is then written.
  bool stop_requested();

  void begin_step();
  std::vector<Group> sample_groups();
  void set_advantages(std::vector<Group>& groups);
  void update(const std::vector<Group>& groups);
  void evaluate_if_due();
  void end_step(const std::vector<Group>& groups);
  void save_if_due();
  TrainSummary finish();

 private:
  void enter(const char* section, double deadline_s);
  void load();
  void start_policy();
  std::unique_ptr<Generator> make_generator(Sampling sampling, const Dataset& data) const;
  std::filesystem::path warm_start_source() const;
  bool rounded() const;
  std::optional<double> measure(const char* stage, EvalResult* result = nullptr);
  void warn_of_missing(const std::vector<MissingScores>& missing);
  void save();
  void write_trace();

  const Config& config_;
  Comm& comm_;
  int host_ranks_;
  Watchdog& watchdog_;
  TrainObserver& observer_;
  Exec ex_;
  StopSignals signals_;
  Clock::time_point start_, step_start_;

  TaskData data_;
  RewardSet rewards_;
  RunDir dir_;
  std::optional<Trace> trace_;           // with log.trace
  std::optional<TraceFile> trace_file_;  // of all ranks, on rank 0
  std::optional<LoadedModel> model_;
  ModelFiles model_files_;
  std::unique_ptr<Policy> reference_;  // only with algorithm.beta > 0
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<Updater> updater_;
  std::unique_ptr<Generator> generator_;
  std::optional<ActivationTape> tape_;  // of a step's rows, for its update
  ExpectedLengths lengths_;
  RunIdentity identity_;
  CheckpointState state_;
  int64_t saved_step_ = -1;
  bool stopped_ = false;

  Metrics metrics_;                 // of the step in progress
  std::vector<std::string> names_;  // of its groups, for messages and files
  std::vector<MissingScores> missing_;  // scores of its groups
  std::set<std::string> warned_;        // rewards and kinds
  std::optional<double> last_accuracy_;
  int64_t evaluated_step_ = -1;
};

}  // namespace cohort
