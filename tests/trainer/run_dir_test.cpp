// The run directory: when a run starts anew, when it goes on, and that nothing an earlier run left is lost.
#include "trainer/run_dir.h"

#include <cstring>

#include <gtest/gtest.h>
#include <stdlib.h>

#include "core/files.h"
#include "tests/core/expect_error.h"
#include "trainer/checkpoint.h"
#include "trainer/lineage.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

class RunDirectory : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "cohort-run-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder = name;
    config = parse_config("model: {init: {max_positions: 768}}\ndata: {task: {name: addition}}\nreward: [{name: last_number}]\nrun: {dir: " +
                              folder.string() + ", name: r}\n",
                          "test");
    comm = make_self_comm();
  }
  void TearDown() override { fs::remove_all(folder); }
  void complete_checkpoint(const std::string& name) {
    fs::create_directories(folder / "r/checkpoints" / name);
    write_file_atomic(folder / "r/checkpoints" / name / "manifest.json", "{}");
  }
  // One that a run of `config` has written at `step`. `lineage`: see trainer/lineage.h.
  fs::path checkpoint(const std::string& run, int64_t step, const Json& lineage = Json::array()) {
    const fs::path path = folder / run / "checkpoints" / fmt::format("step_{}", step);
    fs::create_directories(path);
    Json manifest = {{"format_version", 1}, {"step", step}, {"config", config_identity(config)}, {"lineage", lineage}};
    manifest["manifest_hash"] = manifest_hash(manifest);
    write_file_atomic(path / "manifest.json", dump_json(manifest));
    return path;
  }
  // Begins a run, and says where it goes on from: "" anew.
  std::string begin() {
    RunDir dir(config, *comm);
    dir.begin(config, *comm);
    message = dir.message();
    begins_at_path = dir.begins_at_path();
    return dir.resume_from() ? dir.resume_from()->lexically_relative(folder).string() : "";
  }
  fs::path folder;
  Config config;
  std::unique_ptr<Comm> comm;
  std::string message;  // of the last begin()
  bool begins_at_path = false;
};

TEST_F(RunDirectory, AFreshOneHoldsTheResolvedConfig) {
  RunDir dir(config, *comm);
  dir.begin(config, *comm);
  EXPECT_FALSE(dir.resume_from());
  EXPECT_EQ(dir.message(), "");
  EXPECT_EQ(config_to_yaml(load_config(dir.path() / "config.yaml")), config_to_yaml(config));
  EXPECT_TRUE(fs::is_directory(dir.checkpoints()));
}

TEST_F(RunDirectory, AutoGoesOnFromTheNewestCheckpoint) {
  { RunDir dir(config, *comm); dir.begin(config, *comm); }
  complete_checkpoint("step_2"), complete_checkpoint("step_10");
  RunDir dir(config, *comm);
  dir.begin(config, *comm);
  ASSERT_TRUE(dir.resume_from());
  EXPECT_EQ(dir.resume_from()->filename(), "step_10");
  EXPECT_NE(dir.message().find("resuming from"), std::string::npos);
}

TEST_F(RunDirectory, AutoStartsTheSameRunAgainInPlaceAndMovesAnotherAside) {
  { RunDir dir(config, *comm); dir.begin(config, *comm); }
  write_file_atomic(folder / "r/metrics.jsonl", "{\"step\":1}\n");
  {
    RunDir dir(config, *comm);
    dir.begin(config, *comm);
    EXPECT_EQ(dir.message(), "");
    EXPECT_TRUE(fs::exists(folder / "r/metrics.jsonl"));
  }
  config.optim.learning_rate = 0.5f;
  RunDir dir(config, *comm);
  dir.begin(config, *comm);
  EXPECT_NE(dir.message().find("moved to"), std::string::npos);
  EXPECT_FALSE(fs::exists(folder / "r/metrics.jsonl"));
  EXPECT_EQ(read_file(folder / "r.1/metrics.jsonl"), "{\"step\":1}\n");
}

