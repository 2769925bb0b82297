// Mixtures, the curriculum and best-of-n: a run is a function of its config, for any number of ranks and across save and resume.
#include <fmt/format.h>

#include <map>

#include "tests/cli/sharper_run.h"
#include "trainer/metrics.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

std::string sums(const std::string& path, int first, int count) {
  std::string text;
  for (int i = first; i < first + count; ++i) text += fmt::format("{{\"prompt\": \"{}+{}=\", \"answer\": \"{}\"}}\n", i % 10, i % 7, i % 10 + i % 7);
  return write_all(path, text);
}

std::vector<Json> metrics_of(const std::string& run) {
  std::vector<Json> steps;
  std::istringstream lines(read_all(run + "/metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) steps.push_back(parse_json(line, "metrics.jsonl"));
  return steps;
}

std::string result_of(const std::string& run) {
  std::string text;
  for (const Json& step : metrics_of(run))
    for (const auto& [name, value] : step.items())
      if (!is_measured(name) && name != "perf/reused_rows") text += name + " " + dump_json(value) + "\n";
  return text + read_all(run + "/final/model.safetensors");
}

struct Runs {
  Runs() : config(write_all(folder / "c.yaml", sharper_config(folder / "runs", 4))) {}
  Outcome train(int ranks, const std::string& name, std::vector<std::string> keys) const {
    keys.push_back("run.name=" + name);
    if (ranks > 1) return train_on_ranks(ranks, config, keys);
    keys.insert(keys.begin(), {"train", config, "--quiet"});
    return run_cohort(keys);
  }
  // The same on 1, 2 and 3 ranks, and resumed on 2 from the checkpoint of step 3; returns the metrics.
  std::vector<Json> expect_same(const std::string& name, const std::vector<std::string>& keys) const {
    const Outcome first = train(1, name + "1", keys);
    EXPECT_EQ(first.exit_code, 0) << first.err;
    const std::string expected = result_of(run(name + "1"));
    for (const int ranks : {2, 3}) {
      const Outcome outcome = train(ranks, name + std::to_string(ranks), keys);
      EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
      EXPECT_TRUE(result_of(run(name + std::to_string(ranks))) == expected) << name << " on " << ranks;
    }
    fs::remove_all(run(name + "3/final"));
    const Outcome resumed = train(2, name + "3", keys);
    EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
    EXPECT_TRUE(result_of(run(name + "3")) == expected) << name << ", resumed";
    return metrics_of(run(name + "1"));
  }
  std::string run(const std::string& name) const { return folder / ("runs/" + name); }
  // Two files in place of the task: the first three times as often as the second.
  std::vector<std::string> mixture(const char* weight = "3") const {
    return {"data.task=null", "trainer.warm_start=null",
            "data.train=[{name: a, path: " + sums(folder / "a.jsonl", 0, 5) + ", weight: " + weight + "}, {name: b, path: " + sums(folder / "b.jsonl", 20, 9) + "}]"};
  }
  TemporaryFolder folder;
  std::string config;
};

TEST(SamplingPolicy, AMixtureIsInProportionForAnyRanksAndAcrossResume) {
  const Runs runs;
  const std::vector<Json> steps = runs.expect_same("mix", runs.mixture());
  ASSERT_EQ(steps.size(), 5u);
  for (const Json& step : steps) {
    EXPECT_EQ(step["data/a/prompts"], 3) << step.dump();
    EXPECT_EQ(step["data/b/prompts"], 1);
    EXPECT_TRUE(step.contains("data/a/reward") && step.contains("data/b/reward"));
  }
  // Another weight is another run, and says so by its name.
  fs::remove_all(runs.run("mix1/final"));
  const Outcome other = runs.train(1, "mix1", [&] {
    std::vector<std::string> keys = runs.mixture("2");
    keys.push_back("run.resume=" + runs.run("mix1/checkpoints/step_3"));
    return keys;
  }());
  EXPECT_REFUSED(other, 2, "the config differs from the checkpoint's in data.train (now {a: 2, b: 1}, was {a: 3, b: 1})");
}

TEST(SamplingPolicy, ACurriculumSkipsByMeasuredPassRatesForAnyRanksAndAcrossResume) {
  const Runs runs;
  const std::vector<std::string> keys = {"data.curriculum={min_pass_rate: 0.1, max_pass_rate: 0.7, skip_epochs: 1}", "trainer.prompts_per_step=2",
                                         "data.task.train_size=5"};
  const std::vector<Json> steps = runs.expect_same("curriculum", keys);
  double skipped = 0;
  for (const Json& step : steps) skipped += step["curriculum/skipped"].get<double>();
  EXPECT_GT(skipped, 0);
  EXPECT_EQ(steps.back()["curriculum/measured"], 1);
  EXPECT_EQ(steps.back()["epoch"].get<double>(), (10 + skipped) / 5) << "how far the order was walked";
  // With dynamic sampling as well: every draw is measured.
  std::vector<std::string> filtered = keys;
  filtered.insert(filtered.end(), {"algorithm.filter_groups=true", "algorithm.filter_groups_max_batches=3"});
  runs.expect_same("both", filtered);
  // What a checkpoint keeps of it is asked for.
  fs::remove_all(runs.run("curriculum1/final"));
  fs::remove(runs.run("curriculum1/checkpoints/step_3/curriculum.json"));
  EXPECT_EQ(runs.train(1, "curriculum1", keys).exit_code, 3);
}

TEST(SamplingPolicy, BestOfNForAnyRanksAndAcrossResume) {
  const Runs runs;
  std::map<std::string, std::string> weights;
  for (const auto& [name, more] : std::map<std::string, std::vector<std::string>>{
           {"best", {"algorithm.select_completions=best", "algorithm.num_selected=1", "algorithm.advantage=none"}},
           {"variance", {"algorithm.select_completions=max_variance", "algorithm.num_selected=2", "algorithm.loss_type=gspo", "algorithm.num_iterations=2"}}}) {
    const std::vector<Json> steps = runs.expect_same(name, more);
    for (const Json& step : steps) EXPECT_TRUE(name != "best" || step["selected/reward"] >= step["reward"]) << step.dump();
    weights[name] = read_all(runs.run(name + "1/final/model.safetensors"));
    int selected = 0, all = 0;
    std::istringstream lines(read_all(runs.run(name + "1/completions/step_1.jsonl")));
    for (std::string line; std::getline(lines, line); ++all) selected += parse_json(line, "completions")["selected"].get<bool>();
    EXPECT_EQ(all, 16);
    EXPECT_EQ(selected, name == "best" ? 4 : 8);
  }
  EXPECT_NE(weights["best"], weights["variance"]);
}

TEST(SamplingPolicy, WeightsOfTokensForAnyRanksAndAcrossResume) {
  const Runs runs;
  const std::vector<Json> steps = runs.expect_same("digits", {"algorithm.token_weight_pattern='[0-4]'", "algorithm.token_weight=0.25"});
  for (const Json& step : steps) {
    EXPECT_GT(step["token_weight/within"].get<double>(), 0);
    EXPECT_LT(step["token_weight/within"].get<double>(), 1);
  }
  const std::string weighted = read_all(runs.run("digits1/final/model.safetensors"));
  ASSERT_EQ(runs.train(1, "plain", {}).exit_code, 0);
  EXPECT_NE(read_all(runs.run("plain/final/model.safetensors")), weighted);
}

// What a run that samples a step ahead says of a step: how far the policy has gone since.
double furthest(const Json& step) { return step["sampling/sampling_logp_difference/max"].get<double>(); }

TEST(SamplingPolicy, AStepAheadForAnyRanksAndThreadsAndAcrossResume) {
  const Runs runs;
  const std::vector<std::string> keys = {"rollout.staleness=1"};
  const std::vector<Json> steps = runs.expect_same("ahead", keys);
  ASSERT_EQ(steps.size(), 5u);
  EXPECT_EQ(furthest(steps[0]), 0) << "the first batch is of the policy that learns from it";
  for (size_t i = 1; i < steps.size(); ++i) EXPECT_GT(furthest(steps[i]), 0) << "step " << i + 1;
  ASSERT_EQ(runs.train(1, "threads", {"rollout.staleness=1", "run.threads=4"}).exit_code, 0);
  EXPECT_TRUE(result_of(runs.run("threads")) == result_of(runs.run("ahead1")));
  // The first completions are those of a run that samples in step; later ones are of older weights.
  ASSERT_EQ(runs.train(1, "now", {"log.completions_steps=1"}).exit_code, 0);
  ASSERT_EQ(runs.train(1, "later", {"log.completions_steps=1", "rollout.staleness=1"}).exit_code, 0);
  const auto completions = [&](const char* name, int step) { return read_all(runs.run(name) + fmt::format("/completions/step_{}.jsonl", step)); };
  EXPECT_EQ(completions("later", 1), completions("now", 1));
  EXPECT_NE(completions("later", 3), completions("now", 3));
  // What the checkpoint holds of the batch in flight is asked for, and so is a batch that was never sampled.
  fs::remove_all(runs.run("ahead1/final"));
  const std::string batch = runs.run("ahead1/checkpoints/step_3/batch.json");
  write_all(batch, read_all(batch) + " ");
  EXPECT_REFUSED(runs.train(1, "ahead1", keys), 3, "step_3/batch.json: the content does not match the hash in manifest.json");
  fs::remove(batch);
  EXPECT_REFUSED(runs.train(1, "ahead1", keys), 3, "batch.json");
  ASSERT_EQ(runs.train(1, "short", {"rollout.staleness=1", "trainer.max_steps=3"}).exit_code, 0);
  EXPECT_REFUSED(runs.train(1, "short", keys), 2, "the run ended with step 3, and with rollout.staleness 1 the completions of step 4 are of the weights before it");
  EXPECT_REFUSED(runs.train(1, "now", {"rollout.staleness=1", "run.resume=" + runs.run("now/checkpoints/step_3")}), 2, "rollout.staleness (now 1, was 0)");
}

// All that has a say in what is sampled, or in what it counts, on top of each other.
TEST(SamplingPolicy, AStepAheadWithAllThatChoosesAndCorrects) {
  const Runs runs;
  const std::vector<std::string> keys = {"rollout.staleness=1", "data.curriculum={min_pass_rate: 0.1, max_pass_rate: 0.7, skip_epochs: 1}",
                                         "data.task.train_size=5", "trainer.prompts_per_step=2", "algorithm.filter_groups=true",
                                         "algorithm.filter_groups_max_batches=3", "algorithm.num_iterations=2", "algorithm.steps_per_generation=2",
                                         "algorithm.rollout_correction=sequence_truncate", "trainer.eval_steps=2", "algorithm.beta=0.01"};
  const std::vector<Json> steps = runs.expect_same("all", keys);
  double older = 0;
  for (const Json& step : steps) older = std::max(older, std::abs(step["sampling/importance_sampling_ratio/mean"].get<double>() - 1));
  EXPECT_GT(older, 0);
  runs.expect_same("lora", {"rollout.staleness=1", "model.lora={rank: 4, alpha: 8}", "algorithm.rollout_correction=token_mask", "algorithm.loss_type=gspo"});
}

}  // namespace
}  // namespace cohort
