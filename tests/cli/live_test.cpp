// What a run shows on a terminal: through a pty, as a person sees it.
#include "cli/live_view.h"
#include "cli/terminal.h"
#include "tests/cli/run_cohort.h"
#include "tests/cli/screen.h"

namespace cohort {
namespace {

ViewState middle_of_a_run() {
  ViewState state{.step = 128, .max_steps = 300, .accuracy = 0.633, .accuracy_step = 120, .seconds_left = 750, .activity = "rollout", .activity_seconds = 2.5};
  state.metrics = {{"step", 128}, {"reward", 0.531}, {"reward_std", 0.21}, {"completions/mean_length", 34.06}, {"completions/clipped_ratio", 0.03}, {"frac_reward_zero_std", 0.125},
                   {"kl", 0.0123}, {"entropy", 0.512}, {"grad_norm", 0.34}, {"learning_rate", 1e-6}, {"perf/rollout_tokens_per_s", 1240.4},
                   {"perf/update_tokens_per_s", 3300.0}, {"timing_s/step", 2.0}, {"perf/rollout_rank_skew", 0.04}, {"perf/peak_memory_gb", 1.25}};
  for (int i = 0; i < 128; ++i) state.curve.push_back(0.1 + 0.004 * i);
  state.curve.back() = 0.531;
  return state;
}

TEST(LiveView, ShowsWhatIsKnown) {
  const std::vector<std::string> lines = view_lines(middle_of_a_run(), {.columns = 80, .rows = 24, .utf8 = true});
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  for (const char* part : {"step 128/300", "━", "43 %", "12m 30s left", "reward 0.531 ± 0.210  ▁", "█", "accuracy 63.3 % at step 120", "length 34.1", "cut off 3 %",
                           "no signal 12 %", "kl 0.0123", "entropy 0.512", "grad norm 0.34", "rollout 1240 tok/s", "update 3300 tok/s", "ranks wait 4 %",
                           "memory 1.25 GB", "rollout  2.5s"})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  const std::vector<std::string> ascii = view_lines(middle_of_a_run(), {.columns = 80, .rows = 24});
  for (const std::string& line : ascii) EXPECT_TRUE(std::ranges::all_of(line, [](char c) { return c >= ' ' && c <= '~'; })) << line;
}

TEST(LiveView, FitsEveryTerminal) {
  for (int columns = 1; columns <= 200; ++columns)
    for (const int rows : {1, 2, 3, 5, 24})
      for (const bool color : {false, true}) {
        const std::vector<std::string> lines = view_lines(middle_of_a_run(), {.columns = columns, .rows = rows, .color = color, .utf8 = true});
        EXPECT_LE(std::ssize(lines), std::max(1, rows - 1));
        EXPECT_LE(std::ssize(lines), kMostLiveLines);
        for (const std::string& line : lines) EXPECT_LE(display_width(line), columns) << line;
      }
  EXPECT_EQ(view_lines(middle_of_a_run(), {.columns = 30, .rows = 3})[0].substr(0, 12), "step 128/300");
}

TEST(LiveView, SparklinesGoFromTheLowestToTheHighest) {
  const std::vector<double> rising = {0, 1, 2, 3, 4, 5, 6, 7}, flat = {2, 2, 2};
  EXPECT_EQ(sparkline(rising, 20, true), "▁▂▃▄▅▆▇█");
  EXPECT_EQ(sparkline(rising, 4, true), "▁▃▆█") << "means of two";
  EXPECT_EQ(sparkline(rising, 8, false), "_.-~=+*#");
  EXPECT_EQ(sparkline(flat, 8, true), "▅▅▅");
  EXPECT_EQ(progress_bar(0.5, 10, false), "[====    ]");
}

TEST(Terminal, TextIsCutByColumnsNotBytes) {
  EXPECT_EQ(cut_to_width("日本語", 5), "日本");
  EXPECT_EQ(cut_to_width("\x1b[1mabc\x1b[0mdef", 4), "\x1b[1mabc\x1b[0md\x1b[0m");
  EXPECT_EQ(cut_to_width("\x1b[1mabc\x1b[0m", 3), "\x1b[1mabc\x1b[0m");
  EXPECT_EQ(display_width("±\x1b[33mé\x1b[0m"), 2);
}

TEST(LiveLines, AreReplacedInPlaceAndLeaveOthersAlone) {
  const Terminal terminal(true, false, true, {.columns = 20, .rows = 10});
  Screen screen(20, 10);
  testing::internal::CaptureStderr();
  {
    LiveLines lines(terminal);
    lines.show({"one", "two", "three"});
    lines.show({"1", "this line is longer than the terminal is wide"});
    lines.print("a message");
    lines.show({"1", "2"});
    write_below("an error of another thread\n");
    lines.show({"A", "B"});
    lines.show({"C"});
  }
  for (const char c : testing::internal::GetCapturedStderr()) screen.write(c == '\n' ? "\r\n" : std::string(1, c));  // as a terminal has it
  EXPECT_EQ(screen.text(), "a message\n1\n2\nan error of another\nthread\nC\n");
  EXPECT_EQ(screen.column(), 0) << "a shell's prompt gets a line of its own";
}

TEST(LiveLines, OfATerminalThatBecameNarrowAreFoundAgain) {
  Terminal terminal(true, false, true, {.columns = 20, .rows = 10});
  LiveLines lines(terminal);
  testing::internal::CaptureStderr();
  lines.show({"0123456789abcdefghij", "x"});
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "0123456789abcdefghij\x1b[K\nx\x1b[K\n\x1b[J");
  terminal = Terminal(true, false, true, {.columns = 8, .rows = 10});  // it breaks what was longer into three rows
  testing::internal::CaptureStderr();
  lines.show({"0123456789", "x"});
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "\x1b[4A\r01234567\x1b[K\nx\x1b[K\n\x1b[J");
}

