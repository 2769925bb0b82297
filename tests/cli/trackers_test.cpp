// What a run tells TensorBoard and its hooks: the metrics of metrics.jsonl, each step once, also over a kill and a resume; and
// `cohort metrics`.
#include <signal.h>

#include "core/files.h"
#include "tests/cli/run_cohort.h"
#include "trainer/checkpoint.h"
#include "trainer/event_file.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

std::vector<Json> metrics_of(const std::string& run) {
  std::vector<Json> metrics;
  for (const std::string& line : read_whole_lines(run + "/metrics.jsonl")) metrics.push_back(parse_json(line, run));
  return metrics;
}

// Every step of metrics.jsonl once, in order, with the same values rounded to float.
void expect_events_equal_metrics(const std::string& run) {
  std::vector<ScalarEvent> events;
  for (const fs::path& file : event_files(run))
    for (ScalarEvent& event : read_events(file))
      if (!event.values.empty()) events.push_back(std::move(event));
  const std::vector<Json> metrics = metrics_of(run);
  ASSERT_EQ(events.size(), metrics.size());
  for (size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i].step, metrics[i]["step"].get<int64_t>());
    EXPECT_EQ(events[i].values.size() + 1, metrics[i].size());
    for (const auto& [tag, value] : events[i].values) EXPECT_EQ(value, metrics[i][tag].get<float>()) << tag;
  }
}

TEST(Trackers, EventsAndHooksGetEachStepOnceOverAKillAndAResume) {
  const TemporaryFolder folder;
  const std::string config = write_all(folder / "tiny.yaml", tiny_config(folder / "runs")), run = folder / "runs/tiny";
  const std::vector<std::string> command = {"train", config, "trainer.max_steps=300", "log.completions_steps=0",
                                            "log.hooks=['cat >> " + (folder / "hooked") + "']"};
  bool killed = false;
  const Outcome first = run_cohort(command, "", [&](pid_t child, const std::string& err) {
    if (err.find(" 20/300") == std::string::npos || !newest_checkpoint(run + "/checkpoints")) return false;
    kill(child, SIGKILL);
    return killed = true;
  });
  ASSERT_TRUE(killed && first.exit_code == -1) << first.err;
  append_file(event_files(run).at(0), "torn");  // as a kill in the middle of a write leaves it
  const std::string from = newest_checkpoint(run + "/checkpoints")->filename().string();
  const Outcome second = run_cohort(command);
  ASSERT_EQ(second.exit_code, 0) << second.err;
  EXPECT_NE(second.err.find(from), std::string::npos) << second.err;
  EXPECT_EQ(event_files(run).size(), 2u);
  EXPECT_EQ(metrics_of(run).size(), 300u);
  expect_events_equal_metrics(run);
  // The second run's lines are the last ones that the hook got.
  const std::string lines = read_all(run + "/metrics.jsonl"), hooked = read_all(folder / "hooked");
  const size_t begin = lines.find("{\"step\":" + std::to_string(std::stoll(from.substr(5)) + 1) + ",");
  ASSERT_NE(begin, std::string::npos) << from;
  EXPECT_TRUE(hooked.ends_with(lines.substr(begin)));
  EXPECT_EQ(run_cohort({"compare", run, run}).exit_code, 0);
}

