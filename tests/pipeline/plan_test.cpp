// Pipelines as files: what is read, and what is refused.
#include "pipeline/plan.h"

#include <gtest/gtest.h>

#include "core/check.h"
#include "trainer/config.h"
#include "tests/core/expect_error.h"

namespace cohort {
namespace {

const std::string kHead = "name: r1\nstages:\n";

Pipeline parse(const std::string& yaml) { return parse_pipeline(yaml, "dir/p.yaml"); }

TEST(PipelinePlan, ReadsEveryKindOfStage) {
  const Pipeline pipeline = parse(R"(
name: r1
dir: out
stages:
  - {name: zero, train: zero.yaml}
  - name: samples
    sample: zero.yaml
    set: {model.path: "${zero}", rollout.num_generations: 4, data.task: null, rollout.stop: ["a, b", "1"], trainer.max_steps: 3}
  - {name: again, score: zero.yaml, input: "${samples}"}
  - {name: best, filter: {input: "${again}", finished: true, min_reward: 0.5, mixed: true, dedupe: true, per_prompt: 2}}
  - {name: all, merge: {inputs: ["${best}", more.jsonl], shuffle: 7, max_rows: 100}}
  - {name: student, sft: sub/student.yaml, set: {data.train: "${all}"}}
  - {name: judged, train: zero.yaml, set: {model.path: "${student}", reward: [{name: exact}, {name: model, path: "${zero}", weight: 0.1}]}}
  - {name: table, eval: /abs/zero.yaml, set: {model.path: "${student}/x"}}
)");
  EXPECT_EQ(pipeline.folder(), "out/r1");
  ASSERT_EQ(pipeline.stages.size(), 8u);
  const auto stage = [&](size_t i) -> const Stage& { return pipeline.stages[i]; };
  EXPECT_EQ(stage(0).config, "dir/zero.yaml");
  EXPECT_EQ(stage(5).config, "dir/sub/student.yaml");
  EXPECT_EQ(stage(7).config, "/abs/zero.yaml");
  EXPECT_EQ(stage(0).where, "dir/p.yaml:5");
  const Outputs outputs{{"zero", "o/zero/final"}, {"student", "o/s"}};
  EXPECT_EQ(overrides_of(stage(1), outputs),
            (std::vector<std::string>{"model.path=o/zero/final", "rollout.num_generations=4", "data.task=null",
                                      "rollout.stop=[\"a, b\", \"1\"]", "trainer.max_steps=3"}));
  EXPECT_EQ(overrides_of(stage(6), outputs),
            (std::vector<std::string>{"model.path=o/s", "reward=[{name: exact}, {name: model, path: o/zero/final, weight: 0.1}]"}));
  EXPECT_EQ(overrides_of(stage(7), outputs), std::vector<std::string>{"model.path=o/s/x"});
  EXPECT_EQ(inputs_of(stage(1)), std::vector<std::string>{"zero"});
  EXPECT_EQ(inputs_of(stage(6)), (std::vector<std::string>{"student", "zero"}));
  EXPECT_EQ(inputs_of(stage(4)), std::vector<std::string>{"best"});
  const FilterRules& filter = stage(3).filter;
  EXPECT_TRUE(filter.finished && filter.mixed && filter.dedupe);
  EXPECT_EQ(filter.min_reward, 0.5);
  EXPECT_EQ(filter.per_prompt, 2);
  EXPECT_EQ(stage(4).merge.inputs, (std::vector<std::string>{"${best}", "more.jsonl"}));
  EXPECT_EQ(stage(4).merge.shuffle, 7u);
  EXPECT_EQ(stage(4).merge.max_rows, 100);
}

TEST(PipelinePlan, RefusesWithTheLineAndTheRemedy) {
  const struct {
    std::string yaml, message;
  } cases[] = {
      {"# nothing\n", "dir/p.yaml: the pipeline is empty"},
      {"[1]\n", "dir/p.yaml:1: a pipeline must be a map of keys and values, found a list"},
      {"name: r1\n", "dir/p.yaml:1: a pipeline has no 'stages'"},
      {"stages: []\n", "a pipeline has no 'name'"},
      {"name: r1\nstages: []\n", "'stages' must be a list of 1 to 256 stages, found"},
      {"name: r1\nstage: []\nstages: [1]\n", "dir/p.yaml:2: unknown key 'stage' of a pipeline; did you mean 'stages'?"},
      {"name: a/b\nstages: [1]\n", "'a/b' is no name; allowed are letters"},
      {kHead + "  - {train: a.yaml}\n", "dir/p.yaml:3: a stage has no 'name'"},
      {kHead + "  - {name: a}\n", "dir/p.yaml:3: the stage 'a' has no kind; one of sft, train, eval"},
      {kHead + "  - {name: a, train: a.yaml, eval: b.yaml}\n", "the stage 'a' has 2 kinds (train, eval)"},
      {kHead + "  - {name: a, tran: a.yaml}\n", "unknown key 'tran' of a stage; did you mean 'train'?"},
      {kHead + "  - {name: a, train: a.yaml}\n  - {name: a, train: b.yaml}\n", "dir/p.yaml:4: a second stage 'a'"},
      {kHead + "  - {name: a, train: [a]}\n", "'train' of a stage must be a text, found a list"},
      {kHead + "  - {name: a, train: a.yaml, input: b}\n", "'input' belongs to stages that score, 'a' is a train"},
      {kHead + "  - {name: a, score: a.yaml}\n", "the score 'a' has no 'input'"},
      {kHead + "  - {name: a, filter: {input: b}}\n", "the filter 'a' has no rule"},
      {kHead + "  - {name: a, filter: {input: b, per_promt: 1}}\n", "unknown key 'per_promt' of the filter 'a'; did you mean 'per_prompt'?"},
      {kHead + "  - {name: a, filter: {input: b, per_prompt: 0}}\n", "'per_prompt' of the filter 'a' must be an integer from 1 on, found"},
      {kHead + "  - {name: a, filter: {input: b, mixed: 1}}\n", "'mixed' of the filter 'a' is the integer 1; allowed are true and false"},
      {kHead + "  - {name: a, filter: {input: b, min_reward: x}}\n", "must be a number, found"},
      {kHead + "  - {name: a, filter: {mixed: true}}\n", "the filter 'a' has no 'input'"},
      {kHead + "  - {name: a, filter: {input: b, mixed: true}, set: {a.b: 1}}\n", "the filter 'a' has no config to 'set' keys of"},
      {kHead + "  - {name: a, merge: {inputs: []}}\n", "'inputs' of the merge 'a' must be a list of files"},
      {kHead + "  - {name: a, train: a.yaml, set: {lr: 1}}\n", "'set' takes keys of the config with their section, as model.path, or reward; found 'lr'"},
      {kHead + "  - {name: a, train: a.yaml, set: {run.name: x}}\n", "'run.name' is the pipeline's own to set"},
      {kHead + "  - {name: zero, train: a.yaml}\n  - {name: b, train: a.yaml, set: {model.path: \"${zer}\"}}\n",
       "dir/p.yaml:4: '${zer}' in stage 'b' is no stage before it; did you mean 'zero'?"},
      {kHead + "  - {name: a, train: a.yaml, set: {model.path: \"${a}\"}}\n", "'${a}' in stage 'a' is no stage before it"},
      {kHead + "  - {name: a, train: a.yaml}\n  - {name: f, filter: {input: \"${a}\", mixed: true}}\n",
       "dir/p.yaml:4: stage 'f': '${a}' is what a train leaves; rows are wanted here"},
      {kHead + "  - {name: a, sample: a.yaml}\n  - {name: b, train: a.yaml, set: {model.path: \"${a}\"}}\n",
       "stage 'b': '${a}' is what a sample leaves; a model is wanted here"},
      {kHead + "  - {name: a, eval: a.yaml}\n  - {name: b, sft: a.yaml, set: {data.train: \"${a}\"}}\n", "'${a}' is what a eval leaves; rows are wanted here"},
      {kHead + "  - {name: a, train: a.yaml, set: {model.path: \"${a\"}}\n", "has a '${' without its '}'"},
  };
  for (const auto& [yaml, message] : cases) {
    SCOPED_TRACE(yaml);
    EXPECT_ERROR(parse(yaml), kUsage, message);
  }
  EXPECT_ERROR(read_pipeline("no/such.yaml"), kInput, "no/such.yaml");
}

TEST(PipelinePlan, EveryFileOfConfigsIsValid) {
  const std::filesystem::path folder = std::filesystem::path(SOURCE_DIR) / "configs/pipelines";
  int stages = 0;
  for (const char* name : {"r1-zero.yaml", "r1.yaml", "distill.yaml"}) {
    const Pipeline pipeline = read_pipeline(folder / name);
    Outputs outputs;
    for (const Stage& stage : pipeline.stages) {
      SCOPED_TRACE(stage.name);
      if (stage.has_config())
        load_config(stage.config, overrides_of(stage, outputs), stage.kind == StageKind::sft ? ConfigUse::sft : ConfigUse::training);
      outputs.emplace_back(stage.name, pipeline.folder() / stage.name);
      ++stages;
    }
  }
  EXPECT_GT(stages, 25);
}

}  // namespace
}  // namespace cohort
