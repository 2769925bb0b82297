// cohort eval and the evaluations of a run: several sets, several completions a problem, the best model; the same for any ranks.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "tests/cli/sharper_run.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

// Sums in two files, of which a model that was warmed up knows some.
std::string sums(const std::string& path, int first, int count) {
  std::string text;
  for (int i = first; i < first + count; ++i)
    text += fmt::format("{{\"prompt\": \"{}+{}=\", \"answer\": \"{}\", \"id\": {}}}\n", i % 10, i % 7, i % 10 + i % 7, i);
  return write_all(path, text);
}

Outcome on_ranks(int ranks, std::vector<std::string> args) {
  if (ranks == 1) return run_cohort(args);
  args.insert(args.begin(), {"-n", std::to_string(ranks), "--oversubscribe", COHORT_BINARY});
  if (geteuid() == 0) args.insert(args.begin(), "--allow-run-as-root");
  return run_program("mpirun", args);
}

std::vector<std::string> sets_of(const TemporaryFolder& folder) {
  return {"data.task=null", "data.train=" + sums(folder / "t.jsonl", 0, 8),
          "data.eval=[{name: easy, path: " + sums(folder / "easy.jsonl", 3, 5) + "}, {path: " + sums(folder / "hard.jsonl", 40, 7) + "}]"};
}

TEST(Eval, SeveralSetsAndSamplesAreEqualForAnyRanksAndThreads) {
  const TrainedModel trained;
  std::vector<std::string> keys = sets_of(trained.folder);
  keys.insert(keys.end(), {"rollout.num_generations_eval=6", "rollout.eval_temperature=1.0", "trainer.eval_pass_at_k=[1, 4, 6]"});
  const auto eval = [&](int ranks, const std::string& rows, std::vector<std::string> more = {}) {
    std::vector<std::string> args = {"eval", trained.config(), "--model", trained.model(), "--completions", rows, "--quiet"};
    args.insert(args.end(), keys.begin(), keys.end());
    args.insert(args.end(), more.begin(), more.end());
    return on_ranks(ranks, args);
  };
  const std::string rows = trained.folder / "rows.jsonl";
  const Outcome one = eval(1, rows);
  ASSERT_EQ(one.exit_code, 0) << one.err;
  EXPECT_EQ(one.err, "");
  const std::vector<Json> results = one.records();
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(results[0]["set"], "easy");
  EXPECT_EQ(results[1]["set"], "hard");
  EXPECT_EQ(results[1]["data"], trained.folder / "hard.jsonl");
  EXPECT_EQ(results[1]["problems"], 7);
  EXPECT_EQ(results[1]["samples"], 6);
  EXPECT_EQ(results[1]["ci_method"], "bootstrap");
  for (const Json& result : results) {
    EXPECT_NEAR(result["pass@1"].get<double>(), result["accuracy"].get<double>(), 1e-12) << "right or wrong: the same number";
    EXPECT_LE(result["pass@1"], result["pass@4"]);
    EXPECT_LE(result["pass@4"], result["pass@6"]);
    EXPECT_FALSE(result.contains("pass@2"));
    EXPECT_TRUE(result.contains("maj@6") && result["maj@6_ci95"].size() == 2);
  }
  // The rows hold what the numbers are of.
  std::map<std::string, std::map<std::string, int>> right;
  std::istringstream lines(read_all(rows));
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const Json row = parse_json(line, rows);
    right[row["set"]][row["id"]] += row["rewards"]["last_number"].get<double>() == 1;
    EXPECT_EQ(row["sample"], count % 6);
  }
  EXPECT_EQ(count, 12 * 6);
  for (const Json& result : results) {
    double any = 0, all = 0;
    for (const auto& [id, correct] : right[result["set"]]) any += correct > 0, all += correct / 6.0;
    EXPECT_NEAR(result["pass@6"].get<double>(), any / result["problems"].get<double>(), 1e-12);
    EXPECT_NEAR(result["accuracy"].get<double>(), all / result["problems"].get<double>(), 1e-12);
  }
  for (const int ranks : {1, 2, 3}) {
    const std::string again = trained.folder / "again.jsonl";
    const Outcome outcome = eval(ranks, again, {"run.threads=2"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.out, one.out) << ranks;
    EXPECT_TRUE(read_all(again) == read_all(rows)) << ranks;
  }
  // The filters of evaluation are its own.
  const std::string greedy = eval(1, rows, {"rollout.eval_top_k=1"}).out;
  EXPECT_NE(greedy, one.out);
  EXPECT_EQ(eval(1, rows, {"rollout.top_k=1"}).out, greedy) << "-1: as in training";
  EXPECT_EQ(eval(1, rows, {"rollout.top_k=1", "rollout.eval_top_k=0"}).out, one.out);
}