// What it asks for scores may be gone for the moment, or be another machine's.
TEST_F(RunDirectory, AutoKnowsTheRunWithoutItsCheckers) {
  config.reward = {{.name = "gone", .options = {{"command", {"no-such-program-here"}}}, .kind = "command"},
                   {.name = "http", .options = {{"url", "http://127.0.0.1:9/"}, {"token_env", "COHORT_NO_SUCH_VARIABLE"}}},
                   {.name = "library", .options = {{"path", "/no/such/library.so"}}}};
  { RunDir dir(config, *comm); dir.begin(config, *comm); }
  write_file_atomic(folder / "r/metrics.jsonl", "{\"step\":1}\n");
  { RunDir dir(config, *comm); dir.begin(config, *comm); }
  EXPECT_TRUE(fs::exists(folder / "r/metrics.jsonl"));
  EXPECT_FALSE(fs::exists(folder / "r.1"));
  config.reward[0].name = "other";  // a label names metrics
  { RunDir dir(config, *comm); dir.begin(config, *comm); }
  EXPECT_TRUE(fs::exists(folder / "r.1/metrics.jsonl"));
}

TEST_F(RunDirectory, NeverKeepsWhatIsThere) {
  { RunDir dir(config, *comm); dir.begin(config, *comm); }
  complete_checkpoint("step_2");
  config.run.resume = "never";
  {
    RunDir dir(config, *comm);
    dir.begin(config, *comm);
    EXPECT_FALSE(dir.resume_from());
    EXPECT_TRUE(fs::exists(folder / "r.1/checkpoints/step_2/manifest.json"));
    RunDir second(config, *comm);
    EXPECT_ERROR(second.begin(config, *comm), kUsage, "another process is training");
    EXPECT_FALSE(fs::exists(folder / "r.2"));
  }
  { RunDir again(config, *comm); again.begin(config, *comm); }
  EXPECT_TRUE(fs::exists(folder / "r.2/config.yaml"));
}

TEST_F(RunDirectory, ACheckpointOfAnotherRunIsNotMixedWithWhatIsThere) {
  { RunDir dir(config, *comm); dir.begin(config, *comm); }
  write_file_atomic(folder / "r/metrics.jsonl", "{\"step\":1}\n");
  fs::create_directories(folder / "other/checkpoints/step_4");
  write_file_atomic(folder / "other/checkpoints/step_4/manifest.json", "{}");
  config.run.resume = (folder / "other/checkpoints/step_4").string();
  RunDir dir(config, *comm);
  EXPECT_TRUE(fs::exists(folder / "r/metrics.jsonl"));  // looking changes nothing
  dir.begin(config, *comm);
  EXPECT_TRUE(fs::exists(folder / "r.1/metrics.jsonl"));
  EXPECT_EQ(dir.resume_from()->filename(), "step_4");
}

// As a job that is submitted again does.
TEST_F(RunDirectory, ThePathGivenAgainGoesOnFromWhatHasComeOfIt) {
  begin();
  const fs::path path = checkpoint("r", 4);
  checkpoint("r", 6);  // not told to go on from step 4: it is left behind
  config.run.resume = path.string() + "/";
  EXPECT_EQ(begin(), "r/checkpoints/step_4");
  EXPECT_TRUE(begins_at_path);
  EXPECT_TRUE(fs::exists(folder / "r/checkpoints/step_6.1"));
  EXPECT_EQ(begin(), "r/checkpoints/step_4") << "nothing has come of it so far";
  const Json lineage = Json::array({lineage_entry(path, config)});
  EXPECT_TRUE(lineage[0]["own"].get<bool>());
  checkpoint("r", 6, lineage), checkpoint("r", 8, lineage);
  EXPECT_EQ(begin(), "r/checkpoints/step_8");
  EXPECT_FALSE(begins_at_path);
  EXPECT_NE(message.find("step_8, which has come of run.resume " + config.run.resume), std::string::npos) << message;
  complete_checkpoint("step_10");  // a manifest that cannot be read tells no lineage
  EXPECT_EQ(begin(), "r/checkpoints/step_8");
  fs::remove_all(path);  // trainer.save_total_limit
  EXPECT_EQ(begin(), "r/checkpoints/step_8");
  fs::remove_all(folder / "r/checkpoints");
  EXPECT_ERROR(begin(), kUsage, "no complete checkpoint");
  // Another checkpoint in the same place is another command.
  config.optim.learning_rate = 0.5f;
  checkpoint("r", 4), checkpoint("r", 8, lineage);
  EXPECT_EQ(begin(), "r/checkpoints/step_4");
}

