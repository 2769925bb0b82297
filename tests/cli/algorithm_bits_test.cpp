// Whatever the algorithm carries from step to step, or exchanges between ranks, a run is a function of its config: the same bits for any
// number of ranks, and across save and resume.
#include <unistd.h>

#include <map>

#include "tests/cli/sharper_run.h"
#include "trainer/metrics.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

struct Result {
  std::string metrics, weights;
  bool operator==(const Result&) const = default;
};
Result result_of(const std::string& run) {
  std::istringstream lines(read_all(run + "/metrics.jsonl"));
  Result result{"", read_all(run + "/final/model.safetensors")};
  for (std::string line; std::getline(lines, line);) {
    const Json metrics = parse_json(line, "metrics.jsonl");
    for (const auto& [name, value] : metrics.items())
      if (!is_measured(name) && name != "perf/reused_rows") result.metrics += name + " " + dump_json(value) + "\n";
  }
  return result;
}

const std::map<std::string, std::vector<std::string>> kSettings = {
    {"gspo",
     {"algorithm.loss_type=gspo", "algorithm.epsilon=0.01", "algorithm.beta=0.1", "algorithm.use_bias_correction_kl=true",
      "algorithm.ref_model_sync_steps=2", "algorithm.steps_per_generation=2", "algorithm.num_iterations=2", "algorithm.use_adaptive_entropy=true",
      "algorithm.entropy_target=5.0", "algorithm.top_entropy_quantile=0.4"}},
    {"reinforce",
     {"algorithm.loss_type=reinforce", "algorithm.advantage=reinforce_plus_plus", "algorithm.beta=0.1", "algorithm.kl_estimator=k1",
      "algorithm.use_kl_in_reward=true", "algorithm.ref_model_sync_steps=2", "algorithm.ref_model_mixup_alpha=1.0"}},
    {"alone",  // one completion of a prompt
     {"rollout.num_generations=1", "algorithm.advantage=reinforce_plus_plus", "algorithm.beta=0.1", "algorithm.use_kl_in_reward=true",
      "algorithm.ref_model_sync_steps=2", "algorithm.mask_truncated_completions=true"}},
    {"filtered",
     {"algorithm.filter_groups=true", "algorithm.filter_groups_max_batches=3", "algorithm.beta=0.01", "algorithm.ref_model_sync_steps=2",
      "algorithm.steps_per_generation=2"}}};

TEST(AlgorithmBits, ForAnyNumberOfRanksAndAcrossResume) {
  const TemporaryFolder folder;
  const std::string config = write_all(folder / "c.yaml", sharper_config(folder / "runs", 4));
  for (const auto& [name, overrides] : kSettings) {
    const auto with = [&](const std::string& run, std::vector<std::string> more = {}) {
      more.insert(more.end(), overrides.begin(), overrides.end());
      more.push_back("run.name=" + name + run);
      return more;
    };
    std::vector<std::string> one = with("1");
    one.insert(one.begin(), {"train", config, "--quiet"});
    const Outcome first = run_cohort(one);
    ASSERT_EQ(first.exit_code, 0) << first.err;
    const Result expected = result_of(folder / ("runs/" + name + "1"));
    EXPECT_NE(expected.metrics.find("kl "), std::string::npos);
    // Nor what is kept of sampling: a state that has run rows forward meets a tape that lies in the gradient.
    for (const char* key : {"trainer.gradient_checkpointing=true", "trainer.reuse_activations=false"}) {
      std::vector<std::string> args = with("kept", {key});
      args.insert(args.begin(), {"train", config, "--quiet", "run.resume=never"});
      fs::remove_all(folder / ("runs/" + name + "kept"));
      const Outcome outcome = run_cohort(args);
      ASSERT_EQ(outcome.exit_code, 0) << name << " " << key << ": " << outcome.err;
      EXPECT_TRUE(result_of(folder / ("runs/" + name + "kept")).weights == expected.weights) << name << " " << key;
    }
    for (const int ranks : {2, 3}) {
      const Outcome outcome = train_on_ranks(ranks, config, with(std::to_string(ranks)));
      ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
      const Result result = result_of(folder / ("runs/" + name + std::to_string(ranks)));
      EXPECT_EQ(result.metrics, expected.metrics) << name << " on " << ranks;
      EXPECT_TRUE(result.weights == expected.weights) << name << " on " << ranks;
    }
    // As if the run on three ranks had been killed after step 5: the checkpoint of step 3 is all that counts, with a reference that moved.
    fs::remove_all(folder / ("runs/" + name + "3/final"));
    ASSERT_TRUE(fs::exists(folder / ("runs/" + name + "3/checkpoints/step_3/reference.bin")));
    const Outcome resumed = train_on_ranks(2, config, with("3"));
    ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
    EXPECT_TRUE(result_of(folder / ("runs/" + name + "3")) == expected) << name;
    // Neither key of the refresh is without effect.
    const Outcome still = run_cohort([&] {
      std::vector<std::string> args = with("still");
      std::erase_if(args, [](const std::string& arg) { return arg.starts_with("algorithm.ref_model"); });
      args.insert(args.begin(), {"train", config, "--quiet"});
      return args;
    }());
    ASSERT_EQ(still.exit_code, 0) << still.err;
    EXPECT_FALSE(result_of(folder / ("runs/" + name + "still")).weights == expected.weights) << name;
    EXPECT_FALSE(fs::exists(folder / ("runs/" + name + "still/checkpoints/step_3/reference.bin")));
  }
}

