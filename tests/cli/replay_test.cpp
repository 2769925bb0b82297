// cohort replay: a step that is run again has the bits that the run recorded, and what differs is named.
#include <algorithm>
#include <filesystem>
#include <map>
#include <string>

#include "core/hash.h"
#include "tests/cli/run_cohort.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

Outcome replay_on_ranks(int ranks, std::vector<std::string> args) {
  std::vector<std::string> all = {"-n", std::to_string(ranks), "--oversubscribe", COHORT_BINARY, "replay", "--quiet"};
  all.insert(all.end(), args.begin(), args.end());
  if (geteuid() == 0) all.insert(all.begin(), "--allow-run-as-root");  // Open MPI refuses root otherwise
  return run_program("mpirun", all);
}

// Every file below a folder with its content and when it was written.
std::map<std::string, std::pair<std::string, fs::file_time_type>> content_of(const std::string& folder) {
  std::map<std::string, std::pair<std::string, fs::file_time_type>> files;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder))
    files[entry.path().string()] = {entry.is_regular_file() ? read_all(entry.path()) : "", entry.last_write_time()};
  return files;
}

// A checkpoint's file in which `change` has altered the text, with a manifest that agrees with it.
template <typename Change>
void change_manifest(const std::string& checkpoint, Change change) {
  const std::string file = checkpoint + "/manifest.json";
  Json manifest = parse_json(read_all(file), file);
  change(manifest);
  manifest.erase("manifest_hash");
  manifest["manifest_hash"] = fingerprint(dump_json(manifest));
  write_all(file, dump_json(manifest, 1) + "\n");
}

// A run of five steps that learns, with a reference model and checkpoints after steps 2 and 4, and copies of it to be changed.
class ReplayTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TemporaryFolder>();
    std::string text = tiny_config(*folder_ / "runs");
    const auto replace = [&](const std::string& from, const std::string& to) { text.replace(text.find(from), from.size(), to); };
    replace("train_size: 32", "train_size: 4");
    replace("logical_ranks: 2", "logical_ranks: 4, eval_steps: 2, warm_start: {steps: 60, problems_per_step: 4, learning_rate: 5.0e-3}");
    replace("max_steps: 3, prompts_per_step: 2", "max_steps: 5, prompts_per_step: 3");
    replace("dtype: float32", "dtype: bfloat16");
    const std::string config = write_all(*folder_ / "c.yaml", text + "algorithm: {beta: 0.01}\n");
    const Outcome outcome = run_cohort({"train", config, "--quiet"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  }
  static void TearDownTestSuite() { folder_.reset(); }
  static std::string config_folder() { return folder_->str(); }
  static std::string run() { return *folder_ / "runs/tiny"; }
  static std::string copy() {
    const std::string other = *folder_ / "runs/changed";
    fs::remove_all(other);
    fs::copy(run(), other, fs::copy_options::recursive);
    return other;
  }
  static std::string changed(const std::string& file, const std::string& from, const std::string& to) {
    const std::string other = copy();
    std::string text = read_all(other + "/" + file);
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from << " in " << text;
    write_all(other + "/" + file, text.replace(at, from.size(), to));
    return other;
  }
  static void expect_different(const std::vector<std::string>& args, const std::vector<std::string>& words) {
    std::vector<std::string> all = {"replay", "--quiet"};
    all.insert(all.end(), args.begin(), args.end());
    const Outcome outcome = run_cohort(all);
    EXPECT_EQ(outcome.exit_code, 1) << outcome.out << outcome.err;
    for (const std::string& word : words) EXPECT_NE(outcome.out.find(word), std::string::npos) << word << " in " << outcome.out;
    EXPECT_EQ(outcome.out.find("identical"), std::string::npos) << outcome.out;
  }

 private:
  static inline std::unique_ptr<TemporaryFolder> folder_;
};