TEST(Eval, ATableForPeopleAndNoneWhenQuiet) {
  const TrainedModel trained;
  const std::vector<std::string> args = {"eval", trained.config(), "--model", trained.model()};
  const Outcome outcome = run_cohort(args);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.records().size(), 1u);
  EXPECT_EQ(outcome.records()[0]["ci_method"], "wilson");
  EXPECT_FALSE(outcome.records()[0].contains("set"));
  EXPECT_NE(outcome.err.find("accuracy  "), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("in brackets: 95 % intervals"), std::string::npos) << outcome.err;
}

// Of the table of stages, whatever its widths.
bool has_head(const std::string& out) {
  std::istringstream lines(out);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string all, word;
    while (words >> word) all += (all.empty() ? "" : " ") + word;
    if (all == "before after warm start after GRPO") return true;
  }
  return false;
}

TEST(Eval, ARunKeepsItsEvaluationsAndItsBestModel) {
  const TemporaryFolder folder;
  const std::string config = write_all(folder / "c.yaml", sharper_config(folder / "runs", 4));
  const std::vector<std::string> keys = {"trainer.eval_steps=1", "rollout.num_generations_eval=4", "rollout.eval_temperature=1.0",
                                         "trainer.metric_for_best_model=eval/mean_length", "trainer.greater_is_better=false"};
  const auto train = [&](int ranks, const std::string& name, std::vector<std::string> more = {}) {
    std::vector<std::string> args = {"train", config, "--quiet", "run.name=" + name};
    args.insert(args.end(), keys.begin(), keys.end());
    args.insert(args.end(), more.begin(), more.end());
    return on_ranks(ranks, args);
  };
  const Outcome one = train(1, "one");
  ASSERT_EQ(one.exit_code, 0) << one.err;
  std::istringstream lines(read_all(folder / "runs/one/metrics.jsonl"));
  double shortest = INFINITY;
  int64_t best = 0;
  for (std::string line; std::getline(lines, line);) {
    const Json metrics = parse_json(line, "metrics");
    for (const char* name : {"eval/accuracy", "eval/accuracy/ci95_low", "eval/accuracy/ci95_high", "eval/avg@4", "eval/pass@1", "eval/pass@2", "eval/pass@4",
                             "eval/pass@4/ci95_low", "eval/maj@4", "eval/reward", "eval/mean_length", "eval/clipped_ratio"})
      EXPECT_TRUE(metrics.contains(name)) << name;
    if (metrics["eval/mean_length"].get<double>() < shortest) shortest = metrics["eval/mean_length"], best = metrics["step"];
  }
  EXPECT_NE(one.out.find(fmt::format("runs/one/best, of step {}\n", best)), std::string::npos) << one.out;
  EXPECT_TRUE(has_head(one.out)) << one.out;
  EXPECT_NE(one.out.find("\nmaj@4 "), std::string::npos) << one.out;
  const std::string weights = read_all(folder / "runs/one/best/model.safetensors");
  EXPECT_TRUE(best != 5 || weights == read_all(folder / "runs/one/final/model.safetensors"));
  for (const char* name : {"step_0", "warm_start", "step_1", "step_5"}) {
    const std::string rows = read_all(folder / ("runs/one/eval/" + std::string(name) + ".jsonl"));
    EXPECT_EQ(std::ranges::count(rows, '\n'), 8 * 4) << name;
  }
  // On other ranks, and killed after step 4: the checkpoint of step 3 knows what was best until then.
  ASSERT_EQ(train(2, "two").exit_code, 0);
  EXPECT_TRUE(read_all(folder / "runs/two/best/model.safetensors") == weights);
  fs::remove_all(folder / "runs/two/final");
  const Outcome resumed = train(3, "two");
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_NE(resumed.out.find(fmt::format("runs/two/best, of step {}\n", best)), std::string::npos) << resumed.out;
  EXPECT_TRUE(read_all(folder / "runs/two/best/model.safetensors") == weights);
  EXPECT_TRUE(read_all(folder / "runs/two/eval/step_5.jsonl") == read_all(folder / "runs/one/eval/step_5.jsonl"));
  EXPECT_TRUE(has_head(resumed.out)) << "also of the stages before: " << resumed.out;
  // Evaluations change no bit of the run.
  const Outcome plain = run_cohort({"train", config, "--quiet", "run.name=plain"});
  ASSERT_EQ(plain.exit_code, 0) << plain.err;
  EXPECT_TRUE(read_all(folder / "runs/plain/final/model.safetensors") == read_all(folder / "runs/one/final/model.safetensors"));
  EXPECT_FALSE(fs::exists(folder / "runs/plain/best"));
  ASSERT_EQ(train(1, "none", {"log.eval_completions=false", "trainer.max_steps=1"}).exit_code, 0);
  EXPECT_FALSE(fs::exists(folder / "runs/none/eval"));
}

