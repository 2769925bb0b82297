// Checkpoints: complete or absent, verified on the way in, and the run goes on with the same bits.
#include "trainer/checkpoint.h"

#include <filesystem>
#include <fstream>

#include "core/files.h"
#include "tests/core/expect_error.h"
#include "tests/trainer/tiny_run.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;
const std::vector<std::vector<double>> kMixed = {{1, 0, 0, 1}, {0, 1, 0, 0}};

class Checkpoint : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "cohort-checkpoint-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder = name;
    identity = {config_identity(run.config), "data", "model", ""};
    run.make_optimizer();
  }
  void TearDown() override { fs::remove_all(folder); }

  static void train(TinyRun& r, int64_t from, int64_t to) {
    for (int64_t step = from; step <= to; ++step) r.update(r.sample(static_cast<uint32_t>(step), kMixed), step);
  }
  void save(int64_t step, int64_t keep = 0) {
    save_checkpoint(folder, {step, run.optimizer->steps_done(), 123, {{"accuracy_before", 0.25}}}, identity, *run.optimizer, keep,
                    *run.comm);
  }
  CheckpointState load(TinyRun& r, const fs::path& path) {
    if (!r.optimizer) r.make_optimizer();
    return load_checkpoint(path, identity, r.config, *r.optimizer, *r.comm, r.owner.exec());
  }

  TinyRun run;
  fs::path folder;
  RunIdentity identity;
};

TEST_F(Checkpoint, SavedAndReloadedTheRunGoesOnWithTheSameBits) {
  train(run, 1, 3);
  save(3);
  train(run, 4, 8);
  TinyRun other;
  const CheckpointState state = load(other, *newest_checkpoint(folder));
  EXPECT_EQ(state.step, 3);
  EXPECT_EQ(state.optimizer_steps, 3);
  EXPECT_EQ(state.num_tokens, 123);
  EXPECT_EQ(state.extra["accuracy_before"], 0.25);
  train(other, 4, 8);
  EXPECT_EQ(other.weights(), run.weights());
  for (int k = 0; k < 4; ++k) {
    for (const Optimizer::Part part : {Optimizer::Part::master, Optimizer::Part::m, Optimizer::Part::v}) {
      std::vector<float> a(static_cast<size_t>(run.optimizer->shard_size())), b(a.size());
      run.optimizer->read_state(k, part, 0, a);
      other.optimizer->read_state(k, part, 0, b);
      EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)), 0);
    }
  }
}

TEST_F(Checkpoint, TheNewestCompleteOneIsTaken) {
  EXPECT_FALSE(newest_checkpoint(folder));
  EXPECT_FALSE(newest_checkpoint(folder / "absent"));
  train(run, 1, 1);
  for (const int64_t step : {2, 9, 10}) save(step);
  EXPECT_EQ(newest_checkpoint(folder)->filename(), "step_10");
  fs::remove(folder / "step_10" / "manifest.json");
  fs::create_directories(folder / "tmp_step_11");
  fs::create_directories(folder / "step_12x");
  EXPECT_EQ(newest_checkpoint(folder)->filename(), "step_9");
}

TEST_F(Checkpoint, OldOnesAndLeftoversAreRemoved) {
  train(run, 1, 1);
  fs::create_directories(folder / "tmp_step_1");
  fs::create_directories(folder / "tmp_step_7.old");  // a kill came before it was removed
  for (int64_t step = 1; step <= 4; ++step) save(step, 2);
  EXPECT_FALSE(fs::exists(folder / "step_2"));
  EXPECT_TRUE(fs::exists(folder / "step_3" / "manifest.json"));
  EXPECT_TRUE(fs::exists(folder / "step_4" / "manifest.json"));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), {}), 2);
  save(4, 2);  // the same step again
  EXPECT_TRUE(fs::exists(folder / "step_4" / "manifest.json"));
}

