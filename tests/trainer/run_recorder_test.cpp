// What happens to a run is kept in events.jsonl, over kill and resume, and warnings are told once.
#include "trainer/run_recorder.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include "core/files.h"
#include "tests/core/expect_error.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

class Heard : public TrainObserver {
 public:
  void warning(const std::string& text) override { warnings.push_back(text); }
  void step(int64_t, int64_t, const Metrics&) override { ++steps; }
  std::vector<std::string> warnings;
  int steps = 0;
};

class Recorder : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "cohort-recorder-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder = name;
  }
  void TearDown() override { fs::remove_all(folder); }
  // Steps without a gradient, of which the eighth is warned.
  void run(RunRecorder& recorder, int64_t first, int64_t last) const {
    for (int64_t step = first; step <= last; ++step) {
      Metrics metrics;
      metrics.set("step", step), metrics.set("grad_norm", 0.0);
      metrics.append_to(folder / "metrics.jsonl");
      recorder.step(step, 100, metrics);
    }
  }
  std::vector<std::string> events() const {
    std::vector<std::string> lines;
    for (const RunEvent& event : read_run_events(folder)) lines.push_back(fmt::format("{} {} {}", event.step, event.kind, event.cause.empty() ? event.text : event.cause));
    return lines;
  }
  fs::path folder;
};
using Lines = std::vector<std::string>;

TEST_F(Recorder, KeepsStartsWarningsAndCheckpoints) {
  Heard heard;
  heard.start_warnings.push_back("4 threads on 2 cores");
  RunRecorder recorder(heard, /*records=*/true);
  recorder.warning("before there is a folder");
  recorder.begin(folder, 0, "1 rank");
  run(recorder, 1, 10);
  recorder.event("checkpoint", 10, "checkpoints/step_10");
  EXPECT_EQ(events(), (Lines{"0 start 1 rank", "0 warning 4 threads on 2 cores", "0 warning before there is a folder", "8 warning gradient_zero",
                             "10 checkpoint checkpoints/step_10"}));
  ASSERT_EQ(heard.warnings.size(), 2u);
  EXPECT_EQ(heard.warnings[1].rfind("step 8: steps 1 to 8: the gradient was 0", 0), 0u) << heard.warnings[1];
  EXPECT_EQ(heard.steps, 10);
  EXPECT_GT(recorder.take_seconds(), 0);
  EXPECT_EQ(recorder.take_seconds(), 0);
}

TEST_F(Recorder, AResumedRunForgetsWhatComesAgainAndTellsNothingTwice) {
  for (const int64_t from : {7, 9}) {
    fs::remove(folder / "events.jsonl"), fs::remove(folder / "metrics.jsonl");
    Heard first, second;
    RunRecorder killed(first, true);
    killed.begin(folder, 0, "1 rank");
    run(killed, 1, 10);
    truncate_metrics(folder / "metrics.jsonl", from);
    RunRecorder resumed(second, true);
    resumed.begin(folder, from, "1 rank, resuming");
    run(resumed, from + 1, 20);
    EXPECT_EQ(second.warnings.size(), from < 8 ? 1u : 0u);
    EXPECT_EQ(events().size(), 3u);
    EXPECT_EQ(std::ranges::count(events(), "8 warning gradient_zero"), 1) << from;
    EXPECT_EQ(std::ranges::count(events(), fmt::format("{} start 1 rank, resuming", from)), 1);
  }
}

TEST_F(Recorder, OtherRanksWriteNothing) {
  Heard heard;
  RunRecorder recorder(heard, /*records=*/false);
  recorder.begin(folder, 0, "2 ranks");
  recorder.warning("told");
  EXPECT_FALSE(fs::exists(folder / "events.jsonl"));
  EXPECT_EQ(heard.warnings, Lines{"told"});
}

TEST_F(Recorder, ADamagedFileIsNamed) {
  append_file(folder / "events.jsonl", "{\"step\": 1, \"event\": \"start\", \"text\": \"x\"}\n{\"step\": 2}\n");
  EXPECT_ERROR(read_run_events(folder), kInput, "events.jsonl:2: 'event' is missing");
}

}  // namespace
}  // namespace cohort
