// Replay: runs one step of an earlier run once more, from a checkpoint before it, and says whether the bits are the same.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "comm/comm.h"
#include "comm/watchdog.h"
#include "model/exec.h"
#include "trainer/compare_runs.h"
#include "trainer/config.h"
#include "trainer/train_observer.h"

namespace cohort {

struct ReplayRequest {
  std::filesystem::path run;          // its run directory, which is only read
  int64_t step = 1;
  bool from_start = false;            // from the weights that the run began with; false: from the newest checkpoint before `step`
  std::filesystem::path scratch = {};  // where a folder for the replay's own files is made, gone at the end; empty: TMPDIR
};

struct Replay {
  bool different = false;    // on every rank; where and what, rank 0 knows
  RunComparison comparison;  // A: the run, B: the replay. Of the steps from `first_step` on
  int64_t first_step = 0;    // the first that was run again
  std::string from;          // "checkpoints/step_4", or "the start"
  bool state = false;        // a checkpoint of `step` is there, and weights and optimizer state were compared with it
  std::string build_note;    // how this build differs from the one that wrote the checkpoint, and which promise holds
};

// The config that the run kept, with overrides of what cannot change its bits (run.threads, data.train where the file was
// moved). Exit code 2 for a step that the run has not done, and for an override that changes the bits; 3 where `run` is no run
// directory or its model or data are gone.
Config replay_config(const ReplayRequest& request, const std::vector<std::string>& overrides);

// Runs the steps from the checkpoint up to `step` with the loop of cohort train or sft, and compares each with what the run recorded:
// metrics but measured ones, completions, and the state where there is a checkpoint of `step`. Called by all ranks; any
// number that the config allows. Exit code 2 where no checkpoint lies before `step`, 3 where model or data are others.
Replay replay(const ReplayRequest& request, Config config, Comm& comm, Watchdog& watchdog, TrainObserver& observer, const Exec& ex);

}  // namespace cohort
