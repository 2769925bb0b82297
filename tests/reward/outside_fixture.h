// What the tests of outside rewards share.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "core/clock.h"
#include "reward/outside/command.h"
#include "tests/core/expect_error.h"

namespace cohort {

// Completions without prompt or columns; their texts live elsewhere.
inline std::vector<RewardInput> inputs_of(const std::vector<std::string>& completions) {
  std::vector<RewardInput> inputs;
  for (const std::string& completion : completions)
    inputs.push_back({.completion = completion, .finish_reason = "stop", .columns = nullptr});
  return inputs;
}

// Processes whose command line holds `mark`.
inline int count_processes_with(const std::string& mark) {
  int count = 0;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    std::ifstream file(entry.path() / "cmdline", std::ios::binary);
    const std::string command{std::istreambuf_iterator<char>(file), {}};
    if (command.find(mark) != std::string::npos) ++count;
  }
  return count;
}

// Asks until it holds, for up to 20 s; between looks it yields the processor.
template <typename Condition>
bool eventually(Condition condition) {
  const auto end = Clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (Clock::now() > end) return false;
    usleep(1000);
  }
  return true;
}

class CommandTest : public testing::Test {
 protected:
  void SetUp() override {
    std::signal(SIGPIPE, SIG_IGN);  // as in every command of cohort
    start_launcher();
  }
  void TearDown() override { EXPECT_TRUE(eventually([&] { return count_processes_with(mark) == 0; })) << "a process survived"; }

  // Tests run side by side, so the mark tells whose processes they are.
  const std::string mark = "mark-of-" + std::to_string(getpid());
  std::vector<std::string> program(const std::string& start = "") const { return {CHECKER_PROGRAM, start, mark}; }
  RewardSpec spec(Json options = Json::object(), const std::string& start = "") const {
    options["command"] = program(start);
    return {.name = "command", .options = std::move(options)};
  }
  OutsideVerdict judge(const std::string& completion, const Json& options = Json::object()) const {
    const CommandReward reward(spec(options));
    return judge_with(reward, completion);
  }
  static OutsideVerdict judge_with(const CommandReward& reward, const std::string& completion) {
    return reward.judge(inputs_of({completion})).front();
  }
  // No score, of this end, with these words about it; and the next completion has its score.
  void expect_fault(const std::string& completion, OutsideEnd end, const std::string& words,
                    const Json& options = Json::object()) const {
    const CommandReward reward(spec(options));
    const OutsideVerdict verdict = judge_with(reward, completion);
    EXPECT_STREQ(outside_end_name(verdict.end), outside_end_name(end)) << completion;
    EXPECT_EQ(verdict.score, std::nullopt) << completion;
    EXPECT_NE(verdict.reason.find(words), std::string::npos) << words << " in " << verdict.reason;
    EXPECT_EQ(judge_with(reward, "score 0.5").score, 0.5) << "after " << completion;
    EXPECT_EQ(reward.ends()[static_cast<size_t>(end)], 1);
  }
};

}  // namespace cohort
