// log.trace: a timeline of a run that Perfetto opens, and no other difference.
#include <algorithm>
#include <map>
#include <set>

#include "tests/cli/run_cohort.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

const std::set<std::string> kNames = {"rollout", "prefill", "decode", "sample", "reward", "forward", "backward",
                                      "comm", "optimizer", "checkpoint", "evaluate"};

std::vector<Json> events_of(const std::string& run) {
  const Json events = parse_json(read_all(run + "/trace.json"), "trace.json");
  return {events.begin(), events.end()};
}

struct Interval {
  int64_t start, end;
};
Interval interval(const Json& event) {
  const int64_t start = event["ts"].get<int64_t>();
  return {start, start + event["dur"].get<int64_t>()};
}

// Of one rank, in the order of their beginnings: each span ends within the one that was open when it began.
void expect_nested(const std::vector<Json>& events) {
  std::vector<Interval> open;
  for (const Json& event : events) {
    const Interval now = interval(event);
    while (!open.empty() && open.back().end <= now.start && open.back().end < now.end) open.pop_back();
    if (!open.empty()) {
      EXPECT_GE(now.start, open.back().start) << event;
      EXPECT_LE(now.end, open.back().end) << event;
    }
    open.push_back(now);
  }
}

TEST(Trace, ShowsTheStagesOfARunNestedAndChangesNothingElse) {
  const TemporaryFolder folder;
  const std::string config = write_all(folder / "c.yaml", tiny_config(folder / "runs"));
  ASSERT_EQ(run_cohort({"train", config, "--quiet", "run.name=plain", "algorithm.beta=0.1"}).exit_code, 0);
  EXPECT_FALSE(fs::exists(folder / "runs/plain/trace.json"));
  const Outcome outcome = run_cohort({"train", config, "--quiet", "run.name=traced", "log.trace=true", "algorithm.beta=0.1"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(read_all(folder / "runs/traced/final/model.safetensors"), read_all(folder / "runs/plain/final/model.safetensors"));
  EXPECT_EQ(read_all(folder / "runs/traced/completions/step_3.jsonl"), read_all(folder / "runs/plain/completions/step_3.jsonl"));

  const std::vector<Json> events = events_of(folder / "runs/traced");
  std::map<std::string, int> counts;
  for (const Json& event : events) {
    EXPECT_EQ(event["ph"], "X");
    EXPECT_EQ(event["pid"], 0);
    ++counts[event["name"].get<std::string>()];
  }
  for (const std::string& name : kNames) EXPECT_GT(counts[name], 0) << name;
  EXPECT_EQ(counts.size(), kNames.size());
  // After step 2: begun, looked at while it is being written (once or not at all before the end), committed; the final model.
  EXPECT_GE(counts["checkpoint"], 3);
  EXPECT_LE(counts["checkpoint"], 4);
  EXPECT_EQ(counts["evaluate"], 2);    // before and after
  EXPECT_EQ(counts["rollout"], 5);     // the steps' and the evaluations'
  expect_nested(events);
}

TEST(Trace, OfSeveralRanksIsOneFile) {
  const TemporaryFolder folder;
  const std::string config = write_all(folder / "c.yaml", tiny_config(folder / "runs"));
  std::vector<std::string> args = {"-n", "2", "--oversubscribe", "--bind-to", "none", COHORT_BINARY, "train", config, "--quiet", "log.trace=true"};
  if (geteuid() == 0) args.insert(args.begin(), "--allow-run-as-root");
  const Outcome outcome = run_program("mpirun", args);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  std::map<int, std::vector<Json>> ranks;
  for (const Json& event : events_of(folder / "runs/tiny")) ranks[event["pid"].get<int>()].push_back(event);
  ASSERT_EQ(ranks.size(), 2u);
  for (const auto& [rank, events] : ranks) {
    expect_nested(events);
    EXPECT_EQ(std::ranges::count_if(events, [](const Json& event) { return event["name"] == "rollout"; }), 5) << rank;
  }
}

TEST(Trace, OfARunThatFailedHoldsWhatCameBefore) {
  const TemporaryFolder folder;
  const std::string config = write_all(folder / "c.yaml", tiny_config(folder / "runs"));
  const Outcome outcome = run_cohort({"train", config, "--quiet", "log.trace=true", "optim.learning_rate=1.0e38",
                                      "algorithm.beta=0.1", "optim.weight_decay=1.0"});
  ASSERT_EQ(outcome.exit_code, 5) << outcome.err;
  const std::vector<Json> events = events_of(folder / "runs/tiny");
  ASSERT_FALSE(events.empty());
  expect_nested(events);
}

}  // namespace
}  // namespace cohort