TEST_F(RunDirectory, APathOfAnotherRunGivenAgainGoesOnHere) {
  const fs::path path = checkpoint("other", 4);
  config.run.resume = path.string();
  EXPECT_EQ(begin(), "other/checkpoints/step_4");
  write_file_atomic(folder / "r/metrics.jsonl", "{\"step\":5}\n");
  EXPECT_EQ(begin(), "other/checkpoints/step_4");  // killed before its first checkpoint
  EXPECT_TRUE(fs::exists(folder / "r/metrics.jsonl"));
  const Json lineage = Json::array({lineage_entry(path, config)});
  EXPECT_FALSE(lineage[0]["own"].get<bool>());
  checkpoint("r", 6, lineage);
  EXPECT_EQ(begin(), "r/checkpoints/step_6");
  const fs::path second = checkpoint("other", 5);
  config.run.resume = second.string();
  EXPECT_EQ(begin(), "other/checkpoints/step_5");
  EXPECT_TRUE(fs::exists(folder / "r.1/checkpoints/step_6/manifest.json"));
}

TEST_F(RunDirectory, ChangesAreAllowedByNameAndForARunOfItsOwn) {
  const fs::path path = checkpoint("other", 4), own = checkpoint("r", 4);
  const std::string identity = config_identity(config);
  config.optim.learning_rate = 0.5f;
  const std::vector<std::string> differ = identity_differences(config, identity);
  ASSERT_EQ(differ.size(), 1u);
  EXPECT_EQ(refused_differences(differ, path, config), differ);
  config.run.allow_changes = {"optim.learning_rate"};
  EXPECT_TRUE(refused_differences(differ, path, config).empty());
  EXPECT_EQ(refused_differences(differ, own, config), differ);
  EXPECT_EQ(lineage_entry(path, config)["changes"], Json(differ));
  config.run.allow_changes = {"optim.weight_decay"};
  EXPECT_EQ(refused_differences(differ, path, config), differ);
}

// While one loads, which may take minutes, another may have begun and ended.
TEST_F(RunDirectory, IsDecidedAgainWhereNobodyElseCanChangeIt) {
  RunDir late(config, *comm);
  Config other = config;
  other.run.seed = 7;
  { RunDir first(other, *comm); first.begin(other, *comm); }
  write_file_atomic(folder / "r/metrics.jsonl", "{\"step\":1}\n");
  late.begin(config, *comm);
  EXPECT_EQ(read_file(folder / "r.1/metrics.jsonl"), "{\"step\":1}\n") << "a run of another seed";
  EXPECT_NE(late.message().find("moved to"), std::string::npos) << late.message();
  config.run.name = "s";
  RunDir later(config, *comm);
  checkpoint("s", 4), checkpoint("s", 6);
  fs::path checked;
  later.begin(config, *comm, [&](const fs::path& path, bool begins_there) {
    checked = path;
    EXPECT_FALSE(begins_there);
  });
  EXPECT_EQ(later.resume_from(), folder / "s/checkpoints/step_6");
  EXPECT_EQ(checked, folder / "s/checkpoints/step_6");
  EXPECT_NE(later.message().find("resuming from"), std::string::npos);
}

TEST_F(RunDirectory, ACheckpointThatIsRefusedMovesNothing) {
  begin();
  write_file_atomic(folder / "r/metrics.jsonl", "{\"step\":1}\n");
  config.run.resume = checkpoint("other", 4).string();
  RunDir dir(config, *comm);
  const auto refuse = [](const fs::path&, bool begins_there) { fail(ExitCode::kInput, "refused, {}", begins_there); };
  EXPECT_ERROR(dir.begin(config, *comm, refuse), kInput, "refused, true");
  EXPECT_TRUE(fs::exists(folder / "r/metrics.jsonl"));
  EXPECT_FALSE(fs::exists(folder / "r.1"));
}

