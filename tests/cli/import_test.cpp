// cohort import of Hugging Face folders: the same model comes out, in one file or in shards, or nothing at all.
#include "model/formats/safetensors.h"
#include "tests/cli/run_cohort.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

class ImportFolder : public testing::Test {
 protected:
  static void SetUpTestSuite() { trained = new TrainedModel(); }
  static void TearDownTestSuite() { delete trained; }
  static TrainedModel* trained;

  Outcome import(std::vector<std::string> options = {}, const std::string& out = "out") {
    options.insert(options.begin(), {"import", source, folder / out});
    return run_cohort(options);
  }
  // A copy of the model that may be changed.
  void copy_source() {
    source = folder / "copy";
    fs::copy(trained->model(), source, fs::copy_options::recursive);
  }
  std::vector<std::string> files(const std::string& dir) {
    std::vector<std::string> names;
    for (const fs::directory_entry& entry : fs::directory_iterator(dir)) names.push_back(entry.path().filename().string());
    std::ranges::sort(names);
    return names;
  }
  TemporaryFolder folder;
  std::string source = trained->model();
};
TrainedModel* ImportFolder::trained = nullptr;

TEST_F(ImportFolder, WhatCohortWroteComesOutByteForByte) {
  const Outcome outcome = import();
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(files(source), files(folder / "out"));
  for (const std::string& name : files(source)) EXPECT_EQ(read_all(source + "/" + name), read_all(folder / "out/" + name)) << name;
}

TEST_F(ImportFolder, ShardsAreTheSameModel) {
  const Outcome outcome = import({"--max-shard-size", "10000"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(fs::exists(folder / "out/model.safetensors.index.json"));
  EXPECT_FALSE(fs::exists(folder / "out/model.safetensors"));
  const std::string ids = "{\"ids\": [1, 2, 3, 250]}\n";
  EXPECT_EQ(run_cohort({"logprobs", source}, ids).out, run_cohort({"logprobs", folder / "out"}, ids).out);
  source = folder / "out";  // and back again
  ASSERT_EQ(import({}, "back").exit_code, 0);
  EXPECT_EQ(read_all(folder / "back/model.safetensors"), read_all(trained->model() + "/model.safetensors"));
}

TEST_F(ImportFolder, AnotherDTypeIsRoundedOnceAndNamed) {
  for (const char* dtype : {"bfloat16", "float16", "float32"}) {
    const Outcome outcome = import({"--dtype", dtype}, dtype);
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    const Json config = parse_json(read_all((folder / dtype) + "/config.json"), "config.json");
    EXPECT_EQ(config["torch_dtype"], dtype);
  }
  const SafetensorsFolder brain = SafetensorsFolder::open(folder / "bfloat16"), half = SafetensorsFolder::open(folder / "float16");
  EXPECT_EQ(brain.tensors().at("model.norm.weight").dtype, "BF16");
  EXPECT_EQ(half.tensors().at("model.norm.weight").dtype, "F16");
  EXPECT_EQ(read_all(folder / "float32/model.safetensors"), read_all(source + "/model.safetensors"));
}

// An untrained model never gets a reward, so that no weight changes: what a run leaves is what it was given, in more digits
// than it computed with.
TEST_F(ImportFolder, ARunThatChangesNothingGivesBackTheSameBytes) {
  std::string config = tiny_config(folder / "runs");
  const size_t init = config.find("  init:"), end = config.find('\n', init);
  config.replace(init, end - init, "  path: " + source);
  config.replace(config.find("dtype: float32"), 14, "dtype: bfloat16");
  config.replace(config.find("{name: last_number}"), 19, "{name: last_number, weight: 0}");
  const Outcome outcome = run_cohort({"train", write_all(folder / "same.yaml", config), "--quiet"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  for (const std::string& name : files(source))
    EXPECT_EQ(read_all(source + "/" + name), read_all(folder / "runs/tiny/final/" + name)) << name;
}

TEST_F(ImportFolder, SaysWhatItLeavesOutAndWhatIsOdd) {
  copy_source();
  write_all(source + "/README.md", "a model");
  ASSERT_EQ(import({"--max-shard-size", "10000"}, "shards").exit_code, 0);
  Outcome outcome = import();
  EXPECT_NE(outcome.err.find("left out: README.md"), std::string::npos) << outcome.err;
  source = folder / "shards";
  Json index = parse_json(read_all(source + "/model.safetensors.index.json"), "index");
  index["metadata"]["total_size"] = 1;
  write_all(source + "/model.safetensors.index.json", index.dump());
  outcome = import({}, "again");
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_NE(outcome.err.find("warning: "), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("metadata.total_size is 1"), std::string::npos) << outcome.err;
}

TEST_F(ImportFolder, NothingIsLeftOfAnImportThatIsRefused) {
  copy_source();
  fs::resize_file(source + "/model.safetensors", fs::file_size(source + "/model.safetensors") - 4);
  EXPECT_REFUSED(import(), 3, "truncated?");
  write_all(source + "/config.json", "{}");
  EXPECT_REFUSED(import(), 3, "model_type");
  EXPECT_EQ(files(folder.str()), std::vector<std::string>{"copy"});
}

TEST_F(ImportFolder, RefusesToWriteOverAnything) {
  fs::create_directories(folder / "out");
  write_all(folder / "out/precious", "x");
  EXPECT_REFUSED(import(), 3, "out: is not empty");
  EXPECT_EQ(files(folder / "out"), std::vector<std::string>{"precious"});
  write_all(folder / "file", "x");
  EXPECT_REFUSED(import({}, "file"), 3, "file: exists and is no folder");
}

TEST_F(ImportFolder, OptionsThatAGgufDoesNotHave) {
  source = write_all(folder / "x.gguf", "GGUF");
  EXPECT_REFUSED(import({"--dtype", "float32"}), 2, "--dtype float32", "bfloat16");
  EXPECT_REFUSED(import({"--max-shard-size", "1000"}), 2, "--max-shard-size");
  EXPECT_EQ(import({"--dtype", "int8"}).exit_code, 2);
}

}  // namespace
}  // namespace cohort
