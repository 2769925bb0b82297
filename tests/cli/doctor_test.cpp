// cohort doctor, and runs whose reward executes programs.
#include <gtest/gtest.h>

#include "tests/cli/run_cohort.h"

namespace cohort {
namespace {

TEST(Doctor, TellsOfTheBuildAndTheMachine) {
  const Outcome outcome = run_cohort({"doctor"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  for (const char* words : {"cohort ", "kernels ", "cores ", "memory ", "gpu       not in this build", "device    cpu\n", "launcher  none\n", "MPI       ", "PMIx      ", "network   ",
                            "RDMA      ", "memlock   ", "files     ", "/dev/shm  ", "copies    ", "clock     ", "sandbox   not tested; see --sandbox"})
    EXPECT_NE(outcome.out.find(words), std::string::npos) << words << " in " << outcome.out;
}

TEST(Doctor, AGpuCheckWithoutAGpuIsRefusedInOneLine) {
  const Outcome outcome = run_program("bash", {SOURCE_DIR "/scripts/gpu_check.sh", "--build", std::filesystem::path(COHORT_BINARY).parent_path().string()});
  EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
  EXPECT_EQ(outcome.out + outcome.err, "gpu_check: no GPU that can be used: not in this build; see cmake -DCOHORT_CUDA=ON\n");
}

TEST(Doctor, TellsOfEachHostOnceUnderMpirun) {
  std::vector<std::string> args = {"-n", "3", "--oversubscribe", COHORT_BINARY, "doctor"};
  if (geteuid() == 0) args.insert(args.begin(), "--allow-run-as-root");  // Open MPI refuses root otherwise
  const Outcome outcome = run_program("mpirun", args);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::string line = "launcher  mpirun: rank 0 of 3, all on this host\n";
  EXPECT_NE(outcome.out.find(line), std::string::npos) << outcome.out;
  EXPECT_EQ(outcome.out.find("launcher"), outcome.out.rfind("launcher")) << outcome.out;
}

TEST(Doctor, TheSandboxesTableSaysWhatTheExitCodeSays) {
  const Outcome outcome = run_cohort({"doctor", "--sandbox"});
  const bool missing = outcome.out.find("MISSING") != std::string::npos;
  EXPECT_EQ(outcome.exit_code, missing ? 2 : 0) << outcome.err;
  EXPECT_EQ(outcome.out.find("does not work: the reward 'code' is refused") != std::string::npos, missing)
      << outcome.out;
  for (const char* words :
       {"user namespace", "pid namespace", "network namespace", "mount namespace", "seccomp filters", "Landlock"})
    EXPECT_NE(outcome.out.find(words), std::string::npos) << words << " in " << outcome.out;
}

std::string code_config(const TemporaryFolder& folder, const std::string& reward) {
  std::string rows;
  for (int i = 0; i < 8; ++i)
    rows += R"({"prompt": "write", "tests": [{"input": "", "output": "x"}]})"
            "\n";
  std::string config = jsonl_config(folder / "runs", write_all(folder / "rows.jsonl", rows));
  const std::string standard = "{name: last_number}";
  config.replace(config.find(standard), standard.size(), reward);
  return write_all(folder / "code.yaml", config);
}

TEST(CodeRuns, AreRefusedUntilTheConfigEnablesThem) {
  const TemporaryFolder folder;
  const std::string config = code_config(folder, "{name: code}");
  EXPECT_REFUSED(run_cohort({"train", config}), 2, "code.yaml:", "'sandbox: local'", "cohort doctor --sandbox");
  EXPECT_FALSE(std::filesystem::exists(folder / "runs/tiny"));
}

TEST(CodeRuns, TrainOnSeveralRanks) {
  if (run_cohort({"doctor", "--sandbox"}).exit_code != 0)
    GTEST_SKIP() << "this machine cannot run the sandbox: cohort doctor --sandbox";
  const TemporaryFolder folder;
  // A language in which the noise of an untrained model is a program: the shell.
  const std::string config = code_config(folder,
                                         "{name: code, sandbox: local, code: completion, language: shell, languages: "
                                         "{shell: {source: a.sh, run: [/bin/sh, /box/a.sh]}}}");
  for (const char* ranks : {"1", "2"}) {
    std::vector<std::string> args = {"-n",    ranks,  "--oversubscribe", COHORT_BINARY,
                                     "train", config, "--quiet",         "run.name=ranks" + std::string(ranks)};
    if (geteuid() == 0) args.insert(args.begin(), "--allow-run-as-root");  // Open MPI refuses root otherwise
    const Outcome outcome = run_program("mpirun", args);
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    const std::string metrics = read_all(folder / ("runs/ranks" + std::string(ranks) + "/metrics.jsonl"));
    EXPECT_NE(metrics.find("\"rewards/code/none\":0"), std::string::npos) << metrics;
    EXPECT_NE(metrics.find("\"rewards/code/mean\":"), std::string::npos) << metrics;
  }
}

}  // namespace
}  // namespace cohort