TEST_F(RunDirectory, AutoDoesNotBeginABranchAtStepOne) {
  config.run.resume = checkpoint("other", 4).string();
  EXPECT_EQ(begin(), "other/checkpoints/step_4");
  const std::string path = config.run.resume;
  config.run.resume = "auto";
  EXPECT_ERROR(begin(), kUsage, "has written no checkpoint since: with run.resume auto it would begin at step 1");
  EXPECT_ERROR(begin(), kUsage, "run.resume=" + path + " to go on from there");
  checkpoint("r", 6);
  EXPECT_EQ(begin(), "r/checkpoints/step_6");
  fs::remove_all(folder / "r/checkpoints/step_6");
  config.run.resume = "never";
  EXPECT_EQ(begin(), "");
}

TEST_F(RunDirectory, ACheckpointIsTheSameWhoeverWroteItAndWhereverItIsCalledFrom) {
  begin();
  const fs::path path = checkpoint("other", 4);
  const Json lineage = Json::array({lineage_entry(path, config)});
  checkpoint("r", 6, lineage);
  Json manifest = read_manifest(path);  // the same state, by three ranks of another build
  manifest["ranks"] = 3, manifest["build"] = "another";
  manifest["manifest_hash"] = manifest_hash(manifest);
  write_file_atomic(path / "manifest.json", dump_json(manifest));
  config.run.resume = path.string();
  EXPECT_EQ(begin(), "r/checkpoints/step_6");
  fs::create_directory_symlink(path, folder / "link");
  fs::remove_all(path);
  config.run.resume = (folder / "link").string();
  EXPECT_EQ(begin(), "r/checkpoints/step_6") << "a link to what is gone";
  // Back to an own checkpoint, which is gone, in a run directory that has another name since.
  const Json own = Json::array({lineage_entry(checkpoint("r", 2), config)});
  checkpoint("r", 8, own);
  fs::rename(folder / "r", folder / "renamed");
  fs::remove_all(folder / "renamed/checkpoints/step_2");
  config.run.name = "renamed";
  config.run.resume = (folder / "renamed/checkpoints/step_2").string();
  EXPECT_EQ(begin(), "renamed/checkpoints/step_8");
  config.run.resume = (folder / "renamed/checkpoints/step_3").string();
  EXPECT_ERROR(begin(), kUsage, "no complete checkpoint");
}

// The config of the last run is that of the first.
TEST_F(RunDirectory, AKeyThatWasChangedAndChangedBackIsToldInItsConfig) {
  const fs::path first = checkpoint("first", 4);
  const Config as_first = config;
  config.optim.learning_rate = 0.5f;
  const Json lineage = Json::array({lineage_entry(first, config)});
  const fs::path second = checkpoint("second", 6, lineage);
  config = as_first;
  config.run.resume = second.string();
  config.run.allow_changes = {"optim.learning_rate"};
  EXPECT_EQ(begin(), "second/checkpoints/step_6");
  const std::string text = read_file(folder / "r/config.yaml");
  EXPECT_EQ(text.rfind(fmt::format("# goes on from {}, step 4, with another optim.learning_rate (now 0.5, was 1.0e-06)\n# goes on from {}, step 6, with another "
                                   "optim.learning_rate (now 1.0e-06, was 0.5)\n", first.string(), second.string()), 0), 0u) << text;
  EXPECT_EQ(config_to_yaml(load_config(folder / "r/config.yaml")), config_to_yaml(config));
}

TEST_F(RunDirectory, MetricsThatAreMissingBeforeTheCheckpointAreTold) {
  begin();
  RunDir dir(config, *comm);
  const auto missing = [&](const Json& lineage) { return dir.missing_metrics(4, lineage); };
  EXPECT_NE(missing(Json::array()).find("r/metrics.jsonl: steps 1 to 4 of 1 to 4 are missing"), std::string::npos) << missing(Json::array());
  write_file_atomic(folder / "r/metrics.jsonl", "{\"step\":3}\n{\"step\":4}\n{\"step\":5}\n");
  EXPECT_NE(missing(Json::array()).find("steps 1 to 2 of 1 to 4 are missing"), std::string::npos);
  EXPECT_EQ(missing(Json()), "") << "an older version's checkpoint does not tell where its metrics begin";
  const Json from_other = {{{"step", 2}, {"own", false}}, {{"step", 3}, {"own", true}}};
  EXPECT_EQ(missing(from_other), "");
  write_file_atomic(folder / "r/metrics.jsonl", "{\"step\":3}\n{\"step\":4");
  EXPECT_NE(missing(from_other).find("steps 4 of 3 to 4 are missing"), std::string::npos) << missing(from_other);
}