TEST(AlgorithmBits, DynamicSamplingDrawsAsOftenAsItMay) {
  const TemporaryFolder folder;
  const std::string config = write_all(folder / "c.yaml", sharper_config(folder / "runs", 4));
  std::map<std::string, Result> results;
  for (const auto& [name, overrides] : std::map<std::string, std::vector<std::string>>{
           {"plain", {}},
           {"once", {"algorithm.filter_groups=true", "algorithm.filter_groups_max_batches=1"}},
           {"often", {"algorithm.filter_groups=true", "algorithm.filter_groups_max_batches=4"}},
           {"by_format", {"algorithm.filter_groups=true", "algorithm.filter_groups_max_batches=4", "algorithm.filter_groups_metric=length",
                          "reward=[{name: last_number}, {name: length, weight: 0.0, max_length: 3}]"}}}) {
    std::vector<std::string> args = {"train", config, "--quiet", "run.name=" + name, "trainer.save_steps=0"};
    args.insert(args.end(), overrides.begin(), overrides.end());
    const Outcome outcome = run_cohort(args);
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    results[name] = result_of(folder / ("runs/" + name));
  }
  EXPECT_EQ(results["plain"].metrics.find("filter_groups/batches"), std::string::npos);
  EXPECT_NE(results["once"].metrics.find("filter_groups/batches 1.0"), std::string::npos) << results["once"].metrics;
  EXPECT_EQ(results["once"].metrics.find("filter_groups/batches 2.0"), std::string::npos);
  EXPECT_NE(results["often"].weights, results["plain"].weights);
  EXPECT_NE(results["often"].weights, results["once"].weights);
  EXPECT_NE(results["by_format"].weights, results["often"].weights);
}

TEST(AlgorithmBits, AReferenceThatIsGoneIsAskedFor) {
  const TemporaryFolder folder;
  const std::string config = write_all(folder / "c.yaml", tiny_config(folder / "runs"));
  const std::vector<std::string> args = {"train", config, "--quiet", "algorithm.beta=0.1", "algorithm.ref_model_sync_steps=1"};
  ASSERT_EQ(run_cohort(args).exit_code, 0);
  const std::string file = folder / "runs/tiny/checkpoints/step_2/reference.bin";
  fs::remove_all(folder / "runs/tiny/final");
  fs::resize_file(file, 64);
  const Outcome outcome = run_cohort(args);
  EXPECT_EQ(outcome.exit_code, 3) << outcome.err;
  EXPECT_NE(outcome.err.find(file + ": 64 bytes, expected"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace cohort
