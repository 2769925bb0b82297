// Warnings that teach: each fires on what it is for, once, with the figures; none on a healthy run.
#include "trainer/metric_warnings.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "core/files.h"
#include "trainer/report_findings.h"

namespace cohort {
namespace {

// Metrics of a step of a run in which nothing is remarkable.
Json usual(int64_t step) {
  const double t = static_cast<double>(step);
  return {{"step", step}, {"reward", 0.3 + 0.005 * t}, {"reward_std", 0.2}, {"frac_reward_zero_std", 0.25}, {"rewards/format/mean", 0.8}, {"completions/clipped_ratio", 0.1},
          {"completions/mean_length", 20.0}, {"kl", 0.01 * t / 60}, {"entropy", 1.0 - 0.005 * t}, {"grad_norm", 0.5}, {"learning_rate", step == 1 ? 0.0 : 1e-6}};
}

using Change = std::function<void(int64_t step, Json& metrics)>;
std::vector<MetricWarning> warnings_of(int64_t steps, const Change& change) {
  MetricWarnings warnings;
  std::vector<MetricWarning> all;
  for (int64_t step = 1; step <= steps; ++step) {
    Json metrics = usual(step);
    change(step, metrics);
    for (MetricWarning& warning : warnings.add(metrics)) all.push_back(std::move(warning));
  }
  return all;
}

struct Case {
  std::string cause;
  int64_t steps;
  Change change;
  int64_t told;                      // after this step
  std::vector<std::string> figures;  // and what to change
  Change harmless;                   // almost the same, but nothing is wrong
};

std::vector<Case> cases() {
  return {
      {"equal_rewards", 60, [](int64_t step, Json& m) { if (step >= 21) m["frac_reward_zero_std"] = 1.0, m["reward"] = 0.4; }, 28,
       {"steps 21 to 28", "mean 0.4", "rollout.num_generations"},
       [](int64_t step, Json& m) { if (step % 8 != 0) m["frac_reward_zero_std"] = 1.0; }},
      {"all_truncated", 60, [](int64_t step, Json& m) { if (step >= 11) m["completions/clipped_ratio"] = 1.0, m["completions/mean_length"] = 64.0; }, 18,
       {"steps 11 to 18", "after 64 tokens", "rollout.max_completion_length"},
       [](int64_t, Json& m) { m["completions/clipped_ratio"] = 0.99; }},
      {"entropy_collapse", 60, [](int64_t step, Json& m) { if (step >= 31) m["entropy"] = 0.01; m["reward"] = 0.3; }, 35,
       {"from 0.9725 to 0.01 nats", "from 0.3 to 0.3", "algorithm.epsilon_high"},
       [](int64_t step, Json& m) { if (step >= 31) m["entropy"] = 0.01; m["reward"] = step >= 26 ? 0.9 : 0.3; }},  // it has learnt its task
      {"kl_runs_away", 60, [](int64_t step, Json& m) { if (step >= 41) m["kl"] = 0.3 * static_cast<double>(step - 40); }, 46,
       {"from 0.06513 to 1.2", "within 5 steps", "algorithm.beta"},
       [](int64_t, Json& m) { m["kl"] = 2.0; }},  // far, but it stays
      {"format_falls", 60, [](int64_t step, Json& m) { if (step >= 21) m["rewards/format/mean"] = 0.5; }, 23,
       {"from 0.3275 to 0.3925", "rewards/format/mean fell from 0.8 to 0.71", "weight"},
       [](int64_t step, Json& m) { m["reward"] = 0.3; if (step >= 21) m["rewards/format/mean"] = 0.5; }},  // the reward does not rise
      {"learning_rate_zero", 60, [](int64_t step, Json& m) { if (step >= 21) m["learning_rate"] = 0.0; }, 23,
       {"steps 21 to 23", "optim.lr_scheduler_type"},
       [](int64_t step, Json& m) { if (step >= 59) m["learning_rate"] = 0.0; }},  // a schedule's end
      {"gradient_zero", 60, [](int64_t step, Json& m) { if (step >= 21) m["grad_norm"] = 0.0; }, 28,
       {"steps 21 to 28", "algorithm.mask_truncated_completions", "0.1"},
       [](int64_t step, Json& m) { if (step % 8 != 0) m["grad_norm"] = 0.0; }},
      {"reward_falls", 60, [](int64_t step, Json& m) { if (step >= 31) m["reward"] = 0.05; }, 39,
       {"from 0.3275 to", "optim.learning_rate"},
       [](int64_t step, Json& m) { if (step >= 31) m["reward"] = 0.2; }},  // by less than its spread
  };
}

TEST(MetricWarnings, EachCauseIsToldOnceWithFiguresAndWhatToChange) {
  std::vector<std::string> tested;
  for (const Case& of : cases()) {
    tested.push_back(of.cause);
    const std::vector<MetricWarning> warnings = warnings_of(of.steps, of.change);
    ASSERT_EQ(warnings.size(), 1u) << of.cause << ": " << (warnings.empty() ? "" : warnings.back().text);
    EXPECT_EQ(warnings[0].cause, of.cause);
    EXPECT_EQ(warnings[0].step, of.told) << warnings[0].text;
    for (const std::string& figure : of.figures) EXPECT_NE(warnings[0].text.find(figure), std::string::npos) << figure << " in " << warnings[0].text;
    for (const MetricWarning& warning : warnings_of(of.steps, of.harmless)) ADD_FAILURE() << of.cause << ": " << warning.text;
  }
  EXPECT_EQ(tested, warning_causes()) << "a test for each";
}

TEST(MetricWarnings, AUsualRunAndOneOfFineTuningGetNone) {
  EXPECT_TRUE(warnings_of(120, [](int64_t, Json&) {}).empty());
  const auto fine_tuning = [](int64_t step, Json& m) {
    m = {{"step", step}, {"loss", 2.0 / static_cast<double>(step)}, {"entropy", 2.0 / static_cast<double>(step)}, {"mean_token_accuracy", 0.9}, {"grad_norm", 1.0}, {"learning_rate", 1e-5}};
  };
  EXPECT_TRUE(warnings_of(120, fine_tuning).empty());
}

// A step that is missing, as of files that were put together, breaks a row.
TEST(MetricWarnings, InARowMeansEachStep) {
  MetricWarnings warnings;
  for (int64_t step = 1; step <= 30; ++step) {
    Json metrics = usual(step);
    metrics["grad_norm"] = 0.0;
    if (step % 8 == 0) continue;
    EXPECT_TRUE(warnings.add(metrics).empty()) << step;
  }
}

// tests/golden/warnings: what the rules look at, of runs of the shipped configs (scripts/goldens/warning_metrics.py).
TEST(MetricWarnings, HealthyRunsOfTheShippedConfigsGetNone) {
  size_t runs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(GOLDEN_DIR) / "warnings")) {
    MetricWarnings warnings;
    int64_t steps = 0;
    for (const std::string& line : read_whole_lines(entry.path())) {
      for (const MetricWarning& warning : warnings.add(parse_json(line, entry.path().string())))
        ADD_FAILURE() << entry.path().filename() << ": step " << warning.step << ": " << warning.text;
      ++steps;
    }
    EXPECT_GE(steps, 20) << entry.path();
    ++runs;
  }
  EXPECT_GE(runs, 3u);
}

TEST(ReportFindings, AreTheRunsWarningsAndMissingScores) {
  std::map<int64_t, Json> steps;
  for (int64_t step = 1; step <= 30; ++step) {
    steps[step] = usual(step);
    if (step >= 21) steps[step]["grad_norm"] = 0.0;
    steps[step]["rewards/code/timeout"] = step == 2 ? 2 : step == 4 ? 3 : 0;
  }
  const Json findings = report_findings(steps);
  ASSERT_EQ(findings.size(), 2u) << findings.dump();
  EXPECT_EQ(findings[0]["step"], 28);
  EXPECT_EQ(findings[0]["text"].get<std::string>().rfind("step 28: steps 21 to 28: the gradient was 0", 0), 0u);
  EXPECT_EQ(findings[1]["text"], "rewards/code/timeout: 5 scores are missing, from step 2 on");
}

}  // namespace
}  // namespace cohort
