// What a stage of a pipeline is made from: whatever of it changes, the stage is run again; what cannot be is said before the first stage runs.
#include <algorithm>
#include <csignal>
#include <filesystem>

#include "tests/cli/pipeline_configs.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

class PipelineInputs : public testing::Test {
 protected:
  PipelineInputs() { write_all(folder / "base.yaml", kBase), write_all(folder / "rl.yaml", kRl), write_all(folder / "sft.yaml", kSft); }
  std::string file(const std::string& stages) const { return write_all(folder / "p.yaml", "name: p\ndir: " + (folder / "runs") + "\nstages:\n" + stages); }
  Outcome run(const std::string& stages) const { return run_cohort({"pipeline", file(stages), "--quiet"}); }
  std::string left(const std::string& name) const { return read_all(folder / ("runs/p/" + name)); }
  TemporaryFolder folder;
};

std::string with_judge(const std::string& rate, int steps = 4) {
  const std::string reward = R"(reward: [{name: length, max_length: 6}, {name: judge, path: "${judge}", template: "{completion}", max_completion_length: 8}])";
  return R"(
  - {name: base, sft: base.yaml}
  - {name: judge, sft: base.yaml, set: {optim.learning_rate: )" + rate + R"(}}
  - {name: samples, sample: rl.yaml, set: {model.path: "${base}"}}
  - {name: scored, score: rl.yaml, input: "${samples}", set: {)" + reward + R"(}}
  - {name: table, eval: rl.yaml, set: {model.path: "${base}", )" + reward + R"(}}
  - {name: rl, train: rl.yaml, set: {model.path: "${base}", trainer.max_steps: )" + std::to_string(steps) + ", " + reward + "}}\n";
}

TEST_F(PipelineInputs, AModelAmongTheRewardsIsOneOfThem) {
  const Outcome first = run(with_judge("1.0e-2"));
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_EQ(there(run(with_judge("1.0e-2"))), 6);
  const Outcome again = run(with_judge("2.0e-2"));
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(there(again), 2) << "base and samples alone know nothing of the judge\n" << again.out;
  EXPECT_TRUE(fs::exists(folder / "runs/p/rl.1/final"));
}

// The run that was killed had rewards of other weights, under which its checkpoint is not gone on from.
TEST_F(PipelineInputs, AnInterruptedStageStartsAnewWhereAModelAmongItsRewardsHasChanged) {
  const Outcome killed = run_cohort({"pipeline", file(with_judge("1.0e-2", 40))}, "", [](pid_t child, const std::string& err) {
    if (err.find("stage 6 of 6") == std::string::npos || err.find("step 20/40") == std::string::npos) return false;
    kill(child, SIGKILL);
    return true;
  });
  ASSERT_EQ(killed.exit_code, -1) << killed.err;
  const auto has_checkpoint = [&](const std::string& stage) {  // some of them: the newest are kept, and written beside the steps
    return std::ranges::any_of(fs::directory_iterator(folder / ("runs/p/" + stage + "/checkpoints")),
                               [](const fs::directory_entry& entry) { return entry.path().filename().string().starts_with("step_"); });
  };
  ASSERT_TRUE(has_checkpoint("rl"));
  ASSERT_FALSE(fs::exists(folder / "runs/p/rl/final"));
  const Outcome changed = run(with_judge("2.0e-2", 40));
  ASSERT_EQ(changed.exit_code, 0) << changed.err;
  EXPECT_TRUE(has_checkpoint("rl.1")) << "what there was is moved aside";
  const std::string resumed = left("rl/final/model.safetensors");
  fs::remove_all(folder / "runs");
  ASSERT_EQ(run(with_judge("2.0e-2", 40)).exit_code, 0);
  EXPECT_TRUE(left("rl/final/model.safetensors") == resumed);
}

