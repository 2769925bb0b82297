// What decides that a stage is run again.
#include "pipeline/stage_key.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <string>

#include "core/files.h"
#include "core/scratch_folder.h"
#include "trainer/config.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

class StageKey : public testing::Test {
 protected:
  StageKey() {
    for (const char* name : {"judge", "teacher"}) fs::create_directory(folder.path() / name), write_file_atomic(folder.path() / name / "model.safetensors", name);
    write_file_atomic(folder.path() / "data.jsonl", "{}\n");
  }
  static Config config(const std::string& yaml, StageKind kind) {
    return parse_config(yaml, "c.yaml", {}, kind == StageKind::sft ? ConfigUse::sft : kind == StageKind::score ? ConfigUse::rewards : ConfigUse::training);
  }
  std::string key(StageKind kind, const std::string& yaml, const std::function<void(Config&)>& change = {}) const {
    Stage stage{.name = "s", .kind = kind};
    ReadyStage ready{.stage = stage, .config = config(yaml, kind), .input = {}, .inputs = {}, .folder = folder.path() / "s", .output = folder.path() / "s/out"};
    if (change) change(*ready.config);
    return key_of(ready);
  }
  std::string rl() const {
    return "model: {init: {hidden_size: 32, intermediate_size: 64, num_layers: 1, num_heads: 2, num_kv_heads: 1, max_positions: 1024}}\n"
           "data: {train: " + (folder.path() / "data.jsonl").string() + "}\n"
           "reward: [{name: exact}, {name: judge, path: " + (folder.path() / "judge").string() + ", template: \"{completion}\"}]\n";
  }
  ScratchFolder folder;
};

TEST_F(StageKey, WeightsOfModelsAmongTheRewardsAreInIt) {
  for (const StageKind kind : {StageKind::train, StageKind::sample, StageKind::eval, StageKind::score}) {
    SCOPED_TRACE(stage_kind_name(kind));
    const std::string yaml = kind == StageKind::score ? rl().substr(rl().find("reward:")) : rl();
    const std::string before = key(kind, yaml);
    EXPECT_EQ(key(kind, yaml), before);
    write_file_atomic(folder.path() / "judge/model.safetensors", "others");
    EXPECT_NE(key(kind, yaml), before);
    write_file_atomic(folder.path() / "judge/model.safetensors", "judge");
    EXPECT_EQ(key(kind, yaml), before);
  }
}

TEST_F(StageKey, DeviceAndColumnsDecideBits) {
  for (const StageKind kind : {StageKind::train, StageKind::sample, StageKind::eval}) {
    SCOPED_TRACE(stage_kind_name(kind));
    const std::string before = key(kind, rl());
    EXPECT_NE(key(kind, rl(), [](Config& c) { c.run.device = "cuda"; }), before);
    EXPECT_NE(key(kind, rl(), [](Config& c) { c.data.columns = {{"prompt", "question"}}; }), before);
    EXPECT_EQ(key(kind, rl(), [](Config& c) { c.run.threads = 7; }), before);
    EXPECT_EQ(key(kind, rl(), [](Config& c) { c.rollout.max_num_seqs = 3; }), before);
  }
  const auto source = [&](const Json& columns) {
    return key(StageKind::train, rl(), [&](Config& c) {
      c.data.train.sources = {{.name = "a", .path = (folder.path() / "data.jsonl").string(), .columns = columns}};
      c.data.train.path.clear();
    });
  };
  EXPECT_NE(source({{"prompt", "question"}}), source(Json::object()));
}

TEST_F(StageKey, ATeacherIsRead) {
  const auto teach = [&] { return key(StageKind::train, rl(), [&](Config& c) { c.algorithm.teacher = (folder.path() / "teacher").string(); }); };
  const std::string before = teach();
  write_file_atomic(folder.path() / "teacher/model.safetensors", "others");
  EXPECT_NE(teach(), before);
}

TEST_F(StageKey, AllThatAStageLeavesIsKnownAgain) {
  Stage stage{.name = "s", .kind = StageKind::eval};
  fs::create_directory(folder.path() / "s");
  const ReadyStage ready{.stage = stage, .config = {}, .input = {}, .inputs = {}, .folder = folder.path() / "s", .output = folder.path() / "s/eval.json"};
  write_file_atomic(ready.output, "{}");
  EXPECT_EQ(output_fingerprint(ready), "") << "its completions are not there";
  write_file_atomic(ready.folder / "completions.jsonl", "{}\n");
  const std::string whole = output_fingerprint(ready);
  EXPECT_NE(whole, "");
  write_file_atomic(ready.folder / "completions.jsonl", "{ }\n");
  EXPECT_NE(output_fingerprint(ready), whole);
}

}  // namespace
}  // namespace cohort
