// cohort pipeline as a user runs it: what stages leave, what is run again, the same files after a kill and for any ranks, what is refused.
#include <fmt/format.h>

#include <csignal>
#include <filesystem>
#include <map>

#include "core/cpu_topology.h"
#include "tests/cli/pipeline_configs.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

class PipelineCommand : public testing::Test {
 protected:
  PipelineCommand() {
    write_all(folder / "base.yaml", kBase), write_all(folder / "rl.yaml", kRl), write_all(folder / "sft.yaml", kSft);
  }
  // In a run directory of its own, with `more` stages behind the usual ones.
  std::string pipeline(const std::string& runs, const std::string& temperature = "1.0", const std::string& more = "") const {
    return write_all(folder / (runs + ".yaml"), "name: p\ndir: " + (folder / runs) + R"(
stages:
  - {name: base, sft: base.yaml}
  - {name: rl, train: rl.yaml, set: {model.path: "${base}", rollout.staleness: )" + std::to_string(staleness) + R"(}}
  - {name: samples, sample: rl.yaml, set: {model.path: "${rl}", rollout.temperature: )" + temperature + R"(}}
  - {name: again, score: rl.yaml, input: "${samples}"}
  - {name: best, filter: {input: "${again}", finished: true, dedupe: true, per_prompt: 2}}
  - {name: all, merge: {inputs: ["${best}", "${best}"], shuffle: 3}}
  - {name: student, sft: sft.yaml, set: {model.path: "${base}", data.train: "${all}"}}
  - {name: table, eval: rl.yaml, set: {model.path: "${student}"}}
)" + more);
  }
  // Everything that stages hand on.
  std::map<std::string, std::string> files(const std::string& runs) const {
    std::map<std::string, std::string> texts;
    for (const char* name : {"base/final/model.safetensors", "rl/final/model.safetensors", "samples/rows.jsonl", "again/rows.jsonl", "best/rows.jsonl",
                             "all/rows.jsonl", "student/final/model.safetensors", "table/eval.json", "table/completions.jsonl"})
      texts[name] = read_all(folder / (runs + "/p/" + name));
    return texts;
  }
  static void expect_same(const std::map<std::string, std::string>& a, const std::map<std::string, std::string>& b) {
    for (const auto& [name, text] : a) {
      EXPECT_FALSE(text.empty()) << name;
      EXPECT_TRUE(b.at(name) == text) << name;
    }
  }
  void check_ranks_and_kills() const;
  TemporaryFolder folder;
  int staleness = 0;  // of the stage rl
};

// Threads that a stage pins to cores are not in the way of those of the next one. What a stage runs on is said where it is new.
TEST_F(PipelineCommand, EveryStageHasAllOfTheCores) {
  const std::string file = write_all(folder / "cores.yaml", "name: p\ndir: " + (folder / "cores") + R"(
stages:
  - {name: one, sft: base.yaml, set: {run.threads: 0}}
  - {name: two, sft: base.yaml, set: {run.threads: 0, run.seed: 2}}
  - {name: three, sft: base.yaml, set: {run.threads: 1}}
)");
  const Outcome outcome = run_cohort({"pipeline", file});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto times = [&](const std::string& text) {
    int found = 0;
    for (size_t at = outcome.err.find(text); at != std::string::npos; at = outcome.err.find(text, at + 1)) ++found;
    return found;
  };
  const int cores = process_topology().usable();
  EXPECT_EQ(times("1 rank, "), cores > 1 ? 2 : 1) << outcome.err;
  EXPECT_EQ(times(fmt::format("1 rank, {} thread", cores)), 1) << outcome.err;
}

TEST_F(PipelineCommand, StagesHandFilesOnAndAreLeftAloneWhenNothingChanged) {
  const Outcome first = run_cohort({"pipeline", pipeline("a")});
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_EQ(there(first), 0) << first.out;
  EXPECT_NE(first.err.find("cohort: stage 3 of 8: samples (sample)"), std::string::npos) << first.err;
  const std::map<std::string, std::string> made = files("a");
  for (const auto& [name, text] : made) EXPECT_FALSE(text.empty()) << name;
  EXPECT_EQ(made.at("samples/rows.jsonl"), made.at("again/rows.jsonl")) << "the same rewards give the same scores";
  const Json row = parse_json(std::string_view(made.at("samples/rows.jsonl")).substr(0, made.at("samples/rows.jsonl").find('\n')), "row");
  for (const char* key : {"id", "prompt", "answer", "sample", "completion", "ids", "finish_reason", "reward", "rewards"}) EXPECT_TRUE(row.contains(key)) << key;

  EXPECT_NE(first.err.find("1 rank, 1 thread"), std::string::npos) << first.err;
  const Outcome second = run_cohort({"pipeline", pipeline("a"), "--quiet"});
  ASSERT_EQ(second.exit_code, 0) << second.err;
  EXPECT_EQ(there(second), 8) << second.out;
  expect_same(made, files("a"));

  // A stage whose output is damaged is run again; what it leaves is what it was, and so all behind it are left alone.
  write_all(folder / "a/p/best/rows.jsonl", "{}\n");
  const Outcome third = run_cohort({"pipeline", pipeline("a"), "--quiet"});
  EXPECT_EQ(there(third), 7) << third.out << third.err;
  expect_same(made, files("a"));

  // Another setting: that stage and those that see a difference.
  const Outcome fourth = run_cohort({"pipeline", pipeline("a", "0.5"), "--quiet"});
  ASSERT_EQ(fourth.exit_code, 0) << fourth.err;
  EXPECT_EQ(there(fourth), 2) << fourth.out;
  EXPECT_NE(files("a").at("samples/rows.jsonl"), made.at("samples/rows.jsonl"));
  EXPECT_TRUE(fs::exists(folder / "a/p/student.1/final")) << "what a stage had left is moved aside";
}