TEST_F(PipelineInputs, AnEvalIsRunAgainWhenItsCompletionsAreGoneOrOthers) {
  const std::string stages = "  - {name: base, sft: base.yaml}\n  - {name: table, eval: rl.yaml, set: {model.path: \"${base}\"}}\n";
  ASSERT_EQ(run(stages).exit_code, 0);
  EXPECT_EQ(there(run(stages)), 2);
  const std::string completions = left("table/completions.jsonl");
  fs::remove(folder / "runs/p/table/completions.jsonl");
  EXPECT_EQ(there(run(stages)), 1);
  EXPECT_TRUE(left("table/completions.jsonl") == completions);
  write_all(folder / "runs/p/table/completions.jsonl", completions + "{}\n");
  EXPECT_EQ(there(run(stages)), 1);
  EXPECT_TRUE(left("table/completions.jsonl") == completions);
}

std::string adapter(const std::string& then, const std::string& merged = "") {
  return "  - {name: base, sft: base.yaml}\n  - {name: lora, sft: base.yaml, set: {model.init: null, model.path: \"${base}\", model.lora: {rank: 2" + merged + "}}}\n  - " +
         then + "\n";
}

TEST_F(PipelineInputs, AnAdapterAloneIsNoModelToTrainAndThatIsKnownAtTheStart) {
  for (const char* train : {"{name: rl, train: rl.yaml, set: {model.path: \"${lora}\"}}", "{name: again, sft: base.yaml, set: {model.init: null, model.path: \"${lora}/\"}}"})
    EXPECT_REFUSED(run(adapter(train)), 2, "p.yaml:6: stage '", "model.path is an adapter alone, as stage 'lora' trains LoRA", "set model.lora.save_merged: true in stage 'lora'");
  EXPECT_FALSE(fs::exists(folder / "runs"));
  // It is one to sample from, to be merged on the way; and the merged one is a whole model.
  const Outcome samples = run(adapter("{name: table, eval: rl.yaml, set: {model.path: \"${lora}\"}}"));
  ASSERT_EQ(samples.exit_code, 0) << samples.err;
  // Its base may be made again: what the adapter of the time before names is not there yet.
  fs::remove_all(folder / "runs/p/base");
  const Outcome again = run(adapter("{name: table, eval: rl.yaml, set: {model.path: \"${lora}\"}}"));
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(there(again), 2) << again.out;
  const std::string alone = folder / "alone";
  fs::copy(folder / "runs/p/lora/final", alone);
  EXPECT_REFUSED(run("  - {name: base, sft: base.yaml}\n  - {name: rl, train: rl.yaml, set: {model.path: " + alone + "}}\n"), 3, "stage 'rl': model.path: " + alone,
                 "holds an adapter alone");
  EXPECT_REFUSED(run("  - {name: base, sft: base.yaml}\n  - {name: rl, train: rl.yaml, set: {model.path: \"${base}\", reward: [{name: model, path: " + alone + "}]}}\n"), 3,
                 "stage 'rl': " + alone, "holds a LoRA adapter alone, and a reward model is needed whole");
  const Outcome merged = run(adapter("{name: rl, train: rl.yaml, set: {model.path: \"${lora}\", trainer.max_steps: 1}}", ", save_merged: true"));
  EXPECT_EQ(merged.exit_code, 0) << merged.err;
}

TEST_F(PipelineInputs, AFileThatNoStageBeforeLeavesIsMissedAtTheStart) {
  const std::string base = "  - {name: base, sft: base.yaml}\n", runs = folder / "runs/p";
  for (const std::string& missing : {runs + "/nothing/rows.jsonl", runs + "/f/rows.jsonl", runs + "/late/rows.jsonl", runs + "/../p/nothing/rows.jsonl"})
    EXPECT_REFUSED(run(base + "  - {name: f, filter: {input: " + missing + ", mixed: true}}\n  - {name: late, sample: rl.yaml, set: {model.path: \"${base}\"}}\n"), 3,
                   "p.yaml:5: stage 'f': " + missing + ": no such file or folder, and no stage before this one leaves it");
  EXPECT_REFUSED(run(base + "  - {name: s, sample: rl.yaml, set: {model.path: \"${base}\"}}\n  - {name: f, filter: {input: \"${s}.gz\", mixed: true}}\n"), 3, "rows.jsonl.gz: no such");
  EXPECT_FALSE(fs::exists(folder / "runs"));
  // Of a run directory no names are known before; what fails is not said to be in a section of the stage before.
  const Outcome inside = run(base + "  - {name: rl, train: rl.yaml, set: {model.path: \"${base}/nothing\"}}\n");
  EXPECT_REFUSED(inside, 3, "stage 'rl': ", "base/final/nothing: no such");
  EXPECT_EQ(inside.err.find("section"), std::string::npos) << inside.err;
}