TEST(Eval, WhatCannotBeMeasuredIsRefusedBeforeTheRun) {
  const TemporaryFolder folder;
  const std::string config = write_all(folder / "c.yaml", tiny_config(folder / "runs"));
  EXPECT_REFUSED(run_cohort({"train", config, "rollout.num_generations_eval=2", "rollout.eval_temperature=1.0", "reward=[{name: format}]",
                             "trainer.metric_for_best_model=eval/maj@2"}),
                 2, "trainer.metric_for_best_model: found eval/maj@2, but the first reward, 'format', takes no answers");
  EXPECT_FALSE(fs::exists(folder / "runs"));
  EXPECT_REFUSED(run_cohort({"train", config, "trainer.metric_for_best_model=eval/acuracy"}), 2, "did you mean 'eval/accuracy'?");
}

TEST(Eval, ASetWithoutTheColumnIsNamed) {
  const TrainedModel trained;
  const std::string bad = write_all(trained.folder / "bad.jsonl", "{\"prompt\": \"1+1=\"}\n");
  std::vector<std::string> args = {"eval", trained.config(), "--model", trained.model(), "--quiet", "data.task=null",
                                   "data.train=" + sums(trained.folder / "t.jsonl", 0, 2),
                                   "data.eval=[{path: " + sums(trained.folder / "good.jsonl", 0, 2) + "}, {path: " + bad + "}]"};
  EXPECT_REFUSED(run_cohort(args), 3, bad + ", set 'bad': the reward could judge none of the 1 problems");
}

TEST(EvalCommand, TheBestModelIsRememberedWhenARunGoesOn) {
  const TemporaryFolder folder;
  const std::string config = write_all(folder / "tiny.yaml", tiny_config(folder / "runs")), best = folder / "runs/tiny/best.json";
  const std::vector<std::string> command = {"train", config, "--quiet", "trainer.metric_for_best_model=eval/accuracy"};
  ASSERT_EQ(run_cohort(command).exit_code, 0);
  const std::string first = read_all(best), model = read_all(folder / "runs/tiny/best/model.safetensors");
  ASSERT_NE(first.find("\"step\":3"), std::string::npos) << "measured at the end, after the last checkpoint: " << first;
  // As if nothing to come could be better.
  write_all(best, "{\"step\": 3, \"metric\": \"eval/accuracy\", \"value\": 2}");
  std::vector<std::string> longer = command;
  longer.insert(longer.end(), {"trainer.max_steps=5", "trainer.eval_steps=1"});
  ASSERT_EQ(run_cohort(longer).exit_code, 0);
  EXPECT_TRUE(read_all(folder / "runs/tiny/best/model.safetensors") == model);
  write_all(best, "[1]");
  longer[longer.size() - 2] = "trainer.max_steps=6";
  EXPECT_REFUSED(run_cohort(longer), 3, "best.json", "found array");
}

}  // namespace
}  // namespace cohort
