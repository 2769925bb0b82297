// scripts/gpu_check.sh from end to end over the emulator: what it writes, and what it says of what fails.
#include <filesystem>

#include "core/files.h"
#include "tests/cli/run_cohort.h"
#include "tests/emulated/model/tiny_program.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

class GpuCheck : public testing::Test {
 protected:
  GpuCheck() {
    const fs::path build = folder_ / "build";
    fs::create_directories(build);
    fs::create_symlink(COHORT_BINARY, build / "cohort");
    fs::create_symlink(GPU_KERNELS, build / "gpu_kernels");
    fs::create_symlink(RANDOM_MODEL, build / "random_model");
  }
  Outcome check(std::vector<std::string> args) {
    args.insert(args.begin(), {SOURCE_DIR "/scripts/gpu_check.sh", "--build", folder_ / "build", "--out", folder_ / "out", "--name", "gpu", "--tiny"});
    return run_program("bash", args, "", {});
  }
  Json written() const { return parse_json(read_file(folder_ / "out/gpu.json"), "gpu.json"); }
  // NAME: result
  static std::map<std::string, std::string> results(const Json& json) {
    std::map<std::string, std::string> map;
    for (const Json& row : json.at("checks")) map[row.at("name")] = row.at("result");
    return map;
  }

  TemporaryFolder folder_;
};

TEST_F(GpuCheck, ProvesAndMeasures) {
  const Outcome outcome = check({"--ranks", "2", "--seconds", "280"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const Json json = written();
  const auto found = results(json);
  for (const char* name : {"ops against the emulator", "log-probs of sampler and trainer", "activations reused and recomputed", "same run twice", "2 ranks"})
    EXPECT_EQ(found.contains(name) ? found.at(name) : "", "pass") << name;
  EXPECT_TRUE(found.contains("kill and resume") && found.at("kill and resume") != "fail") << outcome.err;
  EXPECT_EQ(json.at("left_out").size(), 0u);
  EXPECT_GT(json.at("kernels").size(), 40u);
  EXPECT_EQ(json.at("kernels")[0].at("device"), "Emulated GPU");
  const Json& measured = json.at("measured");
  for (const char* name : {"tiny: rollout tokens/s (4 x 8)", "tiny: update tokens/s", "tiny on 2 GPUs: update tokens/s", "tiny: update, time of strict over fast"})
    EXPECT_GT(std::stod(measured.value(name, "0")), 0) << name;
  size_t sums = 0;
  for (const auto& [name, value] : measured.items()) sums += name.find(": kernels, us") != std::string::npos ? 1 : 0;
  EXPECT_EQ(sums, 3u);
  const std::string page = read_file(folder_ / "out/gpu.md");
  for (const char* text : {"| ops against the emulator | pass |", "## Kernels", "tiny, update pass:", "**below**"}) EXPECT_NE(page.find(text), std::string::npos) << text;
}

TEST_F(GpuCheck, AKernelThatFailsIsAFailure) {
  const EmulatedCuda settings("fail_launch=60");  // of each program
  const Outcome outcome = check({"--ranks", "1"});
  EXPECT_EQ(outcome.exit_code, 1) << outcome.err;
  const auto found = results(written());
  EXPECT_EQ(found.at("ops against the emulator"), "fail");
  EXPECT_EQ(found.at("a GRPO run"), "fail");
  EXPECT_EQ(found.at("kernel speeds"), "fail");
  EXPECT_EQ(found.at("tiny"), "fail");
  EXPECT_NE(outcome.err.find("cudaErrorLaunchFailure"), std::string::npos) << outcome.err;
}

TEST_F(GpuCheck, ListsWhatThereIsNoTimeFor) {
  const Outcome outcome = check({"--ranks", "1", "--seconds", "0"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  const Json json = written();
  std::vector<std::string> names;
  for (const Json& row : json.at("left_out")) names.push_back(row.at("name"));
  EXPECT_EQ(names, (std::vector<std::string>{"ops against the emulator", "a GRPO run", "kernel speeds", "tiny"}));
  EXPECT_NE(read_file(folder_ / "out/gpu.md").find("| left out | why |"), std::string::npos);
}

TEST_F(GpuCheck, SaysWhichArgumentIsWrong) {
  for (const auto& [args, text] : {std::pair<std::vector<std::string>, const char*>{{"--fast"}, "'--fast' is unknown; allowed: --build"},
                                   {{"--seconds", "ten"}, "'ten' is no whole number"},
                                   {{"--ranks"}, "--ranks wants a value"},
                                   {{"--model", folder_ / "none"}, "there is no"}}) {
    const Outcome outcome = check(args);
    EXPECT_EQ(outcome.exit_code, 2) << text;
    EXPECT_NE(outcome.err.find(text), std::string::npos) << outcome.err;
  }
}

// random_model writes what the program reads.
TEST(RandomModel, IsAFolderOfTheShape) {
  const TemporaryFolder folder;
  ASSERT_EQ(run_program(RANDOM_MODEL, {"tiny", folder / "tiny"}, "", {}).exit_code, 0);
  const Json config = parse_json(read_file(folder / "tiny/config.json"), "config.json");
  EXPECT_EQ(config.at("model_type"), "qwen2");
  EXPECT_EQ(config.at("vocab_size"), 4136);
  const Outcome outcome = run_cohort({"logprobs", folder / "tiny"}, "{\"text\": \"abc\"}\n");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(run_program(RANDOM_MODEL, {"qwen9", folder / "x"}, "", {}).exit_code, 2);
  EXPECT_EQ(run_program(RANDOM_MODEL, {"tiny"}, "", {}).exit_code, 2);
}

}  // namespace
}  // namespace cohort