TEST_F(ReplayTest, AStepBehindACheckpointHasItsBits) {
  const Outcome outcome = run_cohort({"replay", run(), "--step", "3", "--quiet", "run.threads=2"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
  EXPECT_EQ(outcome.out,
            "replayed step 3 from checkpoints/step_2 on 1 rank\nidentical: the metrics of step 3, 12 completions\n"
            "not compared: weights and optimizer state, as there is no checkpoint of step 3\n");
}

TEST_F(ReplayTest, WeightsAndMomentsAreThoseOfTheCheckpointOnAnyNumberOfRanks) {
  for (const int ranks : {1, 3}) {
    const Outcome outcome = replay_on_ranks(ranks, {run(), "--step", "4"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
    EXPECT_NE(outcome.out.find("replayed steps 3 to 4 from checkpoints/step_2 on " + std::to_string(ranks) + " rank"), std::string::npos) << outcome.out;
    EXPECT_NE(outcome.out.find("identical: the metrics of steps 3 to 4, 24 completions, weights and optimizer state after step 4\n"), std::string::npos) << outcome.out;
    EXPECT_EQ(outcome.out.find("resuming with ranks") != std::string::npos, ranks == 3) << outcome.out;
  }
}

TEST_F(ReplayTest, FromTheStartWhereNoCheckpointIsBefore) {
  EXPECT_REFUSED(run_cohort({"replay", run(), "--step", "2"}), 2, "has checkpoints of step 2, 4 only: none before step 2", "--from-start");
  const Outcome outcome = run_cohort({"replay", run(), "--step", "2", "--from-start", "--quiet"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
  EXPECT_NE(outcome.out.find("replayed steps 1 to 2 from the start on 1 rank\nidentical: the metrics of steps 1 to 2, 24 completions, weights and optimizer state"),
            std::string::npos) << outcome.out;
  const std::string none = copy();
  fs::remove_all(none + "/checkpoints");
  EXPECT_REFUSED(run_cohort({"replay", none, "--step", "2"}), 2, "has no checkpoint: none before step 2");
}

TEST_F(ReplayTest, TheRunIsOnlyReadAndNothingIsLeft) {
  const TemporaryFolder scratch;
  const auto before = content_of(run());
  ASSERT_EQ(run_cohort({"replay", run(), "--step", "5", "--scratch", scratch.str()}).exit_code, 0);
  ASSERT_EQ(replay_on_ranks(2, {run(), "--step", "4", "--scratch", scratch.str()}).exit_code, 0);
  EXPECT_TRUE(content_of(run()) == before);
  EXPECT_TRUE(fs::is_empty(scratch.str()));
}

// The metric's text in the line of `step`.
std::string metric_text(const std::string& run, int step, const std::string& name) {
  const std::string metrics = read_all(run + "/metrics.jsonl");
  const size_t line = metrics.find("{\"step\":" + std::to_string(step) + ","), at = metrics.find("\"" + name + "\":", line);
  return metrics.substr(at, metrics.find_first_of(",}", at) - at);
}

TEST_F(ReplayTest, AMetricIsNamedWithBothValues) {
  const std::string norm = metric_text(run(), 4, "grad_norm");
  const std::string other = changed("metrics.jsonl", norm, "\"grad_norm\":0.125");
  expect_different({other, "--step", "4"}, {"the first difference is in step 4: grad_norm\n  run    0.125\n  replay " + norm.substr(12)});
  // What was recorded of step 3 is as it was, and a later checkpoint leaves the change behind.
  EXPECT_EQ(run_cohort({"replay", other, "--step", "3", "--quiet"}).exit_code, 0);
  EXPECT_EQ(run_cohort({"replay", other, "--step", "5", "--quiet"}).exit_code, 0);
}

TEST_F(ReplayTest, MetricsOfEvaluationsAreReplayedAndTimesAreNot) {
  expect_different({changed("metrics.jsonl", metric_text(run(), 4, "eval/mean_length"), "\"eval/mean_length\":99.5"), "--step", "4"},
                   {"step 4: eval/mean_length", "99.5"});
  const std::string other = changed("metrics.jsonl", metric_text(run(), 3, "timing_s/step"), "\"timing_s/step\":12345.0");
  EXPECT_EQ(run_cohort({"replay", other, "--step", "3", "--quiet"}).exit_code, 0);
}

TEST_F(ReplayTest, ACompletionIsNamedBeforeTheMetricsThatFollowFromIt) {
  expect_different({changed("completions/step_3.jsonl", R"("sample":1)", R"("sample":7)"), "--step", "3"},
                   {"in step 3: completions/step_3.jsonl, line 2, sample\n  run    7\n  replay 1\n"});
}

// Flips the last bit of the number at `offset` of a shard, and writes the hash that then holds.
std::string with_other_number(const std::string& run, const std::string& checkpoint, int64_t offset) {
  const std::string folder = run + "/checkpoints/" + checkpoint, file = folder + "/shard_00001.bin";
  std::string bytes = read_all(file);
  bytes[static_cast<size_t>(offset)] = static_cast<char>(bytes[static_cast<size_t>(offset)] ^ 1);
  write_all(file, bytes);
  change_manifest(folder, [&](Json& manifest) { manifest["shards"][1]["hash"] = fingerprint(bytes); });
  return run;
}

TEST_F(ReplayTest, ANumberOfTheStateIsNamed) {
  const auto third = static_cast<int64_t>(fs::file_size(run() + "/checkpoints/step_4/shard_00001.bin") / 3);
  expect_different({with_other_number(copy(), "step_4", 0), "--step", "4"}, {"in step 4: checkpoints/step_4, shard_00001.bin, master of model.", "(0x"});
  expect_different({with_other_number(copy(), "step_4", third), "--step", "4"}, {"shard_00001.bin, m of model."});
  const Outcome ranks = replay_on_ranks(2, {with_other_number(copy(), "step_4", 2 * third), "--step", "4"});
  EXPECT_EQ(ranks.exit_code, 1) << ranks.err;
  EXPECT_NE(ranks.out.find("shard_00001.bin, v of model."), std::string::npos) << ranks.out;
  // The same in the checkpoint that the replay begins with: the step takes another course.
  expect_different({with_other_number(copy(), "step_2", third + 3), "--step", "4"}, {"the first difference is in step "});
}

TEST_F(ReplayTest, AnotherBuildIsNotedWithThePromiseThatHolds) {
  const std::string other = copy();
  change_manifest(other + "/checkpoints/step_2", [](Json& manifest) { manifest["build"]["numerics"] = 0; });
  const Outcome outcome = run_cohort({"replay", other, "--step", "3", "--quiet"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("note: resuming with numerics"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("its bits from here on are not those of the run unbroken"), std::string::npos) << outcome.out;
}

TEST_F(ReplayTest, WhatTheRunDidNotRecordIsSaidNotToBeCompared) {
  const std::string other = copy();
  fs::remove_all(other + "/completions");
  const Outcome outcome = run_cohort({"replay", other, "--step", "5", "--quiet"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out,
            "replayed step 5 from checkpoints/step_4 on 1 rank\nidentical: the metrics of step 5\n"
            "not compared: completions, which the run did not record (log.completions_steps)\n"
            "not compared: weights and optimizer state, as there is no checkpoint of step 5\n");
}

// A run that began with another's checkpoint: with that one, and not at step 1.
TEST_F(ReplayTest, ABranchIsReplayedFromWhereItBegan) {
  const std::string origin = run() + "/checkpoints/step_2", branch = config_folder() + "/runs/branch";
  const std::vector<std::string> train = {"train", config_folder() + "/c.yaml", "--quiet", "run.name=branch", "run.resume=" + origin, "optim.learning_rate=0.002",
                                          "run.allow_changes=[optim.learning_rate]"};
  ASSERT_EQ(run_cohort(train).exit_code, 0);
  const Outcome third = run_cohort({"replay", branch, "--step", "3", "--quiet"});
  EXPECT_EQ(third.exit_code, 0) << third.out << third.err;
  EXPECT_EQ(third.out.rfind("replayed step 3 from " + origin + " on 1 rank\nidentical: ", 0), 0u) << third.out;
  EXPECT_EQ(run_cohort({"replay", branch, "--step", "5", "--quiet"}).exit_code, 0);
  EXPECT_REFUSED(run_cohort({"replay", branch, "--step", "3", "--from-start", "--quiet"}), 2, "did not begin at step 1 but with " + origin + ", the state after step 2");
  // Elsewhere it lacks the model after the warm start, which the KL term needs: that is found before anything is moved.
  const std::string elsewhere = config_folder() + "/elsewhere/checkpoints/step_2";
  fs::create_directories(config_folder() + "/elsewhere/checkpoints");
  fs::copy(origin, elsewhere);
  std::vector<std::string> other = train;
  other[3] = "run.name=tiny", other[4] = "run.resume=" + elsewhere;  // it would be moved aside for this one
  EXPECT_REFUSED(run_cohort(other), 3, "elsewhere/warm_start: not found; algorithm.beta needs the model after the warm start");
  EXPECT_FALSE(fs::exists(run() + ".1"));
  fs::rename(origin, origin + ".gone");
  EXPECT_REFUSED(run_cohort({"replay", branch, "--step", "3", "--quiet"}), 2, "it began with " + origin + ", the state after step 2, which is gone");
  fs::rename(origin + ".gone", origin);
  fs::remove_all(branch);
}

TEST_F(ReplayTest, WhatCannotBeReplayedIsRefused) {
  EXPECT_REFUSED(run_cohort({"replay", run(), "--step", "6"}), 2, "--step 6 is not among the steps", "1 to 5");
  EXPECT_REFUSED(run_cohort({"replay", run(), "--step", "0"}), 2, "--step");
  EXPECT_REFUSED(run_cohort({"replay", run()}), 2, "--step is required");
  EXPECT_REFUSED(run_cohort({"replay", run() + "/final", "--step", "1"}), 3, "no run directory", "config.yaml");
  EXPECT_REFUSED(run_cohort({"replay", run(), "--step", "3", "optim.learning_rate=0.5"}), 2, "keeps what decides the bits", "optim.learning_rate (given 0.5, the run's 0.001)");
  EXPECT_REFUSED(run_cohort({"replay", run(), "--step", "3", "--scratch", run() + "/none"}), 2, "--scratch");
  std::string other = copy();
  fs::remove(other + "/metrics.jsonl");
  EXPECT_REFUSED(run_cohort({"replay", other, "--step", "3"}), 2, "no step in metrics.jsonl");
  other = copy();
  std::string bytes = read_all(other + "/checkpoints/step_4/shard_00002.bin");
  write_all(other + "/checkpoints/step_4/shard_00002.bin", bytes.substr(4));
  EXPECT_REFUSED(run_cohort({"replay", other, "--step", "4", "--quiet"}), 3, "step_4/shard_00002.bin", "cut short");
  bytes[5] = static_cast<char>(bytes[5] ^ 1);
  write_all(other + "/checkpoints/step_4/shard_00002.bin", bytes);
  EXPECT_REFUSED(run_cohort({"replay", other, "--step", "4", "--quiet"}), 3, "step_4/shard_00002.bin", "corrupted");
}

TEST_F(ReplayTest, ModelAndDataThatAreGoneOrOthersAreRefused) {
  const TemporaryFolder folder;
  const std::string row = R"({"prompt": "1+1=", "answer": "2"})", other_row = R"({"prompt": "2+2=", "answer": "4"})";
  const std::string data = write_all(folder / "data.jsonl", row + "\n" + row + "\n");
  const std::string model = folder / "model", again = folder / "runs/tiny";
  fs::copy(run() + "/final", model);
  std::string text = jsonl_config(folder / "runs", data);
  const size_t at = text.find("  init:");
  text.replace(at, text.find('\n', at) - at, "  path: " + model);
  ASSERT_EQ(run_cohort({"train", write_all(folder / "c.yaml", text), "--quiet"}).exit_code, 0);
  ASSERT_EQ(run_cohort({"replay", again, "--step", "3", "--quiet"}).exit_code, 0);

  fs::rename(data, folder / "moved.jsonl");
  EXPECT_REFUSED(run_cohort({"replay", again, "--step", "3"}), 3, data + ": not found", "data.train", "data.train=FILE");
  EXPECT_EQ(run_cohort({"replay", again, "--step", "3", "--quiet", "data.train=" + folder / "moved.jsonl"}).exit_code, 0);
  write_all(data, row + "\n" + other_row + "\n");
  EXPECT_REFUSED(run_cohort({"replay", again, "--step", "3", "--quiet"}), 2, "the training data differ");
  write_all(data, row + "\n" + row + "\n");
  fs::rename(model, folder / "elsewhere");
  EXPECT_REFUSED(run_cohort({"replay", again, "--step", "3"}), 3, model + ": not found", "model.path", "a link");
  fs::create_directory_symlink(folder / "elsewhere", model);
  EXPECT_EQ(run_cohort({"replay", again, "--step", "3", "--quiet"}).exit_code, 0);
}

}  // namespace
}  // namespace cohort
