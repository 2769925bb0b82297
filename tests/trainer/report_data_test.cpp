// What a report shows: every metric, thinned out where there is too much of it, and what is remarkable.
#include "trainer/report_data.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include "core/files.h"
#include "model/text/tokenizer.h"
#include "tests/trainer/config_cases.h"
#include "trainer/event_file.h"
#include "trainer/report_bytes.h"
#include "trainer/run_events.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

class Report : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "cohort-report-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder = name;
    write_file_atomic(folder / "config.yaml", config_to_yaml(minimal_config()));
  }
  void TearDown() override { fs::remove_all(folder); }
  void write_steps(int64_t count) const {
    std::string text;
    for (int64_t step = 1; step <= count; ++step) {
      Json line = {{"step", step}, {"reward", static_cast<double>(step) / 3}};
      if (step % 4 == 0) line["eval/accuracy"] = 0.5;
      text += dump_json(line) + "\n";
    }
    write_file_atomic(folder / "metrics.jsonl", text);
  }
  // `count` completions with rewards 0, 1, ..., of tokens that are bytes.
  void write_completions(int64_t step, int64_t count, const std::string& text = "ab") const {
    std::string lines;
    for (int64_t i = 0; i < count; ++i) {
      Json row = {{"step", step}, {"problem", "p"}, {"sample", i}, {"completion", text}, {"ids", Json::array()}, {"logprobs", Json::array()},
                  {"finish_reason", "stop"}, {"reward", i}, {"rewards", {{"math", i}}}, {"explain", {{"math", "why"}}}, {"advantage", 0.5}};
      for (const char c : text) row["ids"].push_back(static_cast<unsigned char>(c)), row["logprobs"].push_back(-1.23456);
      lines += dump_json(row) + "\n";
    }
    fs::create_directories(folder / "completions");
    write_file_atomic(folder / "completions" / fmt::format("step_{}.jsonl", step), lines);
  }
  void write_tokenizer() const {
    fs::create_directories(folder / "final");
    const std::vector<std::string> special = {"<|endoftext|>"};
    write_file_atomic(folder / "final/tokenizer.json", byte_tokenizer_json(special));
    write_file_atomic(folder / "final/tokenizer_config.json", byte_tokenizer_config_json("<|endoftext|>", "<|endoftext|>", ""));
  }
  Json run(const ReportLimits& limits = {}) const { return report_data({folder}, limits)["runs"][0]; }
  fs::path folder;
};

// The rewards that are shown of each step.
std::map<int64_t, std::vector<int64_t>> chosen_steps(const Json& completions) {
  std::map<int64_t, std::vector<int64_t>> rewards;
  for (const Json& row : completions["rows"]) rewards[row["step"]].push_back(row["reward"]);
  return rewards;
}