std::vector<std::string> long_run(const TemporaryFolder& folder, const std::vector<std::string>& more = {}) {
  std::vector<std::string> command = {COHORT_BINARY, "train", write_all(folder / "tiny.yaml", tiny_config(folder / "runs")), "trainer.max_steps=1000000",
                                      "trainer.save_steps=0"};
  command.insert(command.end(), more.begin(), more.end());
  return command;
}

TEST(LiveRun, ShowsItselfAndEndsWithItsSummary) {
  const TemporaryFolder folder;
  OnTerminal run({COHORT_BINARY, "train", write_all(folder / "tiny.yaml", tiny_config(folder / "runs"))}, 80, 24);
  EXPECT_EQ(run.end(), 0) << run.screen().text();
  const std::string text = run.screen().text();
  for (const char* part : {"1 rank, 1 thread", "KV cache: ", "step 3/3", "100 %", "reward ", "grad norm ", "rollout ", "tok/s", "accuracy after GRPO", "run directory"})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  EXPECT_EQ(text.find("step 2/3"), std::string::npos) << "it was replaced: " << text;
  EXPECT_TRUE(run.screen().saw_color());
  EXPECT_FALSE(run.screen().colored());
}

TEST(LiveRun, CtrlCLeavesTheTerminalAsItWas) {
  const TemporaryFolder folder;
  OnTerminal run(long_run(folder), 80, 24);
  ASSERT_TRUE(run.until_shown("grad norm")) << run.screen().text();
  run.type("\x03");
  EXPECT_EQ(run.end(), -SIGINT) << run.screen().text();
  EXPECT_TRUE(run.modes_unchanged());
  EXPECT_FALSE(run.screen().colored());
  EXPECT_LE(run.screen().column(), 2) << "^C at most: " << run.screen().text();
}

TEST(LiveRun, FollowsANarrowerAndAWiderTerminal) {
  const TemporaryFolder folder;
  OnTerminal run(long_run(folder), 80, 24, {{"NO_COLOR", "1"}});
  // The view stands there once, whole: `bar` or not in its first line.
  const auto shows_view = [](bool bar) {
    return [bar](const Screen& screen) {
      const std::vector<std::string> lines = screen.lines();
      const auto heads = std::ranges::count_if(lines, [](const std::string& line) { return line.starts_with("step "); });
      return heads == 1 && screen.text().find("grad norm") != std::string::npos && (screen.text().find("━") != std::string::npos) == bar;
    };
  };
  ASSERT_TRUE(run.until(shows_view(true))) << run.screen().text();
  run.resize(30, 24);
  ASSERT_TRUE(run.until(shows_view(false))) << run.screen().text();
  run.resize(80, 24);
  EXPECT_TRUE(run.until(shows_view(true))) << run.screen().text();
  EXPECT_NE(run.screen().text().find("1 rank, 1 thread"), std::string::npos) << "what stands above stays: " << run.screen().text();
  EXPECT_FALSE(run.screen().saw_color());
}

