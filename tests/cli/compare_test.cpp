// cohort compare: equal runs are identical, and of others the first step and field is named.
#include <filesystem>
#include <string>

#include "core/hash.h"
#include "tests/cli/run_cohort.h"
#include "trainer/checkpoint.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

// Two runs of one config that differ in what may not matter, and copies of the second to be changed.
class Compare : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TemporaryFolder>();
    const std::string config = write_all(*folder_ / "c.yaml", tiny_config(*folder_ / "runs"));
    ASSERT_EQ(run_cohort({"train", config, "run.name=a"}).exit_code, 0);
    ASSERT_EQ(run_cohort({"train", config, "run.name=b", "run.threads=2"}).exit_code, 0);
  }
  static void TearDownTestSuite() { folder_.reset(); }
  static std::string a() { return *folder_ / "runs/a"; }
  static std::string b() { return *folder_ / "runs/b"; }
  // A copy of b in which `from` stands as `to` in one file.
  static std::string changed(const std::string& file, const std::string& from, const std::string& to) {
    const std::string copy = *folder_ / "runs/changed";
    fs::remove_all(copy);
    fs::copy(b(), copy, fs::copy_options::recursive);
    std::string text = read_all(copy + "/" + file);
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from << " in " << text;
    write_all(copy + "/" + file, text.replace(at, from.size(), to));
    return copy;
  }
  static void expect_first(const std::string& other, const std::vector<std::string>& words) {
    const Outcome outcome = run_cohort({"compare", a(), other});
    EXPECT_EQ(outcome.exit_code, 1) << outcome.out << outcome.err;
    for (const std::string& word : words) EXPECT_NE(outcome.out.find(word), std::string::npos) << word << " in " << outcome.out;
  }

 private:
  static inline std::unique_ptr<TemporaryFolder> folder_;
};

TEST_F(Compare, RunsOfOneConfigAreIdentical) {
  const Outcome outcome = run_cohort({"compare", a(), b()});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
  EXPECT_EQ(outcome.out, "identical: 3 steps, 24 completions, 1 checkpoints, the final model\n");
}

TEST_F(Compare, AMetricIsNamedWithItsStep) {
  expect_first(changed("metrics.jsonl", R"("step":2,)", R"("step":2,"extra":1,)"),
               {"in step 2 (1 steps before it are equal): extra", "nothing", ": 1"});
}

TEST_F(Compare, CompletionsComeBeforeTheMetricsThatFollowFromThem) {
  const std::string other = changed("completions/step_3.jsonl", R"("sample":1)", R"("sample":7)");
  expect_first(other, {"in step 3", "completions/step_3.jsonl, line 2, sample", ": 1", ": 7"});
}

// Runs of earlier versions are without them.
TEST_F(Compare, ReasonsAndPromptsThatOneRunDoesNotHaveAreNoDifference) {
  const std::string rows = read_all(b() + "/completions/step_3.jsonl");
  const size_t from = rows.find(",\"explain\":"), prompt = rows.find(",\"prompt\":", from);
  ASSERT_NE(prompt, std::string::npos) << rows;
  const std::string other = changed("completions/step_3.jsonl", rows.substr(from, rows.find('}', prompt) - from), "");
  for (const auto& [left, right] : {std::pair(a(), other), std::pair(other, a())}) {
    const Outcome outcome = run_cohort({"compare", left, right});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
  }
}

// The file and, where `in_manifest`, what the manifest says of it.
std::string with_another_shard(const std::string& run, bool in_manifest) {
  const std::string folder = run + "/checkpoints/step_2/", shard = folder + "shard_00001.bin";
  std::string bytes = read_all(shard);
  bytes[100] = static_cast<char>(bytes[100] ^ 1);
  write_all(shard, bytes);
  Json manifest = read_manifest(folder);
  if (in_manifest) manifest["shards"][1]["hash"] = fingerprint(bytes);
  manifest["manifest_hash"] = manifest_hash(manifest);
  write_all(folder + "manifest.json", dump_json(manifest));
  return run;
}

