// Whole runs of a tiny model with run.device: cuda, over the emulator.
#pragma once

#include <algorithm>
#include <cstdlib>

#include "tests/cli/run_cohort.h"
#include "trainer/metrics.h"

namespace cohort {

// EMULATED_CUDA (emulator/settings.h) of the programs that are started while this lives.
class EmulatedCuda {
 public:
  explicit EmulatedCuda(const std::string& settings) { setenv("EMULATED_CUDA", settings.c_str(), 1); }
  ~EmulatedCuda() { unsetenv("EMULATED_CUDA"); }
};

inline std::vector<Json> metrics_of(const std::string& run) {
  std::istringstream lines(read_all(run + "/metrics.jsonl"));
  std::vector<Json> steps;
  for (std::string line; std::getline(lines, line);) {
    const Json metrics = parse_json(line, "metrics.jsonl");
    Json kept = Json::object();
    for (const auto& [name, value] : metrics.items())
      if (!is_measured(name)) kept[name] = value;
    steps.push_back(kept);
  }
  return steps;
}

// A run of the tiny model that learns something: it knows a few sums by heart.
struct TinyProgram {
  TinyProgram() {
    std::string text = tiny_config(folder / "runs");
    const auto replace = [&](const std::string& from, const std::string& to) { text.replace(text.find(from), from.size(), to); };
    replace("train_size: 32, eval_size: 8", "train_size: 4, eval_size: 4");
    replace("logical_ranks: 2", "logical_ranks: 2, warm_start: {steps: 40, problems_per_step: 4, learning_rate: 5.0e-3}");
    replace("dtype: float32", "dtype: bfloat16");
    config = write_all(folder / "tiny.yaml", text);
  }
  Outcome train(const std::string& name, std::vector<std::string> overrides = {}, const Watch& watch = {}) const {
    const bool on_cpu = std::ranges::find(overrides, "run.device=cpu") != overrides.end();
    std::vector<std::string> args = {"train", config, "run.name=" + name};
    if (!on_cpu) args.push_back("run.device=cuda");
    args.insert(args.end(), overrides.begin(), overrides.end());
    return run_cohort(args, "", watch);
  }
  Outcome train_on_ranks(int ranks, const std::string& name, std::vector<std::string> overrides = {}, const Watch& watch = {}) const {
    std::vector<std::string> args = {"-n", std::to_string(ranks), "--oversubscribe", COHORT_BINARY, "train", config,
                                     "run.name=" + name, "run.device=cuda"};
    args.insert(args.end(), overrides.begin(), overrides.end());
    if (geteuid() == 0) args.insert(args.begin(), "--allow-run-as-root");  // Open MPI refuses root otherwise
    return run_program("mpirun", args, "", watch);
  }
  std::string run(const std::string& name) const { return folder / ("runs/" + name); }
  std::string model(const std::string& name) const { return read_all(run(name) + "/final/model.safetensors"); }

  TemporaryFolder folder;
  std::string config;
};

}  // namespace cohort
