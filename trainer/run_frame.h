// RunFrame: what every run of optimizer steps has around its steps, whatever it learns from: run directory, model, optimizer,
// checkpoints, deadlines, requests to stop, metrics, trace. TrainRun (GRPO) and SftRun stand on it.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "comm/device_comm.h"
#include "comm/signals.h"
#include "comm/watchdog.h"
#include "core/clock.h"
#include "core/trace.h"
#include "trainer/checkpoint.h"
#include "trainer/deadlines.h"
#include "trainer/run_dir.h"
#include "trainer/run_recorder.h"
#include "trainer/save_by.h"
#include "trainer/trackers.h"
#include "trainer/train_observer.h"

namespace cohort {

class RunFrame {
 public:
  int64_t step() const { return state_.step; }  // the last step done
  const Policy& policy() const { return *model_->policy; }
  const Optimizer& optimizer() const { return *optimizer_; }
  // True on every rank when any of them was asked to save and stop, or trainer.checkpoint_must_save_by leaves no time for another step; the
  // checkpoint is then written.
  bool stop_requested();
  void begin_step();
  void save_if_due();

 protected:
  // Only looks at the run directory. `signals` ask to save and stop; null: nobody does. All methods are called by all ranks.
  RunFrame(const Config& config, Comm& comm, Watchdog& watchdog, const StopSignals* signals, TrainObserver& observer, const Exec& ex);
  ~RunFrame();
  RunFrame(const RunFrame&) = delete;
  RunFrame& operator=(const RunFrame&) = delete;

  void enter(const char* section, int64_t step, double deadline_s);
  int64_t next_step() const { return state_.step + 1; }
  // In the order of a start: the config's model, in memory; what a checkpoint must agree with; then, as nothing is left to refuse,
  // the run directory; then the optimizer, whose master weights are read from the folder `masters` where the policy's are roundings of
  // them, and what the checkpoint holds, if there is one.
  void load_model_of_config();
  void identify(const std::string& data_fingerprint);
  void begin_dir();
  void begin_adapter();  // with model.lora: a new one on the policy as it is now; before the optimizer
  void begin_optimizer(const std::filesystem::path& masters);
  bool rounded() const;  // the checkpoint stores more digits than the policy computes with: masters are read from it, and saved

  // What is told of numbers that are not finite before their origin is looked for, which has the deadline of another update.
  std::function<void(const std::string& found)> non_finite_told();
  void end_update();  // when the optimizer has stepped: counts the step
  void drop_metrics_after(int64_t step);  // in all places
  void append_metrics();                  // to all of them
  void write_trace();
  void finish_trackers();  // at the end: rank 0 lets the hooks end, the others wait for it
  double checkpoint_meeting() const;  // how long ranks wait where one may still be writing a checkpoint
  void begin_save();
  void commit_saved(bool wait);
  // What is trained, to `target`: the model, or the adapter alone. With model.lora.save_merged also the model with it, to `merged`, unless
  // that is empty. `own_base`: where the run has written the adapter's base itself; empty: the config says what that is.
  void write_trained(const std::filesystem::path& target, const std::filesystem::path& merged, const std::filesystem::path& own_base = {});

  const Config& config_;
  Comm& comm_;
  int host_ranks_;
  Watchdog& watchdog_;
  const StopSignals* signals_;
  RunRecorder observer_;  // what is told is kept in events.jsonl
  Exec ex_;
  Clock::time_point start_, step_start_;

  RunDir dir_;
  std::optional<Trackers> trackers_;     // on rank 0
  std::optional<Trace> trace_;           // with log.trace
  std::optional<TraceFile> trace_file_;  // of all ranks, on rank 0
  std::unique_ptr<DeviceComm> gpus_;     // of several ranks with run.device: cuda
  std::optional<LoadedModel> model_;
  ModelFiles model_files_;
  std::string reward_config_;  // cohort rm of a language model: the config.json that it gets, as its score is new; else ""
  std::unique_ptr<Optimizer> optimizer_;
  std::optional<CheckpointWriter> checkpoints_;  // reads the optimizer's state
  std::function<void(const std::filesystem::path& checkpoint)> check_resume_;  // refuses one, on rank 0, before the run directory is touched; may be empty
  std::function<void()> before_save_;  // called by all ranks, before a checkpoint of the step done; may be empty
  std::function<Json(const std::filesystem::path& folder)> checkpoint_files_;  // further ones (CheckpointWriter::begin); may be empty
  RunIdentity identity_;
  CheckpointState state_;
  int64_t saved_step_ = -1;  // of the last checkpoint, written or being written
  bool stopped_ = false;
  Metrics metrics_;  // of the step in progress

 private:
  void connect_gpus();
  void release_checkpoint(const Exec& ex);
  void take_up_checkpoint(const std::filesystem::path& checkpoint);
  bool time_is_up();

  SaveBy save_by_;
  std::optional<MeetingDeadline> released_;  // while others may still wait for their disks, in an update
  double trackers_seconds_ = 0;    // of the last step
  double checkpoint_seconds_ = 0;  // that the run stood still for checkpoints, since the last step's metrics
};

}  // namespace cohort