TEST(Trackers, AHookThatDiesOrHangsCostsAWarningAndNoBits) {
  const TemporaryFolder folder;
  const std::string config = write_all(folder / "tiny.yaml", tiny_config(folder / "runs"));
  ASSERT_EQ(run_cohort({"train", config, "run.name=plain", "log.tensorboard=false"}).exit_code, 0);
  EXPECT_TRUE(event_files(folder / "runs/plain").empty());
  const Outcome outcome = run_cohort({"train", config, "run.name=hooked", "log.hooks_timeout_s=0.3",
                                      "log.hooks=['cohort-no-such-program', 'exec sleep 1000', 'cat > " + (folder / "good") + "']"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("log.hooks: 'cohort-no-such-program' ended with exit code 127"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("log.hooks: 'exec sleep 1000' has not ended 0.3 s after its last line and was killed"), std::string::npos) << outcome.err;
  EXPECT_EQ(read_all(folder / "good"), read_all(folder / "runs/hooked/metrics.jsonl"));
  EXPECT_EQ(run_cohort({"compare", folder / "runs/plain", folder / "runs/hooked"}).exit_code, 0);
}

TEST(Trackers, EveryRankAndEveryKindOfRunWaitsForAHookToEnd) {
  const TemporaryFolder folder;
  const std::string config = write_all(folder / "tiny.yaml", tiny_config(folder / "runs"));
  const std::string hook = "log.hooks=['cat > /dev/null; sleep 2.5; echo ended > " + (folder / "ended") + "']";
  std::vector<std::string> args = {"-n", "2", "--oversubscribe", COHORT_BINARY, "train", config, "comm.timeout_s=1", "log.hooks_timeout_s=20", hook};
  if (geteuid() == 0) args.insert(args.begin(), "--allow-run-as-root");
  const Outcome two = run_program("mpirun", args);
  EXPECT_EQ(two.exit_code, 0) << two.err;
  EXPECT_EQ(read_all(folder / "ended"), "ended\n") << "longer than ranks wait for each other elsewhere";

  const std::string sft = write_all(folder / "sft.yaml", "run: {name: sft, threads: 1, dir: " + (folder / "runs") + R"(}
model:
  init: {hidden_size: 32, intermediate_size: 64, num_layers: 2, num_heads: 2, num_kv_heads: 1, max_positions: 64}
data: {task: {name: addition, seed: 1, train_size: 8}}
sft: {examples_per_step: 4, max_length: 48, num_train_epochs: 1}
)");
  const Outcome tuned = run_cohort({"sft", sft, "log.hooks=['cat > " + (folder / "lines") + "; exit 7']"});
  EXPECT_EQ(tuned.exit_code, 0) << tuned.err;
  EXPECT_EQ(read_all(folder / "lines"), read_all(folder / "runs/sft/metrics.jsonl"));
  EXPECT_NE(tuned.err.find("ended with exit code 7"), std::string::npos) << tuned.err;
}

TEST(Trackers, AReplayTellsNobody) {
  const TemporaryFolder folder;
  const std::string config = write_all(folder / "tiny.yaml", tiny_config(folder / "runs"));
  ASSERT_EQ(run_cohort({"train", config, "log.hooks=['cat >> " + (folder / "hooked") + "']"}).exit_code, 0);
  const std::string hooked = read_all(folder / "hooked");
  EXPECT_FALSE(hooked.empty());
  const Outcome replay = run_cohort({"replay", folder / "runs/tiny", "--step", "3"});
  EXPECT_EQ(replay.exit_code, 0) << replay.err;
  EXPECT_EQ(read_all(folder / "hooked"), hooked);
}

TEST(MetricsCommand, IsATableWithAColumnForEveryMetric) {
  const TemporaryFolder folder;
  write_all(folder / "metrics.jsonl", "{\"step\":1,\"reward\":0.25,\"kl\":1e-7}\n{\"step\":2,\"reward\":1.0,\"eval/accuracy\":0.5}\n");
  const Outcome outcome = run_cohort({"metrics", folder.str()});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "step,reward,kl,eval/accuracy\n1,0.25,1e-07,\n2,1.0,,0.5\n");
  EXPECT_EQ(run_cohort({"metrics", folder.str(), "--output", folder / "m.csv"}).exit_code, 0);
  EXPECT_EQ(read_all(folder / "m.csv"), outcome.out);
  EXPECT_REFUSED(run_cohort({"metrics", folder / "absent"}), 3, "absent: no metrics");
  write_all(folder / "metrics.jsonl", R"({"step":1,"rewards/a,b/mean":0.5,"say \"x\"":2})" "\n");
  EXPECT_EQ(run_cohort({"metrics", folder.str()}).out, "step,\"rewards/a,b/mean\",\"say \"\"x\"\"\"\n1,0.5,2\n");
}

}  // namespace
}  // namespace cohort