TEST_F(RunDirectory, APathMustBeACheckpoint) {
  config.run.resume = folder.string();
  EXPECT_ERROR(RunDir(config, *comm), kUsage, "no complete checkpoint");
}

TEST_F(RunDirectory, WhatIsMeantByAPathThatIsNoneIsTold) {
  const std::string newest = (checkpoint("done", 4), checkpoint("done", 10)).string();
  fs::create_directories(folder / "done/checkpoints/step_12");  // not complete
  const auto told = [&](const std::string& how, const std::string& words) {
    config.run.resume = how;
    EXPECT_ERROR(RunDir(config, *comm), kUsage, words);
  };
  for (const char* word : {"AUTO", "Auto", "atuo", "latest", "Last", "true"}) told(word, " has come of it; did you mean 'auto'? allowed: auto, never, or a folder");
  for (const char* word : {"NEVER", "Never", "nevr", "false"}) told(word, "did you mean 'never'? allowed: auto, never");
  for (const char* path : {"done", "done/", "done/checkpoints"})
    told((folder / path).string(), fmt::format("did you mean '{}', the newest complete checkpoint there? allowed: ", newest));
  told((folder / "done/checkpoints/step_12").string(), " has come of it; allowed: auto, never");  // no guess
  config.run.resume = "auto";
  config.run.dir = (folder / std::string(256, 'd')).string();
  EXPECT_ERROR(RunDir(config, *comm), kUsage, "File name too long; the run directory is run.dir/run.name");
}

TEST_F(RunDirectory, AModelIsWrittenWholeOrNotAtAll) {
  RunDir dir(config, *comm);
  dir.begin(config, *comm);
  ExecOwner owner(1);
  write_initial_model(initial_model_files(*config.model.init, "float32"), dir.initial());
  const LoadedModel model = init_model(dir.initial(), "auto", 1, 3, owner.exec());
  fs::create_directories(folder / "r/final.tmp/leftover");
  const ModelFiles files = read_model_files(dir.initial(), model.policy->table);
  dir.write_model(*model.policy, files, dir.final_model());
  EXPECT_FALSE(fs::exists(folder / "r/final.tmp"));
  for (const char* name : {"config.json", "tokenizer.json", "tokenizer_config.json"})
    EXPECT_EQ(read_file(dir.final_model() / name), read_file(dir.initial() / name));
  const LoadedModel again = load_model(dir.final_model(), "auto", 1, owner.exec());
  EXPECT_EQ(weights_fingerprint(*again.policy), weights_fingerprint(*model.policy));
  dir.write_model(*model.policy, files, dir.final_model());  // again, over the old one
  EXPECT_TRUE(fs::exists(dir.final_model() / "model.safetensors"));
}

TEST_F(RunDirectory, CheckpointsBehindTheOneThatIsGoneOnFromAreSetAside) {
  { RunDir first(config, *comm); first.begin(config, *comm); }
  for (const char* name : {"step_2", "step_4", "step_6"}) complete_checkpoint(name);
  config.run.resume = (folder / "r/checkpoints/step_4/").string();
  RunDir dir(config, *comm);
  EXPECT_TRUE(fs::exists(folder / "r/checkpoints/step_6"));  // so far it only looked
  dir.begin(config, *comm);
  EXPECT_NE(dir.message().find("step_6 is later: set aside as step_6.1"), std::string::npos) << dir.message();
  EXPECT_TRUE(fs::exists(folder / "r/checkpoints/step_6.1/manifest.json"));  // nothing is lost
  EXPECT_EQ(checkpoint_steps(folder / "r/checkpoints"), (std::vector<int64_t>{2, 4}));
}

}  // namespace
}  // namespace cohort
