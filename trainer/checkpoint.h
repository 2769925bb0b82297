// Checkpoints: what a run needs to go on as if it had never stopped, written so that it is either complete or absent.
//
// checkpoints/step_N/ holds shard_K.bin for each logical rank K (float32: master weights, m, v of its span; of an adapter where one
// is trained) and manifest.json, written last. The weights themselves are the rounded masters. Everything else - data order, random
// draws, learning rate - is a function of the config and the step.
#pragma once

#include <cstdint>
#include <atomic>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "comm/comm.h"
#include "core/clock.h"
#include "core/json.h"
#include "trainer/optimizer.h"
#include "trainer/shard_writer.h"

namespace cohort {

// What must agree between a run and the checkpoint that it resumes.
struct RunIdentity {
  std::string config;  // config_identity
  std::string data;    // fingerprint of the training data
  std::string model;   // fingerprint of the parameter table, the dtype and the files beside the weights
  std::string reference;  // fingerprint of the reference's weights; "" without one
  std::string base;       // fingerprint of the weights under an adapter; "" without one
  std::string teacher;    // fingerprint of the teacher's weights; "" without one
  std::string rewards;    // of rewards that are models (rewards_fingerprint); "" without any
};

struct CheckpointState {
  int64_t step = 0;             // the last step done
  int64_t optimizer_steps = 0;
  int64_t num_tokens = 0;       // seen so far, for the metric
  Json extra = Json::object();  // accuracies measured so far; the adaptive entropy bonus
  Json files = Json::object();  // of a loaded checkpoint: further files (trainer/reference.h)
  Json lineage = Json::array();  // trainer/lineage.h; null: of a checkpoint of an older version
};

// Writes one checkpoint at a time while the run goes on. Every rank writes its shards into tmp_step_N/ and flushes them; when all
// have, rank 0 writes the manifest, renames the folder and retires all but the newest `keep` (0: all stay), which are removed meanwhile. What goes wrong
// is thrown by the commit: out of space: exit code 6; a state that is not finite: exit code 5; then there is no checkpoint.
class CheckpointWriter {
 public:
  CheckpointWriter(std::filesystem::path checkpoints, const Optimizer& optimizer, Comm& comm);
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  // Called by all ranks. Not while one is pending. `more`, if given, is called on rank 0 and writes (and flushes) further files into
  // the folder; what it returns is CheckpointState::files of who loads the checkpoint. `free_bytes`: as ShardWriter's.
  void begin(const CheckpointState& state, const RunIdentity& identity, int64_t keep,
             const std::function<Json(const std::filesystem::path& folder)>& more = {}, std::optional<int64_t> free_bytes = {});
  bool pending() const { return writer_.has_value(); }
  // To be called before the optimizer's state changes: what is not read yet is copied.
  void release_state(const Exec& ex, std::optional<int64_t> free_bytes);
  // Waits until this rank has written, or failed to; the ranks' commit then waits for no disk but rank 0's.
  void wait_written();
  // Called by all ranks. The one commits if every rank has written, and says whether it did; the other waits for that.
  bool commit_if_written();
  void commit();
  // What writing this rank's shards of the last commit took.
  double seconds() const { return seconds_; }

 private:
  std::filesystem::path temporary() const;
  void remove_beside_the_run(std::vector<std::filesystem::path> folders);
  void finish_removing();

  std::filesystem::path checkpoints_;
  const Optimizer& optimizer_;
  Comm& comm_;
  CheckpointState state_;
  RunIdentity identity_;
  int64_t keep_ = 0;
  std::optional<ShardWriter> writer_;
  double seconds_ = 0;
  std::atomic<Clock::rep> removes_until_ = Clock::time_point::max().time_since_epoch().count();
  std::thread remover_;  // of old checkpoints, on rank 0; last: it uses what is above
};

// Called by all ranks: begins one and waits for its commit.
void save_checkpoint(const std::filesystem::path& checkpoints, const CheckpointState& state, const RunIdentity& identity,
                     const Optimizer& optimizer, int64_t keep, Comm& comm);

// The newest complete checkpoint of the folder, if there is one; what a kill left half-written is passed over.
std::optional<std::filesystem::path> newest_checkpoint(const std::filesystem::path& checkpoints);

// The steps of the complete checkpoints of the folder, ascending.
std::vector<int64_t> checkpoint_steps(const std::filesystem::path& checkpoints);

// The manifest of a complete checkpoint, verified by its own hash; without that. Exit code 3 where it is missing or was changed.
Json read_manifest(const std::filesystem::path& checkpoint);
// That hash: a name for the checkpoint, wherever it lies.
std::string manifest_hash(const Json& manifest);

// Reads all of a checkpoint's shards and further files, and compares them with its manifest. Exit code 3, naming the file.
void verify_checkpoint(const std::filesystem::path& checkpoint, const Json& manifest);

// Refuses, as load_checkpoint, what the manifest alone tells: all but shards and reference. Before a run directory is touched.
void check_resumable(const std::filesystem::path& checkpoint, const RunIdentity& identity, const Config& config);

// What differs between who wrote the checkpoint and this build on `ranks` ranks, and which promise then holds; empty where
// nothing does (trainer/build_info.h).
std::string resume_note(const std::filesystem::path& checkpoint, int ranks);

// Called by all ranks: reads and verifies the manifest and this rank's shards, and puts the optimizer and the policy's
// weights back. Refused (exit code 3), naming file and reason: an incomplete folder, an unknown format version, a file of
// another size or hash, another model. Another data set or config (exit code 2) is answered with the keys that differ.
// Another build or number of ranks is not refused: see resume_note.
CheckpointState load_checkpoint(const std::filesystem::path& checkpoint, const RunIdentity& identity,
                                const Config& config, Optimizer& optimizer, Comm& comm, const Exec& ex);

}  // namespace cohort