TEST_F(PipelineInputs, ColumnsOfTheDataAreNotOverwrittenInSilence) {
  const std::string data = write_all(folder / "data.jsonl", "{\"prompt\": \"1+1=\", \"answer\": \"2\"}\n{\"prompt\": \"1+2=\", \"answer\": \"3\", \"reward\": 0.5}\n");
  const auto sample = [](const std::string& path, const std::string& more = "") {
    return "  - {name: s, sample: rl.yaml, set: {model.path: \"${base}\", data.task: null, data.train: " + path + more + "}}\n";
  };
  const std::string base = "  - {name: base, sft: base.yaml}\n";
  EXPECT_REFUSED(run(base + sample(data)), 3, "p.yaml:5: stage 's': " + data + ": problem \"line 2\" has a column 'reward', which a 'sample' stage adds itself",
                 "data.columns: {other_name: reward}");
  EXPECT_FALSE(fs::exists(folder / "runs")) << "before the first stage";
  // A file of an earlier stage: before anything is sampled.
  const std::string merged = base + "  - {name: m, merge: {inputs: [" + data + "]}}\n" + sample("\"${m}\"");
  EXPECT_REFUSED(run(merged), 3, "stage 's': ", "m/rows.jsonl: problem \"line 2\" has a column 'reward'");
  EXPECT_FALSE(fs::exists(folder / "runs/p/s"));
  const std::string other = write_all(folder / "other.jsonl", "{\"prompt\": \"1+1=\", \"answer\": \"2\", \"reward\": 0.5}\n");
  const Outcome renamed = run(base + sample(other, ", data.columns: {was: reward}"));
  ASSERT_EQ(renamed.exit_code, 0) << renamed.err;
  EXPECT_EQ(parse_json(std::string_view(left("s/rows.jsonl")).substr(0, left("s/rows.jsonl").find('\n')), "row")["was"], 0.5);
}

// As prompts of a sharper model, say: what comes of them now replaces what came of them then.
TEST_F(PipelineInputs, RowsThatWereSampledAreDataAgain) {
  const Outcome outcome = run(R"(
  - {name: base, sft: base.yaml}
  - {name: first, sample: rl.yaml, set: {model.path: "${base}"}}
  - {name: scored, score: rl.yaml, input: "${first}"}
  - {name: one, filter: {input: "${scored}", per_prompt: 1}}
  - {name: second, sample: rl.yaml, set: {model.path: "${base}", data.task: null, data.train: "${one}", run.seed: 9, rollout.num_generations: 2}}
)");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  std::istringstream before(left("one/rows.jsonl")), after(left("second/rows.jsonl"));
  std::string a, b;
  int rows = 0, others = 0;
  while (std::getline(before, a)) {
    const Json was = parse_json(a, "one");
    for (int sample = 0; sample < 2; ++sample, ++rows) {
      ASSERT_TRUE(std::getline(after, b));
      const Json is = parse_json(b, "second");
      for (const char* key : {"id", "prompt", "answer"}) EXPECT_EQ(is[key], was[key]);
      EXPECT_EQ(is["sample"], sample);
      others += is["completion"] != was["completion"] ? 1 : 0;
    }
  }
  EXPECT_EQ(rows, 48);
  EXPECT_FALSE(std::getline(after, b));
  EXPECT_GT(others, 0);
}

}  // namespace
}  // namespace cohort
