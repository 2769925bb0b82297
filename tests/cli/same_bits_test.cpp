// A run is a function of its config: the same bits for any number of ranks and threads, and across save and resume.
#include <array>
#include <csignal>
#include <cstdio>

#include "tests/cli/sharper_run.h"
#include "trainer/metrics.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

std::string same_bits_config(const std::string& runs) {
  return with_replaced(sharper_config(runs, 3), "dtype: float32", "dtype: bfloat16");
}

// metrics.jsonl without the fields that are times or memory.
std::string metrics_of(const std::string& run) {
  std::istringstream lines(read_all(run + "/metrics.jsonl"));
  std::string text;
  for (std::string line; std::getline(lines, line);) {
    const Json metrics = parse_json(line, "metrics.jsonl");
    Json kept = Json::object();
    for (const auto& [name, value] : metrics.items())
      if (!is_measured(name)) kept[name] = value;
    text += dump_json(kept) + "\n";
  }
  return text;
}

// The smallest part of the rows of a step's update that sampling had kept.
double least_reused(const std::string& run) {
  std::istringstream lines(read_all(run + "/metrics.jsonl"));
  double least = 1;
  for (std::string line; std::getline(lines, line);) least = std::min(least, parse_json(line, "metrics.jsonl").value("perf/reused_rows", 1.0));
  return least;
}

struct Result {
  std::string metrics, weights, completions;
  bool operator==(const Result&) const = default;
};
Result result_of(const std::string& run) {
  return {metrics_of(run), read_all(run + "/final/model.safetensors"), read_all(run + "/completions/step_5.jsonl")};
}

TEST(SameBits, ForAnyNumberOfRanksAndThreads) {
  const TemporaryFolder folder;
  const std::string config = write_all(folder / "c.yaml", same_bits_config(folder / "runs"));
  ASSERT_EQ(run_cohort({"train", config, "--quiet", "run.name=one"}).exit_code, 0);
  const Result expected = result_of(folder / "runs/one");
  ASSERT_FALSE(expected.weights.empty());
  // It learnt something, with the very log-probs that were sampled.
  EXPECT_NE(expected.metrics.find("\"sampling/sampling_logp_difference/max\":0.0"), std::string::npos) << expected.metrics;
  const Outcome threads = run_cohort({"train", config, "--quiet", "run.name=threads", "run.threads=2"});
  ASSERT_EQ(threads.exit_code, 0) << threads.err;
  EXPECT_TRUE(result_of(folder / "runs/threads") == expected);
  EXPECT_EQ(least_reused(folder / "runs/one"), 1) << "no row is run forward twice";
  for (const int ranks : {1, 2, 3, 4}) {
    const std::string name = "ranks" + std::to_string(ranks);
    const Outcome outcome = train_on_ranks(ranks, config, {"run.name=" + name, "trainer.reuse_activations=" + std::string(ranks == 1 ? "false" : "true")});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    const Result result = result_of(folder / ("runs/" + name));
    EXPECT_EQ(result.metrics, expected.metrics) << ranks;
    EXPECT_TRUE(result.weights == expected.weights) << ranks;
    EXPECT_TRUE(result.completions == expected.completions) << ranks;
    const double reused = least_reused(folder / ("runs/" + name));
    // On 4 ranks a share is 3 of a prompt's 4 completions: no rank has sampled all rows behind a prompt.
    EXPECT_TRUE(ranks == 1 || ranks == 4 ? reused == 0 : reused > 0.3) << reused << " of the rows on " << ranks << " ranks";
  }
}

TEST(SameBits, WhoeverMakesACompletion) {
  const TemporaryFolder folder;
  const std::string config = write_all(folder / "c.yaml", same_bits_config(folder / "runs"));
  ASSERT_EQ(run_cohort({"train", config, "--quiet", "run.name=one"}).exit_code, 0);
  const Result expected = result_of(folder / "runs/one");
  double stolen = 0;
  for (const int ranks : {1, 2, 3, 4}) {
    const std::string name = "ranks" + std::to_string(ranks);
    const Outcome outcome =
        train_on_ranks(ranks, config, {"run.name=" + name, "rollout.load_balancing=work_stealing", "rollout.max_num_seqs=1"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    const Result result = result_of(folder / ("runs/" + name));
    EXPECT_EQ(result.metrics, expected.metrics) << ranks;
    EXPECT_TRUE(result.weights == expected.weights) << ranks;
    EXPECT_TRUE(result.completions == expected.completions) << ranks;
    std::istringstream lines(read_all(folder / ("runs/" + name + "/metrics.jsonl")));
    for (std::string line; std::getline(lines, line);) stolen += parse_json(line, "metrics.jsonl").at("perf/stolen_completions").get<double>();
  }
  EXPECT_GT(stolen, 0);
}

TEST(SameBits, AcrossResumeOnAnotherNumberOfRanks) {
  const TemporaryFolder folder;
  const std::string config = write_all(folder / "c.yaml", same_bits_config(folder / "runs"));
  ASSERT_EQ(run_cohort({"train", config, "--quiet", "run.name=whole"}).exit_code, 0);
  ASSERT_EQ(train_on_ranks(3, config, {"run.name=parts"}).exit_code, 0);
  // As if the run had been killed after step 5: the checkpoint of step 3 is all that counts.
  fs::remove_all(folder / "runs/parts/final");
  const Outcome resumed = train_on_ranks(2, config, {"run.name=parts"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_TRUE(result_of(folder / "runs/parts") == result_of(folder / "runs/whole"));
}

TEST(SameBits, MoreRanksThanLogicalRanksAreRefused) {
  const TemporaryFolder folder;
  const std::string config = write_all(folder / "c.yaml", tiny_config(folder / "runs"));
  const Outcome outcome = train_on_ranks(3, config, {});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_NE(outcome.err.find("trainer.logical_ranks is 2"), std::string::npos) << outcome.err;
}

TEST(SameBits, SaveAndStopThenContinue) {
  const TemporaryFolder folder;
  const std::string config = write_all(folder / "c.yaml", same_bits_config(folder / "runs"));
  const std::vector<std::string> longer = {"train", config, "trainer.max_steps=400", "trainer.save_steps=0", "run.name=stopped"};
  const Outcome stopped = run_cohort(longer, "", [](pid_t child, const std::string& err) {
    // The signal goes out when the first step has been reported.
    if (err.find("step   1/400") == std::string::npos) return false;
    kill(child, SIGUSR1);
    return true;
  });
  EXPECT_EQ(stopped.exit_code, 75) << stopped.err;
  EXPECT_NE(stopped.out.find("stopped on request"), std::string::npos) << stopped.out;
  EXPECT_EQ(std::distance(fs::directory_iterator(folder / "runs/stopped/checkpoints"), {}), 1);
  const Outcome resumed = run_cohort(longer, "", [](pid_t child, const std::string& err) {
    if (err.find("resuming from") == std::string::npos || err.find("/400") == std::string::npos) return false;
    kill(child, SIGUSR1);
    return true;
  });
  EXPECT_EQ(resumed.exit_code, 75) << resumed.err;
}

}  // namespace
}  // namespace cohort
