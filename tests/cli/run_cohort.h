// Runs the built program as a user does, and makes the small files it is given.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "core/json.h"

namespace cohort {

struct Outcome {
  int exit_code;  // -1: ended by a signal
  std::string out, err;

  std::vector<Json> records() const {
    std::vector<Json> result;
    std::istringstream lines(out);
    for (std::string line; std::getline(lines, line);) {
      result.push_back(parse_json(line, "standard output"));
    }
    return result;
  }
};

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "cohort-test-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder " + name);
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  std::string str() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

inline std::string read_all(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

inline std::string write_all(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

// Looks at what a running program has written to standard error; true: it need not be asked again.
using Watch = std::function<bool(pid_t child, const std::string& err)>;

// Runs `program ARGS...` (found by PATH) with `input` on its standard input.
inline Outcome run_program(const std::string& program, std::vector<std::string> args, const std::string& input = "",
                           const Watch& watch = {}) {
  const TemporaryFolder folder;
  const std::string in = write_all(folder / "in", input), out = folder / "out",
                    err = folder / "err";
  args.insert(args.begin(), program);
  std::vector<char*> argv;
  for (std::string& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    const bool ready = freopen(in.c_str(), "r", stdin) && freopen(out.c_str(), "w", stdout) &&
                       freopen(err.c_str(), "w", stderr);
    if (ready) execvp(argv[0], argv.data());
    _exit(127);
  }
  if (child < 0) throw std::runtime_error("no child");
  int status = 0;
  bool watching = static_cast<bool>(watch);
  while (waitpid(child, &status, watching ? WNOHANG : 0) != child) {
    if (watching && watch(child, read_all(err))) watching = false;
    if (watching) usleep(2000);  // between looks; the wait itself is for the child
  }
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_all(out), read_all(err)};
}

// Runs `cohort ARGS...`.
inline Outcome run_cohort(const std::vector<std::string>& args, const std::string& input = "", const Watch& watch = {}) {
  return run_program(COHORT_BINARY, args, input, watch);
}

// A run that takes a second: a model of two layers from scratch, a built-in task, three steps.
inline std::string tiny_config(const std::string& runs) {
  return "run: {name: tiny, threads: 1, dir: " + runs + R"(}
model:
  init: {hidden_size: 32, intermediate_size: 64, num_layers: 2, num_heads: 2, num_kv_heads: 1, max_positions: 64}
  dtype: float32
data:
  task: {name: addition, seed: 1, train_size: 32, eval_size: 8}
  max_prompt_length: 32
reward:
  - {name: last_number}
rollout: {num_generations: 4, max_completion_length: 8}
optim: {learning_rate: 1.0e-3}
trainer: {max_steps: 3, prompts_per_step: 2, logical_ranks: 2, save_steps: 2}
log: {completions_steps: 1}
)";
}

// A config with a JSONL file in place of the task.
inline std::string jsonl_config(const std::string& runs, const std::string& data) {
  std::string text = tiny_config(runs);
  const std::string task = "task: {name: addition, seed: 1, train_size: 32, eval_size: 8}";
  text.replace(text.find(task), task.size(), "train: " + data);
  return text;
}

// A folder with a trained tiny model; throws when training fails.
class TrainedModel {
 public:
  TrainedModel() {
    const std::string config = write_all(folder / "tiny.yaml", tiny_config(folder / "runs"));
    outcome = run_cohort({"train", config});
    if (outcome.exit_code != 0) throw std::runtime_error("cohort train failed: " + outcome.err);
  }
  TemporaryFolder folder;
  Outcome outcome;
  std::string config() const { return folder / "tiny.yaml"; }
  std::string run() const { return folder / "runs/tiny"; }
  std::string model() const { return folder / "runs/tiny/final"; }
};

}  // namespace cohort

// One line about the mistake with the words in it, nothing on standard output, and the exit code.
#define EXPECT_REFUSED(outcome, code, ...)                                                   \
  do {                                                                                       \
    const ::cohort::Outcome& refused = (outcome);                                            \
    EXPECT_EQ(refused.exit_code, code) << refused.err;                                       \
    EXPECT_EQ(refused.out, "");                                                              \
    EXPECT_EQ(refused.err.rfind("cohort: error: ", 0), 0u) << refused.err;                   \
    for (const std::string& word : std::vector<std::string>{__VA_ARGS__}) {                  \
      EXPECT_NE(refused.err.find(word), std::string::npos) << word << " in " << refused.err; \
    }                                                                                        \
  } while (false)
