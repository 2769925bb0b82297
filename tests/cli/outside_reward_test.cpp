// Runs whose reward is a program of the user's.
#include <gtest/gtest.h>

#include <array>

#include "tests/cli/run_cohort.h"

namespace cohort {
namespace {

std::string command_config(const TemporaryFolder& folder, const std::string& command) {
  std::string rows;
  for (int i = 0; i < 8; ++i) rows += "{\"prompt\": \"say " + std::to_string(i) + "\"}\n";
  std::string config = jsonl_config(folder / "runs", write_all(folder / "rows.jsonl", rows));
  const std::string standard = "{name: last_number}";
  config.replace(config.find(standard), standard.size(), "{name: command, command: [" + command + "]}");
  return write_all(folder / "command.yaml", config);
}

struct Result {
  std::string weights;
  std::vector<Json> rewards;  // of each step
  bool operator==(const Result&) const = default;
};
Result result_of(const std::string& run) {
  Result result{read_all(run + "/final/model.safetensors"), {}};
  std::istringstream lines(read_all(run + "/metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const Json metrics = parse_json(line, "metrics.jsonl");
    result.rewards.push_back({metrics.value("reward", Json()), metrics.at("rewards/command/mean"), metrics.at("rewards/command/none")});
  }
  return result;
}

TEST(CommandRuns, AProgramThatDoesNotStartIsAnErrorOfTheConfig) {
  const TemporaryFolder folder;
  EXPECT_REFUSED(run_cohort({"train", command_config(folder, "no-such-checker")}), 2, "reward 'command': no-such-checker cannot be started: No such file or directory");
  EXPECT_REFUSED(run_cohort({"train", command_config(folder, CHECKER_PROGRAM ", broken")}), 2, "reward 'command': ",
                 "ended with exit code 1; its standard error ends with: ModuleNotFoundError");
  EXPECT_FALSE(std::filesystem::exists(folder / "runs/tiny"));
}

TEST(CommandRuns, LookingAtAConfigStartsNothing) {
  const TemporaryFolder folder;
  const std::string config = command_config(folder, "/bin/sh, -c, \"touch " + (folder / "started") + "\"");
  const Outcome dry = run_cohort({"train", config, "--dry-run"}), plan = run_cohort({"plan", config, "--ranks", "2"});
  EXPECT_EQ(dry.exit_code, 0) << dry.err;
  EXPECT_EQ(plan.exit_code, 0) << plan.err;
  EXPECT_FALSE(std::filesystem::exists(folder / "started"));
  EXPECT_EQ(run_cohort({"train", config}).exit_code, 2);
  EXPECT_TRUE(std::filesystem::exists(folder / "started"));
}

// The checker dies, lies or answers twice for some completions. The run goes on, and its bits do not depend on who asks it.
TEST(CommandRuns, FaultsCostTheSameScoresOnAnyNumberOfRanks) {
  const TemporaryFolder folder;
  const std::string config = command_config(folder, CHECKER_PROGRAM ", noise");
  Result expected;
  const std::string many = "reward=[{name: command, in_flight: 4, workers: 3, command: [" CHECKER_PROGRAM ", noise]}]";
  for (const auto& [name, ranks, override] : std::vector<std::array<std::string, 3>>{
           {"one", "1", "log.completions_steps=1"}, {"two", "2", "log.completions_steps=1"}, {"many", "2", many}}) {
    std::vector<std::string> args = {"-n",    ranks,  "--oversubscribe", COHORT_BINARY,     "train",
                                     config, "--quiet", "run.name=" + name, override};
    if (geteuid() == 0) args.insert(args.begin(), "--allow-run-as-root");  // Open MPI refuses root otherwise
    const Outcome outcome = run_program("mpirun", args);
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    const Result result = result_of(folder / ("runs/" + name));
    ASSERT_EQ(result.rewards.size(), 3u);
    if (name == "one") {
      expected = result;
      double none = 0;
      for (const Json& step : result.rewards) none += step[2].get<double>();
      EXPECT_GT(none, 0) << "some completions hit a fault";
    }
    EXPECT_EQ(result.rewards, expected.rewards) << name;
    EXPECT_TRUE(result.weights == expected.weights) << name;
  }
}

}  // namespace
}  // namespace cohort