TEST_F(Report, HoldsEveryMetricOfEveryStep) {
  write_steps(8);
  const Json data = run();
  EXPECT_EQ(data["name"], folder.filename().string());
  EXPECT_EQ(data["steps"], Json::array({1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(data["steps_per_point"], 1);
  EXPECT_EQ(data["metrics"]["reward"][0], 0.333333);
  EXPECT_EQ(data["metrics"]["eval/accuracy"], Json::array({nullptr, nullptr, nullptr, 0.5, nullptr, nullptr, nullptr, 0.5}));
  EXPECT_FALSE(data["metrics"].contains("step"));
  EXPECT_EQ(data["evaluations"].dump(), R"([{"step":4,"eval/accuracy":0.5},{"step":8,"eval/accuracy":0.5}])");
  EXPECT_EQ(data["config"], config_to_yaml(minimal_config()));
  EXPECT_EQ(data["completions"]["note"], "The run has written no completions (log.completions_steps).");
}

TEST_F(Report, ManyStepsAreAveragedInGroups) {
  write_steps(10);
  const Json data = run({.points = 4});
  EXPECT_EQ(data["steps_per_point"], 3);
  EXPECT_EQ(data["steps"], Json::array({3, 6, 9, 10}));
  EXPECT_EQ(data["metrics"]["reward"], Json::array({0.666667, 1.66667, 2.66667, 3.33333}));
  EXPECT_EQ(data["metrics"]["eval/accuracy"], Json::array({nullptr, 0.5, 0.5, nullptr}));
}

TEST_F(Report, KnowsStartsAndCheckpoints) {
  write_steps(3);
  EventFileWriter first(folder);
  first.append(1, {{"reward", 1.0f}});
  EventFileWriter second(folder);
  second.append(3, {{"reward", 1.0f}});
  fs::create_directories(folder / "checkpoints/step_2");
  write_file_atomic(folder / "checkpoints/step_2/manifest.json", "{}");
  const Json data = run();
  EXPECT_EQ(data["starts"], Json::array({1, 3}));
  EXPECT_EQ(data["checkpoints"], Json::array({2}));
  EXPECT_EQ(data["events"], Json::array());
  // events.jsonl knows better.
  append_run_event(folder, {0, "start", "1 rank"});
  append_run_event(folder, {1, "warning", "the sky falls", "sky"});
  append_run_event(folder, {1, "start", "2 ranks"});
  const Json known = run();
  EXPECT_EQ(known["starts"], Json::array({1, 2}));
  EXPECT_EQ(known["events"][1], (Json{{"step", 1}, {"event", "warning"}, {"text", "the sky falls"}}));
}

TEST_F(Report, CompletionsHaveTheTextAndLogprobOfEachToken) {
  write_steps(1);
  write_completions(1, 2, "a\xC3\xA9");  // é is two tokens: its text comes with the second
  write_tokenizer();
  const Json completions = run()["completions"];
  EXPECT_EQ(completions["found"], 2);
  EXPECT_EQ(completions["note"], "");
  ASSERT_EQ(completions["rows"].size(), 2u);
  const Json& best = completions["rows"][0];
  EXPECT_EQ(best["reward"], 1);
  EXPECT_EQ(best["explain"], (Json{{"math", "why"}}));
  EXPECT_EQ(best["pieces"], Json::array({"a", "", "é"}));
  EXPECT_EQ(best["logprobs"], Json::array({-1.23, -1.23, -1.23}));
}

TEST_F(Report, CompletionsOfAGroupShowThePromptThatItsFirstRowHas) {
  write_steps(1);
  fs::create_directories(folder / "completions");
  const std::string rows = R"({"problem": "a", "sample": 0, "completion": "x", "reward": 3, "prompt": "one"}
{"problem": "a", "sample": 1, "completion": "x", "reward": 2}
{"problem": "b", "sample": 0, "completion": "x", "reward": 1, "prompt": "é)" + std::string(999, 'e') + R"(?"}
{"problem": "c", "sample": 0, "completion": "x", "reward": 0}
)";
  write_file_atomic(folder / "completions/step_1.jsonl", rows);
  const Json shown = run({.longest_completion = 4000})["completions"]["rows"];
  ASSERT_EQ(shown.size(), 4u);
  for (const Json& row : shown) {
    const std::string problem = row["problem"], prompt = row.value("prompt", "none");
    EXPECT_EQ(prompt, problem == "a" ? "one" : problem == "b" ? "… " + std::string(999, 'e') + "?" : "none") << row;  // of é no half
  }
}

TEST_F(Report, WithoutTheTokenizerTextsAreShownAsTheyAre) {
  write_steps(1);
  write_completions(1, 1);
  const Json completions = run()["completions"];
  EXPECT_EQ(completions["rows"][0]["pieces"], Json::array({"ab"}));
  EXPECT_FALSE(completions["rows"][0].contains("logprobs"));
  EXPECT_NE(completions["note"].get<std::string>().find("tokenizer is not found or cannot be read"), std::string::npos);
}

TEST_F(Report, ManyCompletionsAreSampledWithNotice) {
  write_steps(1);
  write_tokenizer();
  for (int64_t step = 1; step <= 20; ++step) write_completions(step, 50);
  const Json completions = run({.completions = 40})["completions"];
  EXPECT_EQ(completions["found"], 1000);
  ASSERT_EQ(completions["rows"].size(), 40u);
  const auto rewards = chosen_steps(completions);
  EXPECT_EQ(rewards.size(), 20u);
  for (const auto& [step, values] : rewards) EXPECT_EQ(values, (std::vector<int64_t>{49, 0})) << step;
  EXPECT_EQ(completions["note"].get<std::string>().find("40 of the 1000 completions"), 0u) << completions["note"];
  // Bytes bound it as well, and one long text does not take all.
  write_completions(3, 50, std::string(20000, 'x'));
  const Json bounded = run({.bytes = 40000, .completions = 400, .longest_completion = 500});
  EXPECT_LE(bytes_in_page(bounded), 40000);
  EXPECT_GT(bounded["completions"]["rows"].size(), 40u);
  EXPECT_EQ(chosen_steps(bounded["completions"]).size(), 20u);
  EXPECT_NE(bounded["completions"]["note"].get<std::string>().find("of each step the best, the worst and some in between. Texts are cut after about 500 bytes."),
            std::string::npos)
      << bounded["completions"]["note"];
}

// What a usual run writes: more text than fits. Of as many steps as there is room for, the best and the worst are there.
TEST_F(Report, OfManyStepsSomeAreShownWithTheirBestAndWorst) {
  write_steps(1);
  write_tokenizer();
  for (int64_t step = 1; step <= 1000; ++step) write_completions(step, 10, std::string(256, 'x'));
  const auto expect_shown = [](const Json& completions, size_t fewest) {
    const auto rewards = chosen_steps(completions);
    EXPECT_GE(rewards.size(), fewest);
    EXPECT_EQ(rewards.begin()->first, 1);
    EXPECT_EQ(rewards.rbegin()->first, 1000);
    for (const auto& [step, values] : rewards) {
      ASSERT_GE(values.size(), 2u) << step;
      EXPECT_EQ(values[0], 9) << step;
      EXPECT_EQ(values[1], 0) << step;
    }
    const std::string start = fmt::format("{} of the 10000 completions that the run has written: of {} of 1000 steps, evenly", completions["rows"].size(), rewards.size());
    EXPECT_EQ(completions["note"].get<std::string>().find(start), 0u) << completions["note"];
  };
  expect_shown(run()["completions"], 300);
  const Json two = report_data({folder, folder});
  for (const Json& of : two["runs"]) expect_shown(of["completions"], 150);
  EXPECT_LE(bytes_in_page(two), ReportLimits().bytes);
}

TEST_F(Report, LongTextsAreCutWhereElseFewStepsWouldFit) {
  write_steps(1);
  write_tokenizer();
  for (int64_t step = 1; step <= 50; ++step) write_completions(step, 4, std::string(5000, 'x'));
  const Json completions = run({.bytes = 200000})["completions"];
  const auto rewards = chosen_steps(completions);
  EXPECT_GE(rewards.size(), 10u);
  for (const auto& [step, values] : rewards) EXPECT_EQ(values, (std::vector<int64_t>{3, 0})) << step;
  EXPECT_NE(completions["note"].get<std::string>().find("steps, evenly from the first to the last, the best and the worst. Texts are cut after about 750 bytes."),
            std::string::npos)
      << completions["note"];
  const Json none = run({.bytes = 3000})["completions"];
  EXPECT_EQ(none["note"], "0 of the 200 completions that the run has written: the others are too long for this page.");
}

// Text that the page escapes, many evaluations and many curves: the limit is one of all, as they stand in the page.
TEST_F(Report, OneLimitBoundsAllRunsAsTheyStandInThePage) {
  std::string text;
  for (int64_t step = 1; step <= 1000; ++step) {
    Json line = {{"step", step}, {"reward", 1.0 / static_cast<double>(step)}};
    for (int i = 0; i < 30; ++i) {
      line[fmt::format("eval/task_{}/accuracy", i)] = 1.0 / static_cast<double>(step + i);
      line[fmt::format("timing_s/part_{}", i)] = 1.0 / static_cast<double>(step + i);
    }
    text += dump_json(line) + "\n";
  }
  write_file_atomic(folder / "metrics.jsonl", text);
  write_tokenizer();
  for (int64_t step = 1; step <= 99; ++step) write_completions(step, 10, std::string(1000, '<'));
  for (const size_t runs : {1, 7}) {
    const Json data = report_data(std::vector<fs::path>(runs, folder));
    EXPECT_LE(bytes_in_page(data), ReportLimits().bytes);
    EXPECT_EQ(bytes_in_page(data), std::ssize(script_safe(dump_json(data))));
    for (const Json& of : data["runs"]) {
      EXPECT_GE(of["steps"].size(), 100u);
      EXPECT_EQ(of["steps"].back(), 1000);
      EXPECT_EQ(of["metrics"].size(), 61u);
      EXPECT_EQ(of["metrics_note"], "");
      const size_t evaluations = of["evaluations"].size();
      EXPECT_GE(evaluations, 20u);
      EXPECT_EQ(of["evaluations"].front()["step"], 1);
      EXPECT_EQ(of["evaluations"].back()["step"], 1000);
      EXPECT_EQ(of["evaluations_note"], fmt::format("{} of the 1000 evaluations are shown.", evaluations));
      EXPECT_GE(chosen_steps(of["completions"]).size(), 10u) << of["completions"]["note"];
    }
  }
  const Json tight = run({.bytes = 4000});
  EXPECT_LE(bytes_in_page(tight), 4000);
  EXPECT_NE(tight["metrics_note"].get<std::string>().find("of the 61 metrics are shown"), std::string::npos) << tight["metrics_note"];
}

// JSON of an unexpected type is refused with its place; only a log-prob may be missing.
TEST_F(Report, AValueOfAnotherTypeIsRefusedByFileAndLine) {
  write_steps(1);
  write_tokenizer();
  for (const char* row : {"[1, 2]", "5", "null", R"({"completion": null})", R"({"completion": 5})", R"({"ids": ["a"], "logprobs": [1]})", R"({"ids": [-1]})",
                          R"({"ids": 3})", R"({"ids": [9223372036854775808]})", R"({"logprobs": ["a"]})", R"({"logprobs": {}})", R"({"reward": "1"})",
                          R"({"rewards": [1]})", R"({"rewards": {"a": "b"}})", R"({"explain": ["a"]})", R"({"explain": {"a": 1}})", R"({"advantage": []})", R"({"finish_reason": 1})", R"({"problem": {}})", R"({"prompt": []})"}) {
    write_completions(1, 1);
    append_file(folder / "completions/step_1.jsonl", std::string(row) + "\n");
    EXPECT_ERROR(run(), kInput, "step_1.jsonl:2: ");
  }
  for (const char* logprobs : {"[null, -1.5]", "null", "[-1.5]"}) {
    fs::create_directories(folder / "completions");
    write_file_atomic(folder / "completions/step_1.jsonl", fmt::format(R"({{"completion": "ab", "ids": [97, 98], "logprobs": {}}})", logprobs) + "\n");
    const Json row = run()["completions"]["rows"][0];
    EXPECT_EQ(row["pieces"], Json::array({"ab"})) << logprobs;
    EXPECT_FALSE(row.contains("logprobs")) << logprobs;
  }
}

TEST_F(Report, ADamagedTokenizerIsNoReasonForNoReport) {
  write_steps(1);
  write_completions(1, 1);
  write_tokenizer();
  for (const char* damaged : {"{", "[]", R"({"model": 5})"}) {
    write_file_atomic(folder / "final/tokenizer.json", damaged);
    const Json completions = run()["completions"];
    EXPECT_EQ(completions["rows"][0]["pieces"], Json::array({"ab"}));
    EXPECT_EQ(completions["note"], "Without log-probs, as the model's tokenizer is not found or cannot be read.");
  }
}

TEST_F(Report, OfFineTuningNoCompletionsAreMissed) {
  write_file_atomic(folder / "metrics.jsonl", R"({"step": 1, "loss": 2.5, "mean_token_accuracy": 0.5})" "\n");
  EXPECT_EQ(run()["completions"]["note"], "There are none: cohort sft samples no completions.");
}

TEST_F(Report, StartsAreNotKnownWithoutEventFiles) {
  write_steps(3);
  EXPECT_EQ(run()["starts"], nullptr);
}

TEST_F(Report, ALongTextIsCutAndSaysSo) {
  write_steps(1);
  write_tokenizer();
  write_completions(1, 1, std::string(300, 'x'));
  const Json row = run({.longest_completion = 100})["completions"]["rows"][0];
  EXPECT_EQ(row["pieces"].size(), 101u);
  EXPECT_EQ(row["logprobs"].size(), 101u);
  EXPECT_EQ(row["cut"], true);
}

TEST_F(Report, AFolderWithoutARunIsRefused) {
  EXPECT_ERROR(report_data({folder}), kInput, "nothing to report");
  EXPECT_ERROR(report_data({folder / "absent"}), kInput, "config.yaml is missing");
  write_steps(1);
  write_completions(1, 1);
  append_file(folder / "completions/step_1.jsonl", "nonsense\n");
  EXPECT_ERROR(run(), kInput, "step_1.jsonl:2");
}

}  // namespace
}  // namespace cohort