TEST_F(Checkpoint, WhatLostItsManifestToSomebodyElseIsKept) {
  train(run, 1, 1);
  save(2);
  fs::remove(folder / "step_2" / "manifest.json");
  write_file_atomic(folder / "step_2" / "notes.txt", "mine");
  save(1, 1), save(3, 1);
  EXPECT_EQ(read_file(folder / "step_2" / "notes.txt"), "mine");
  save(2, 0);
  EXPECT_TRUE(fs::exists(folder / "step_2" / "manifest.json"));
  EXPECT_EQ(read_file(folder / "step_2.1" / "notes.txt"), "mine");
}

// A rank that writes onto a disk of its own has flushed its shards as well.
TEST_F(Checkpoint, IsNoneWithoutTheShardsOfAllRanks) {
  train(run, 1, 1);
  save(1);
  const auto commit = [&](const std::function<void(const fs::path& shard)>& spoil) {
    CheckpointWriter writer(folder, *run.optimizer, *run.comm);
    writer.begin({2, run.optimizer->steps_done(), 123, {}}, identity, 1);
    writer.wait_written();
    spoil(folder / "tmp_step_2" / "shard_00002.bin");
    writer.commit();
  };
  EXPECT_ERROR(commit([](const fs::path& shard) { fs::remove(shard); }), kUsage, "shard_00002.bin: No such file or directory where a rank has written");
  EXPECT_ERROR(commit([](const fs::path& shard) { fs::resize_file(shard, 100); }), kUsage, "shard_00002.bin: 100 bytes where a rank has written");
  EXPECT_FALSE(fs::exists(folder / "step_2"));
  EXPECT_TRUE(fs::exists(folder / "step_1" / "manifest.json"));
  commit([](const fs::path&) {});
  EXPECT_TRUE(fs::exists(folder / "step_2" / "manifest.json"));
}

TEST_F(Checkpoint, WrittenWhileTheRunGoesOnItIsThatOfItsBegin) {
  train(run, 1, 2);
  save(2);
  const std::string expected = read_file(folder / "step_2" / "shard_00003.bin");
  CheckpointWriter writer(folder, *run.optimizer, *run.comm);
  run.optimizer->before_change([&](const Exec& ex) { writer.release_state(ex, std::nullopt); });
  writer.begin({2, run.optimizer->steps_done(), 123, {}}, identity, 0);
  EXPECT_TRUE(writer.pending());
  EXPECT_ERROR(writer.begin({3, 3, 123, {}}, identity, 0), kInternal, "the checkpoint of step 3 while that of step 2");
  train(run, 3, 4);
  writer.commit();
  EXPECT_FALSE(writer.pending());
  EXPECT_FALSE(writer.commit_if_written());
  EXPECT_GT(writer.seconds(), 0);
  EXPECT_TRUE(read_file(folder / "step_2" / "shard_00003.bin") == expected);
  TinyRun other;
  EXPECT_EQ(load(other, folder / "step_2").step, 2);
  train(other, 3, 4);
  EXPECT_EQ(other.weights(), run.weights());
}

TEST_F(Checkpoint, IsNoneUntilItIsCommitted) {
  train(run, 1, 1);
  {
    CheckpointWriter writer(folder, *run.optimizer, *run.comm);
    writer.begin({1, 1, 123, {}}, identity, 0);
  }
  EXPECT_FALSE(newest_checkpoint(folder));
}

TEST_F(Checkpoint, NumbersThatAreNotFiniteAreNotSaved) {
  train(run, 1, 1);
  save(1);
  const float bad = INFINITY;
  run.optimizer->write_state(2, Optimizer::Part::v, 5, {&bad, 1}, run.owner.exec());
  EXPECT_ERROR(save(2), kNonFinite, "the optimizer's second moments hold inf (shard 2, element 5)");
  EXPECT_EQ(newest_checkpoint(folder)->filename(), "step_1");
}