void PipelineCommand::check_ranks_and_kills() const {
  ASSERT_EQ(run_cohort({"pipeline", pipeline("one"), "--quiet"}).exit_code, 0);
  std::vector<std::string> args = {"-n", "2", "--oversubscribe", COHORT_BINARY, "pipeline", pipeline("two"), "--quiet"};
  if (geteuid() == 0) args.insert(args.begin(), "--allow-run-as-root");
  const Outcome two = run_program("mpirun", args);
  ASSERT_EQ(two.exit_code, 0) << two.err;
  expect_same(files("one"), files("two"));

  // Killed when it has begun each stage in turn, some of them in the middle of their steps.
  for (const char* words : {"stage 1 of 8", "step  6/12", "stage 2 of 8", "step 3/4", "stage 3 of 8", "stage 4 of 8", "stage 5 of 8", "stage 7 of 8", "step 4/",
                            "stage 8 of 8"}) {
    SCOPED_TRACE(words);
    const Outcome killed = run_cohort({"pipeline", pipeline("killed")}, "", [&](pid_t child, const std::string& err) {
      if (err.find(words) == std::string::npos) return false;
      kill(child, SIGKILL);
      return true;
    });
    EXPECT_TRUE(killed.exit_code == -1 || killed.exit_code == 0) << killed.err;
  }
  const Outcome last = run_cohort({"pipeline", pipeline("killed")});
  ASSERT_EQ(last.exit_code, 0) << last.err;
  expect_same(files("one"), files("killed"));
}

TEST_F(PipelineCommand, TheSameFilesOnAnyRanksAndAfterKills) { check_ranks_and_kills(); }

// The batch that was sampled ahead is lost with the process, and drawn again.
TEST_F(PipelineCommand, TheSameFilesOnAnyRanksAndAfterKillsWithTheNextBatchOnItsWay) {
  staleness = 1;
  check_ranks_and_kills();
}

TEST_F(PipelineCommand, AStageThatFailsIsNamed) {
  EXPECT_REFUSED(run_cohort({"pipeline", folder / "none.yaml"}), 3, "none.yaml");
  const auto with = [&](const std::string& stage) {
    return run_cohort({"pipeline", write_all(folder / "bad.yaml", "name: p\ndir: " + (folder / "bad") + "\nstages:\n  - {name: base, sft: base.yaml}\n  - " + stage + "\n"),
                       "--quiet"});
  };
  // Said before the first stage runs.
  EXPECT_REFUSED(with("{name: rl, train: nothing.yaml}"), 2, "stage 'rl'", "nothing.yaml");
  EXPECT_REFUSED(with("{name: rl, train: rl.yaml, set: {rollout.num_generation: 2}}"), 2, "bad.yaml:5: stage 'rl'", "num_generations");
  EXPECT_REFUSED(with("{name: rl, train: rl.yaml, set: {model.path: \"${bas}\"}}"), 2, "bad.yaml:5", "did you mean 'base'?");
  EXPECT_FALSE(fs::exists(folder / "bad"));
  // Only when it is its turn.
  const Outcome empty = with("{name: s, sample: rl.yaml, set: {model.path: \"${base}\"}}\n  - {name: f, filter: {input: \"${s}\", min_reward: 99}}");
  EXPECT_EQ(empty.exit_code, 3);
  for (const char* words : {"stage 'f'", "no row is left", "below min_reward"}) EXPECT_NE(empty.err.find(words), std::string::npos) << empty.err;
  EXPECT_FALSE(fs::exists(folder / "bad/p/f/rows.jsonl"));
  write_all(folder / "bad/p/f.json", "[]");
  EXPECT_NE(with("{name: f, merge: {inputs: [" + (folder / "bad/p/s/rows.jsonl") + "]}}").err.find("f.json: a stage's stamp is an object"), std::string::npos);
}

TEST_F(PipelineCommand, OneAtATimeHasTheFolder) {
  bool second = false;
  const Outcome first = run_cohort({"pipeline", pipeline("a")}, "", [&](pid_t, const std::string& err) {
    if (err.find("stage 1 of 8") == std::string::npos) return false;
    EXPECT_REFUSED(run_cohort({"pipeline", pipeline("a")}), 2, "another cohort pipeline works in this folder");
    return second = true;
  });
  EXPECT_TRUE(second && first.exit_code == 0) << first.err;
}

TEST_F(PipelineCommand, KeysThatChangeNoBitRunNothingAgain) {
  ASSERT_EQ(run_cohort({"pipeline", pipeline("a"), "--quiet"}).exit_code, 0);
  for (const char* name : {"base.yaml", "rl.yaml", "sft.yaml"}) {
    std::string text = read_all(folder / name);
    text.replace(text.find("save_steps: "), 13, "save_steps: 9");
    write_all(folder / name, text);
  }
  const Outcome again = run_cohort({"pipeline", pipeline("a"), "--quiet"});
  EXPECT_EQ(there(again), 8) << again.out << again.err;
}

}  // namespace
}  // namespace cohort
