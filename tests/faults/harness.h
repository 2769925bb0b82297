// Runs of a tiny model on real ranks, with faults or without, and their comparison with the run that nothing happened to.
#pragma once

#include <algorithm>
#include <chrono>
#include <csignal>
#include <memory>
#include <optional>

#include "tests/cli/processes.h"
#include "tests/cli/run_cohort.h"
#include "trainer/checkpoint.h"
#include "trainer/compare_runs.h"

namespace cohort {

constexpr int kDeadline = 5;  // s, of every section and collective of the runs with faults

// Work in every step, a checkpoint after each, any number of ranks up to 8.
// `rollout`: more keys of that section.
inline std::string faults_config(const std::string& runs, int max_steps, const std::string& rollout = "") {
  return "run: {name: whole, threads: 1, dir: " + runs + R"(}
model:
  init: {hidden_size: 32, intermediate_size: 64, num_layers: 2, num_heads: 2, num_kv_heads: 1, max_positions: 64}
  dtype: bfloat16
data: {task: {name: addition, seed: 1, train_size: 4, eval_size: 8}, max_prompt_length: 32}
reward: [{name: last_number}]
rollout: {)" + rollout + R"(num_generations: 4, max_completion_length: 8}
optim: {learning_rate: 1.0e-4}
trainer:
  max_steps: )" + std::to_string(max_steps) + R"(
  prompts_per_step: 4
  logical_ranks: 8
  save_steps: 1
  save_total_limit: 0
  warm_start: {steps: 60, problems_per_step: 4, learning_rate: 5.0e-3}
log: {completions_steps: 1}
)";
}

inline std::vector<std::string> with_deadlines(int seconds) {
  std::vector<std::string> keys;
  for (const char* key : {"timeout_s", "rollout_timeout_s", "update_timeout_s", "load_timeout_s", "reward_timeout_s", "checkpoint_timeout_s"})
    keys.push_back(std::string("comm.") + key + "=" + std::to_string(seconds));
  return keys;
}

// The end of a program that the test gives up on: mpirun, and with it the ranks.
inline Watch not_longer_than(std::chrono::seconds limit) {
  return [end = std::chrono::steady_clock::now() + limit](pid_t child, const std::string&) {
    if (std::chrono::steady_clock::now() < end) return false;
    kill(child, SIGKILL);
    return true;
  };
}

// `mpirun -n RANKS PROGRAM COMMAND CONFIG OVERRIDES...`; one rank is started without mpirun.
inline Outcome run_ranks(const std::string& program, int ranks, const std::string& command, const std::string& config,
                         const std::vector<std::string>& overrides, const Watch& watch) {
  std::vector<std::string> args = {command, config};
  args.insert(args.end(), overrides.begin(), overrides.end());
  if (ranks == 1) return run_program(program, args, "", watch);
  std::vector<std::string> mpirun = {"-n", std::to_string(ranks), "--oversubscribe", "--bind-to", "none", program};
  mpirun.insert(mpirun.end(), args.begin(), args.end());
  if (geteuid() == 0) mpirun.insert(mpirun.begin(), "--allow-run-as-root");  // Open MPI refuses root otherwise
  return run_program("mpirun", mpirun, "", watch);
}

inline Outcome train(const std::string& program, int ranks, const std::string& config, const std::vector<std::string>& overrides,
                     const Watch& watch = not_longer_than(std::chrono::seconds(120))) {
  return run_ranks(program, ranks, "train", config, overrides, watch);
}

// A folder with a config, and the run that nothing happens to, on one rank.
struct World {
  TemporaryFolder folder;
  std::string config;

  explicit World(int max_steps, const std::string& rollout = "")
      : config(write_all(folder / "config.yaml", faults_config(folder / "runs", max_steps, rollout))) {
    setenv("PMIX_MCA_gds", "hash", 0);  // docs/cluster.md: ranks that are killed while they start
    const Outcome whole = train(COHORT_BINARY, 1, config, {"--quiet"});
    if (whole.exit_code != 0) throw std::runtime_error("the reference run failed: " + whole.err);
    std::istringstream lines(read_all(run("whole") + "/metrics.jsonl"));
    for (std::string line; std::getline(lines, line);)
      if (parse_json(line, "metrics")["grad_norm"] == 0.0) throw std::runtime_error("a step without work: " + line);
  }
  std::string run(const std::string& name) const { return folder / ("runs/" + name); }

  // "" when the run is, bit for bit, the one that nothing happened to: metrics, completions, optimizer states, final model.
  std::string difference(const std::string& name) const {
    const RunComparison result = compare_runs(run("whole"), run(name));
    if (result.first)
      return name + ": step " + std::to_string(result.first->step) + ", " + result.first->where + ": " + result.first->a + " | " + result.first->b;
    if (!result.final_models) return name + ": no final model";
    const size_t steps = static_cast<size_t>(result.steps);
    if (steps == 0 || result.checkpoints == 0 || result.completions == 0) return name + ": nothing was compared";
    return "";
  }
};

// Sends `signal` after `seconds` to the `which`-th rank of mpirun (to the process itself where there is no mpirun), or to its
// supervisor. `sent` tells whether it found one.
inline Watch signal_after(double seconds, int signal, int ranks, size_t which, bool supervisor, bool& sent) {
  sent = false;
  const auto at = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  return [=, &sent, guard = not_longer_than(std::chrono::seconds(180))](pid_t child, const std::string& err) {
    if (sent || std::chrono::steady_clock::now() < at) return guard(child, err);
    pid_t target = child;
    if (ranks > 1) {
      const std::vector<pid_t> supervisors = children_of(child);
      if (supervisors.empty()) return guard(child, err);  // not yet
      target = supervisors[which % supervisors.size()];
      const std::vector<pid_t> rank = children_of(target);
      if (!supervisor && rank.empty()) return guard(child, err);
      if (!supervisor) target = rank.front();
    }
    sent = kill(target, signal) == 0;
    return guard(child, err);
  };
}

struct Fault {
  std::string kind, section;
  int64_t step;
  int rank;
  std::string detail;  // the collective, or the number of the call
  std::string text() const { return kind + " " + section + " " + std::to_string(step) + " " + std::to_string(rank) + " " + detail; }
};

struct Struck {
  Outcome outcome;
  std::optional<double> seconds;  // from the fault to the end of the job; nothing: it never came
};

inline Struck train_with_fault(const World& world, const std::string& name, int ranks, const Fault& fault, std::vector<std::string> overrides) {
  const std::string log = world.folder / (name + ".moment");
  setenv("COHORT_FAULT", fault.text().c_str(), 1);
  setenv("COHORT_FAULT_LOG", log.c_str(), 1);
  setenv("COHORT_FAULT_CHECKPOINTS", (world.run(name) + "/checkpoints").c_str(), 1);
  if (std::ranges::find(overrides, "run.name=" + name) == overrides.end()) overrides.push_back("run.name=" + name);
  Struck struck{train(COHORT_WITH_FAULTS, ranks, world.config, overrides), {}};
  for (const char* variable : {"COHORT_FAULT", "COHORT_FAULT_LOG", "COHORT_FAULT_CHECKPOINTS"}) unsetenv(variable);
  const std::chrono::duration<double> now = std::chrono::steady_clock::now().time_since_epoch();
  if (const std::string moment = read_all(log); !moment.empty()) struck.seconds = now.count() - 1e-9 * std::stod(moment);
  return struck;
}

}  // namespace cohort