TEST_F(Checkpoint, EveryDamageIsRefusedByName) {
  train(run, 1, 1);
  save(1);
  const fs::path path = folder / "step_1", shard = path / "shard_00002.bin", manifest = path / "manifest.json";
  TinyRun other;
  const std::string good_shard = read_file(shard), good_manifest = read_file(manifest);
  const auto refused = [&](const char* words) {
    EXPECT_ERROR(load(other, path), kInput, words);
    write_file_atomic(shard, good_shard);
    write_file_atomic(manifest, good_manifest);
  };
  std::string bad = good_shard;
  bad[1000] ^= 1;
  write_file_atomic(shard, bad);
  refused("shard_00002.bin: the content does not match the hash");
  write_file_atomic(shard, good_shard.substr(0, good_shard.size() - 4));
  refused("shard_00002.bin");
  fs::remove(shard);
  refused("shard_00002.bin");
  fs::remove(manifest);
  refused("manifest.json is missing");
  write_file_atomic(manifest, good_manifest.substr(0, 100));
  refused("; resume from another checkpoint with run.resume: PATH, or move this one away");
  bad = good_manifest;
  bad.replace(bad.find("\"format_version\": 1"), 19, "\"format_version\": 2");
  write_file_atomic(manifest, bad);
  refused("format version 2");
  bad = good_manifest;
  bad.replace(bad.find("\"step\": 1"), 9, "\"step\": 2");
  write_file_atomic(manifest, bad);
  refused("does not match its own hash: the file was changed; resume from another checkpoint with run.resume: PATH, or move this one away");
  write_file_atomic(manifest, "[]");
  refused("expected an object");
  EXPECT_EQ(load(other, path).step, 1);
}

TEST_F(Checkpoint, SaysWhichBuildWroteItAndIsCheckedBeforeItIsLoaded) {
  train(run, 1, 1);
  save(1);
  const fs::path path = folder / "step_1";
  EXPECT_EQ(resume_note(path, 1), "");
  EXPECT_EQ(resume_note(path, 2), "resuming with ranks 2, was 1: the run goes on with the same bits");
  check_resumable(path, identity, run.config);
  RunIdentity other = identity;
  other.data = "other";
  EXPECT_ERROR(check_resumable(path, other, run.config), kUsage, "training data differ");
  other = identity;
  other.model = "other";
  EXPECT_ERROR(check_resumable(path, other, run.config), kInput, "another model");
  run.config.trainer.max_steps = 0;
  EXPECT_ERROR(check_resumable(path, identity, run.config), kUsage, "trainer.max_steps is 0");
}

TEST_F(Checkpoint, AnotherRunIsRefused) {
  train(run, 1, 1);
  save(1);
  TinyRun other;
  other.config.algorithm.epsilon = 0.3f;
  EXPECT_ERROR(load(other, folder / "step_1"), kUsage, "epsilon");
  other.config = run.config;
  identity.data = "other";
  EXPECT_ERROR(load(other, folder / "step_1"), kUsage, "training data differ");
  identity.data = "data";
  identity.reference = "other";
  EXPECT_ERROR(load(other, folder / "step_1"), kInput, "reference model");
  identity.reference = "";
  other.config.trainer.max_steps = 0;
  EXPECT_ERROR(load(other, folder / "step_1"), kUsage, "trainer.max_steps is 0");
  other.config = run.config;
  identity.model = "other";
  EXPECT_ERROR(load(other, folder / "step_1"), kInput, "another model");
}

TEST_F(Checkpoint, AFolderThatCannotBeWrittenSaysSo) {
  train(run, 1, 1);
  save(1);
  write_file_atomic(folder / "file", "");
  EXPECT_THROW(save_checkpoint(folder / "file", {2, 1, 0, Json::object()}, identity, *run.optimizer, 0, *run.comm),
               std::exception);
  EXPECT_EQ(newest_checkpoint(folder)->filename(), "step_1");
}

}  // namespace
}  // namespace cohort