TEST(LiveRun, PlainLinesWhereATerminalCannotRewrite) {
  const TemporaryFolder folder;
  OnTerminal run({COHORT_BINARY, "train", write_all(folder / "tiny.yaml", tiny_config(folder / "runs"))}, 80, 24, {{"TERM", "dumb"}});
  EXPECT_EQ(run.end(), 0);
  EXPECT_FALSE(run.screen().saw_escape());
  EXPECT_NE(run.screen().text().find("\nstep 1/3  reward "), std::string::npos) << run.screen().text();
  OnTerminal quiet({COHORT_BINARY, "train", folder / "tiny.yaml", "run.name=quiet", "--quiet"}, 80, 24);
  EXPECT_EQ(quiet.end(), 0);
  EXPECT_FALSE(quiet.screen().saw_escape());
  EXPECT_EQ(quiet.screen().text().rfind("accuracy before", 0), 0u) << quiet.screen().text();
}

TEST(LiveRun, UnderMpirunIsThatOfItsTerminal) {
  const TemporaryFolder folder;
  std::vector<std::string> command = {"mpirun", "-n", "2", "--oversubscribe", "--bind-to", "none", COHORT_BINARY, "train", write_all(folder / "tiny.yaml", tiny_config(folder / "runs"))};
  if (geteuid() == 0) command.insert(command.begin() + 1, "--allow-run-as-root");
  OnTerminal run(command, 80, 24);
  EXPECT_EQ(run.end(), 0) << run.screen().text();
  const std::string text = run.screen().text();
  EXPECT_NE(text.find("2 ranks on 1 host"), std::string::npos) << text;
  std::istringstream metrics(read_all(folder / "runs/tiny/metrics.jsonl"));
  for (std::string line; std::getline(metrics, line);) {
    const double skew = parse_json(line, "metrics.jsonl")["perf/rollout_rank_skew"];
    EXPECT_TRUE(skew >= 0 && skew <= 0.5) << "of two ranks one waits at most the whole time: " << skew;
  }
  EXPECT_NE(text.find("step 3/3"), std::string::npos) << text;
  EXPECT_EQ(text.find("step 2/3"), std::string::npos) << "it was replaced: " << text;
}

TEST(JsonLog, IsOneObjectALine) {
  const TemporaryFolder folder;
  const std::string config = write_all(folder / "tiny.yaml", tiny_config(folder / "runs"));
  const Outcome outcome = run_cohort({"train", config, "log.format=json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  std::vector<Json> events;
  std::istringstream lines(outcome.err);
  for (std::string line; std::getline(lines, line);) events.push_back(parse_json(line, "standard error"));
  const auto of_kind = [&](const char* kind) { return std::ranges::count_if(events, [&](const Json& event) { return event["event"] == kind; }); };
  EXPECT_EQ(of_kind("step"), 3);
  EXPECT_GE(of_kind("message"), 2);
  EXPECT_EQ(events.front()["text"].get<std::string>().rfind("1 rank, 1 thread", 0), 0u) << outcome.err;
  EXPECT_TRUE(events.back()["metrics"].contains("reward")) << outcome.err;
  const Json summary = outcome.records().at(0);
  EXPECT_EQ(summary["event"], "summary");
  EXPECT_EQ(summary["steps"], 3);
  EXPECT_TRUE(summary.contains("accuracy_after")) << outcome.out;
  const Outcome quiet = run_cohort({"train", config, "log.format=json", "run.name=quiet", "--quiet"});
  EXPECT_EQ(quiet.err, "");
}

}  // namespace
}  // namespace cohort
