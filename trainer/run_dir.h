// The run directory: config, metrics, completions, checkpoints, final model; and whether a run starts anew or goes on.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "comm/comm.h"
#include "core/fd.h"
#include "trainer/config.h"
#include "trainer/metrics.h"
#include "trainer/model_setup.h"
#include "trainer/packs.h"

namespace cohort {

class RunDir {
 public:
  // Called by all ranks; rank 0 decides and writes. run.resume `auto`: goes on from the newest complete checkpoint, else starts
  // anew; PATH: goes on from the newest here that came of that one (trainer/lineage.h), else from it; `never`: starts anew. What an earlier run of another config (or one that must not be
  // resumed) left is moved to NAME.1, NAME.2, ...: nothing is overwritten. Exit code 2 when the folder cannot be written or PATH is no
  // checkpoint.
  // The constructor only looks; begin() decides again, as another process may have worked in the folder meanwhile, and moves and writes.
  RunDir(const Config& config, Comm& comm);
  RunDir(const RunDir&) = delete;
  RunDir& operator=(const RunDir&) = delete;
  // Called by all ranks. Exit code 2 when another process trains in the folder. `check`, if given, refuses a checkpoint to go on from: called on
  // rank 0, before anything is moved.
  using CheckResume = std::function<void(const std::filesystem::path& checkpoint, bool begins_there)>;
  void begin(const Config& config, Comm& comm, const CheckResume& check = {});

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path checkpoints() const { return path_ / "checkpoints"; }
  std::filesystem::path initial() const { return path_ / "initial"; }        // the model of model.init, without weights
  std::filesystem::path warm_start() const { return path_ / "warm_start"; }  // the model after the warm start
  std::filesystem::path final_model() const { return path_ / "final"; }
  std::filesystem::path best_model() const { return path_ / "best"; }        // of trainer.metric_for_best_model
  std::filesystem::path final_merged() const { return path_ / "final_merged"; }  // with model.lora.save_merged
  std::filesystem::path base() const { return path_ / "base"; }  // of an adapter: the model of model.init, with weights

  const std::optional<std::filesystem::path>& resume_from() const { return resume_from_; }
  // From what run.resume names, and not from what has come of it.
  bool begins_at_path() const { return begins_at_path_; }
  const std::string& message() const { return message_; }  // what was decided, for people; may be empty

  // The following write on rank 0 only, and do nothing elsewhere.
  std::string drop_metrics_after(int64_t step) const;  // returns what truncate_metrics does
  // What metrics.jsonl lacks of the steps up to the checkpoint of `step`, for people; "" where it has all, and on other ranks.
  std::string missing_metrics(int64_t step, const Json& lineage) const;
  void append_metrics(const Metrics& metrics) const;
  // Seconds that metrics and completions took since the last call.
  double take_log_seconds() const { return std::exchange(log_seconds_, 0.0); }
  // completions/step_N.jsonl: one line a completion. `names[g]`: the problem's id. The first line of a group has the prompt's text.
  void write_completions(int64_t step, std::span<const Group> groups, std::span<const std::string> names,
                         const std::vector<RewardSpec>& rewards, const Tokenizer& tokenizer) const;
  // eval/NAME.jsonl.
  void write_evaluation(const std::string& name, const std::string& lines) const;
  // Complete or absent: written beside its place and renamed. `masters`: as SaveOptions.
  void write_model(const Policy& policy, const ModelFiles& files, const std::filesystem::path& target,
                   std::span<const float> masters = {}) const;
  // The files as they are; the same.
  void copy_model(const std::filesystem::path& source, const std::filesystem::path& target) const;
  void write_adapter(const LoraAdapter& lora, const ModelFiles& files, const std::string& base, const std::filesystem::path& target) const;

 private:
  void write_folder(const std::filesystem::path& target, const std::function<void(const std::filesystem::path&)>& write) const;
  void lock();
  // Where a run goes on, and what it does with what lies there.
  struct Decision {
    std::string resume;   // a checkpoint; "": it starts anew
    std::string came_of;  // for people
    bool begins_at_path = false, moves_aside = false;
  };
  Decision decide(const Config& config) const;
  void take(const Decision& decision, Comm& comm);
  bool begun_by_this_command(const Config& config) const;
  void set_later_aside();
  void require_shared(Comm& comm) const;
  std::filesystem::path path_;
  bool writes_, begins_at_path_ = false;
  Fd lock_;  // held on rank 0 for as long as the run lasts
  std::optional<std::filesystem::path> resume_from_;
  std::string message_;
  mutable double log_seconds_ = 0;
};

}  // namespace cohort
