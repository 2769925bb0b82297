// What progress looks like.
#include "cli/progress.h"

#include <gtest/gtest.h>

#include <thread>

#include "cli/eval_table.h"
#include "cli/failure.h"
#include "core/check.h"
#include "core/text.h"

namespace cohort {
namespace {

TEST(Progress, AStepLineNamesWhatIsKnown) {
  Metrics metrics;
  metrics.set("reward", 0.53125);
  metrics.set("completions/mean_length", 34.06);
  metrics.set("perf/rollout_tokens_per_s", 1240.4);
  const std::string line = step_line(7, 100, metrics, 80);
  EXPECT_EQ(line.rfind("step   7/100  reward 0.531  length 34.1  1240 tok/s  ", 0), 0u) << line;
  EXPECT_NE(line.find("left"), std::string::npos);
  EXPECT_EQ(step_line(100, 100, Metrics(), 0), "step 100/100");
}

TEST(Progress, AStepOfFineTuningNamesItsLoss) {
  Metrics metrics;
  metrics.set("loss", 1.23456);
  metrics.set("mean_token_accuracy", 0.7119);
  metrics.set("perf/update_tokens_per_s", 1240.4);
  EXPECT_EQ(step_line(7, 7, metrics, 0), "step 7/7  loss 1.2346  accuracy 0.712  1240 tok/s");
  const std::string table = summary_table(SftSummary{{.examples = 10, .filtered = 2, .steps = 7, .run_dir = "r", .final_model = "r/final"}, 2.0});
  for (const char* part : {"eval loss before            2.0000\n", "examples                    10; 2 were too long\n", "steps                       7\n", "r/final\n"})
    EXPECT_NE(table.find(part), std::string::npos) << table;
  EXPECT_EQ(table.find("eval loss after"), std::string::npos);
}

TEST(Progress, SlowFirstStepsAreForgottenAtOnce) {
  StepTime time;
  EXPECT_EQ(time.seconds(), 0);
  time.add(40);
  EXPECT_EQ(time.seconds(), 40);
  time.add(10);
  EXPECT_EQ(time.seconds(), 10);
  time.add(11);
  EXPECT_EQ(time.seconds(), 11);
  for (int i = 0; i < 15; ++i) time.add(5);
  EXPECT_EQ(time.seconds(), 5) << "of the latest steps alone";
}

TEST(Progress, TimeLeftHoldsTheEvaluationsToCome) {
  TrainProgress progress;
  testing::internal::CaptureStderr();
  for (int step = 1; step <= 4; ++step) {
    Metrics metrics;
    metrics.set("timing_s/step", step == 4 ? 18.0 : 10.0);
    if (step == 4) metrics.set("timing_s/evaluation", 8.0);
    progress.step(step, 14, metrics);
  }
  // Ten steps of 10 s, and 8 s of evaluation each four.
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_NE(text.find("step  4/14  " + human_seconds(120) + " left"), std::string::npos) << text;
}

TEST(Progress, APlainLineHasNoEscapeCodes) {
  testing::internal::CaptureStderr();
  {
    StatusLine line(Terminal(/*live=*/false, false, false));
    line.show("one");
    line.show("two");
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "one\ntwo\n");
}

TEST(Progress, ALiveLineReplacesItselfAndTheCursorWaitsBelow) {
  testing::internal::CaptureStderr();
  {
    StatusLine line(Terminal(/*live=*/true, false, false));
    line.show("one");
    line.show("two");
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "one\x1b[K\n\x1b[J\x1b[1A\rtwo\x1b[K\n\x1b[J");
}

// Loading a large model tells nothing meanwhile.
TEST(Progress, OnATerminalALongStageIsShownWhileNothingIsTold) {
  testing::internal::CaptureStderr();
  StatusLine line(Terminal(/*live=*/true, false, false));
  StageProgress stage(line);
  stage.update("loading", 0, 1);
  std::this_thread::sleep_for(std::chrono::milliseconds(3000));  // that time passes is what it is about
  stage.update("loading", 1, 1);
  stage.close();
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(text.rfind("loading  2.", 0), 0u) << text;
}

TEST(Progress, AQuickStageIsNotShown) {
  testing::internal::CaptureStderr();
  StatusLine line(Terminal(/*live=*/false, false, false));
  StageProgress stage(line);
  for (int i = 0; i <= 10; ++i) stage.update("evaluation", i, 10);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(Progress, TheSummaryShowsWhatThereIs) {
  TrainSummary summary;
  summary.accuracy_before = 0.125;
  summary.accuracy_after = 0.5;
  summary.steps = 20;
  summary.run_dir = "runs/x";
  const std::string table = summary_table(summary);
  EXPECT_NE(table.find("accuracy before             12.5 %"), std::string::npos) << table;
  EXPECT_NE(table.find("accuracy after GRPO         50.0 %"), std::string::npos) << table;
  EXPECT_EQ(table.find("warm start"), std::string::npos);
  EXPECT_EQ(table.find("stopped"), std::string::npos);
}

TEST(Progress, TheTableOfEvaluationsHasARowForEachSetAndMetric) {
  const auto with = [](double base) {
    return std::vector<EvalMetric>{{"eval/a/accuracy", base},        {"eval/a/accuracy/ci95_low", base - 0.1}, {"eval/a/accuracy/ci95_high", base + 0.1},
                                   {"eval/a/pass@4", base + 0.125},  {"eval/a/pass@4/ci95_low", base},         {"eval/a/pass@4/ci95_high", base + 0.2},
                                   {"eval/a/mean_length", 9},        {"eval/accuracy", base}};
  };
  EXPECT_EQ(eval_table({{"before", with(0.25)}, {"after GRPO", with(0.5)}}),
            "                         before           after GRPO\n"
            "a/accuracy  25.0 % [15.0, 35.0]  50.0 % [40.0, 60.0]\n"
            "a/pass@4    37.5 % [25.0, 45.0]  62.5 % [50.0, 70.0]\n"
            "accuracy                 25.0 %               50.0 %\n"
            "in brackets: 95 % intervals\n");
  // Without a name of its own a stage needs no head; what one stage lacks is a dash.
  EXPECT_EQ(eval_table({{"", {{"eval/accuracy", 1}, {"eval/accuracy/ci95_low", 0.9}, {"eval/accuracy/ci95_high", 1}}}}),
            "accuracy  100.0 % [90.0, 100.0]\nin brackets: 95 % intervals\n");
  EXPECT_NE(eval_table({{"x", {}}, {"y", {{"eval/accuracy", 1}}}}).find("accuracy  -  100.0 %"), std::string::npos);
  EXPECT_EQ(eval_table({}), "");
  TrainSummary summary;
  summary.evaluations = {{"before", with(0.25)}};
  summary.best_step = 40;
  summary.best_model = "runs/x/best";
  EXPECT_NE(summary_table(summary).find("\na/pass@4    37.5 %"), std::string::npos) << summary_table(summary);
  EXPECT_NE(summary_table(summary).find("best model                  runs/x/best, of step 40\n"), std::string::npos) << summary_table(summary);
}

TEST(Failure, EveryKindOfExceptionHasItsExitCode) {
  const auto code = [](auto error) { return describe(std::make_exception_ptr(error)).exit_code; };
  EXPECT_EQ(code(Error(ExitCode::kNonFinite, "x")), 5);
  EXPECT_EQ(code(std::bad_alloc()), 6);
  EXPECT_EQ(code(std::filesystem::filesystem_error(
                "x", std::make_error_code(std::errc::no_space_on_device))),
            6);
  EXPECT_EQ(code(std::filesystem::filesystem_error(
                "x", std::make_error_code(std::errc::permission_denied))),
            3);
  EXPECT_EQ(code(std::logic_error("x")), 1);
}

TEST(Progress, TheOpeningComesBeforeAllButLoading) {
  testing::internal::CaptureStderr();
  TrainProgress progress("2 ranks on 1 host");
  progress.stage("loading", 0, 1);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  testing::internal::CaptureStderr();
  progress.stage("warm start", 0, 10);
  progress.message("KV cache: 1 MB");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "2 ranks on 1 host\nKV cache: 1 MB\n");
  testing::internal::CaptureStderr();
  Metrics metrics;
  metrics.set("step", int64_t{1}), metrics.set("loss", 1.0);
  TrainProgress of_sft("1 rank");
  of_sft.step(1, 2, metrics);
  EXPECT_TRUE(testing::internal::GetCapturedStderr().starts_with("1 rank\nstep"));
}

}  // namespace
}  // namespace cohort