// Models beside the final one, and what else a checkpoint goes on with.
TEST_F(Compare, AllThatBothRunsKeepIsCompared) {
  const std::string other = changed("config.yaml", "run:", "run:");
  for (const char* folder : {"best", "final_merged"}) {
    for (const std::string& run : {a(), other}) fs::copy(run + "/final", run + "/" + folder);
    std::string weights = read_all(other + "/" + folder + "/model.safetensors");
    weights.back() = static_cast<char>(weights.back() ^ 1);
    write_all(other + "/" + folder + "/model.safetensors", weights);
    expect_first(other, {std::string("the first difference is in ") + folder + "/model.safetensors, model."});
    fs::remove_all(other + "/" + folder);
    EXPECT_NE(run_cohort({"compare", a(), other}).out.find(std::string("note: only A has ") + folder), std::string::npos);
    fs::copy(a() + "/" + folder, other + "/" + folder);
  }
  EXPECT_NE(run_cohort({"compare", a(), other}).out.find(", the final model, best, final_merged\n"), std::string::npos);
  for (const char* folder : {"best", "final_merged"}) fs::remove_all(a() + "/" + folder);
  const std::string folder = other + "/checkpoints/step_2/";
  const auto with = [&](const char* key, const Json& value) {
    Json manifest = read_manifest(a() + "/checkpoints/step_2");
    manifest[key] = value;
    manifest["manifest_hash"] = manifest_hash(manifest);
    write_all(folder + "manifest.json", dump_json(manifest));
  };
  write_all(folder + "batch.json", "{}");
  with("files", {{"batch", {{"hash", fingerprint("{}")}}}});
  expect_first(other, {"in step 2", "checkpoints/step_2, files"});
  const Json extra = read_manifest(a() + "/checkpoints/step_2")["extra"];
  Json changed_extra = extra;
  ASSERT_TRUE(extra.contains("evaluations") && !extra["evaluations"].empty()) << extra;
  changed_extra["evaluations"][0]["metrics"]["eval/accuracy"] = 7;
  with("extra", changed_extra);
  expect_first(other, {"in step 2", "checkpoints/step_2, extra, evaluation before"});
  Json fewer = extra;
  fewer.erase("evaluations"), fewer.erase("accuracy_before");
  with("extra", fewer);
  EXPECT_EQ(run_cohort({"compare", a(), other}).exit_code, 0) << "one was evaluated more often";
}

TEST_F(Compare, OptimizerStateIsCompared) {
  expect_first(with_another_shard(changed("config.yaml", "run:", "run:"), true), {"in step 2", "checkpoints/step_2, shards[1], hash"});
}

// A manifest alone does not tell what lies beside it.
TEST_F(Compare, ACheckpointThatIsNotWhatItsManifestSaysIsNoProof) {
  const std::string other = with_another_shard(changed("config.yaml", "run:", "run:"), false);
  for (const auto& [one, two] : {std::pair(a(), other), {other, a()}})
    EXPECT_REFUSED(run_cohort({"compare", one, two}), 3, "shard_00001.bin: the content does not match the hash in manifest.json: the file is corrupted");
  fs::remove(other + "/checkpoints/step_2/shard_00001.bin");
  EXPECT_REFUSED(run_cohort({"compare", a(), other}), 3, "shard_00001.bin: the file is missing");
  EXPECT_REFUSED(run_cohort({"compare", a(), changed("checkpoints/step_2/manifest.json", "\"num_tokens\": ", "\"num_tokens\": 1")}), 3, "manifest.json",
                 "does not match its own hash");
}

TEST_F(Compare, TheTensorOfTheFinalModelIsNamed) {
  std::string weights = read_all(b() + "/final/model.safetensors");
  const std::string other = changed("final/config.json", "{", "{");
  weights.back() = static_cast<char>(weights.back() ^ 1);
  write_all(other + "/final/model.safetensors", weights);
  expect_first(other, {"all 3 steps are equal; the first difference is in final/model.safetensors, model.", "0x"});
}

TEST_F(Compare, AShorterRunDiffersWhereItEnds) {
  const std::string metrics = read_all(b() + "/metrics.jsonl");
  const std::string last = metrics.substr(metrics.rfind('\n', metrics.size() - 2) + 1);
  const std::string other = changed("metrics.jsonl", last, "");
  expect_first(other, {"in step 3 (2 steps before it are equal): metrics.jsonl", "a step", "no such step"});
}

TEST_F(Compare, ConfigsThatExplainADifferenceAreNoted) {
  const Outcome outcome = run_cohort({"compare", a(), changed("config.yaml", "seed: 42", "seed: 43")});
  EXPECT_EQ(outcome.out.rfind("note: the configs differ in run.seed (A: 42, B: 43)\n", 0), 0u) << outcome.out;
}

// Two runs that have done nothing yet, for all that their configs tell: that is no sameness.
TEST_F(Compare, RunsWithoutAStepAreNotCalledIdentical) {
  const TemporaryFolder folder;
  for (const std::string name : {"one", "other"}) {
    fs::create_directories(folder / name);
    fs::copy(b() + "/config.yaml", folder / (name + "/config.yaml"));
  }
  EXPECT_REFUSED(run_cohort({"compare", folder / "one", folder / "other"}), 3, "nothing was compared", folder / "one", folder / "other");
  for (const std::string name : {"one", "other"}) fs::copy(b() + "/final", folder / (name + "/final"));
  const Outcome models = run_cohort({"compare", folder / "one", folder / "other"});
  EXPECT_EQ(models.exit_code, 0) << models.err;
  EXPECT_EQ(models.out, "note: neither run has a step; only the final models were compared\nidentical: 0 steps, 0 completions, 0 checkpoints, the final model\n");
  fs::remove_all(folder / "one/final");
  EXPECT_REFUSED(run_cohort({"compare", folder / "one", folder / "other"}), 3, "nothing was compared");
}

TEST_F(Compare, AFolderThatIsNoRunIsRefused) {
  EXPECT_REFUSED(run_cohort({"compare", a(), a() + "/final"}), 3, "no run directory", "config.yaml");
  EXPECT_REFUSED(run_cohort({"compare", a()}), 2, "RUN_B");
}

}  // namespace
}  // namespace cohort
