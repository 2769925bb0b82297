// Ranks under mpirun whose GPUs, drivers or neighbours fail: message, exit code and time of each. Links, and ranks without a
// GPU of their own: model/ranks_test.cpp, of whole runs.
#include <gtest/gtest.h>

#include <chrono>

#include "tests/cli/run_cohort.h"

namespace cohort {
namespace {

struct Ended {
  int exit_code;
  double seconds;
  std::string out, err;
};

// `settings` are EMULATED_CUDA's.
Ended run_ranks(int ranks, const std::string& settings, const std::string& scenario = "sums", int deadline = 100) {
  std::vector<std::string> args = {"-n",     std::to_string(ranks), "--oversubscribe", "--bind-to",
                                   "none",   "-x",                  "EMULATED_CUDA=" + settings,
                                   GPU_RANKS, scenario,             std::to_string(deadline)};
  if (geteuid() == 0) args.insert(args.begin(), "--allow-run-as-root");
  const auto start = std::chrono::steady_clock::now();
  const Outcome outcome = run_program(MPIRUN, args);
  return {outcome.exit_code, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), outcome.out,
          outcome.err};
}

std::string host() {
  char name[256] = {};
  gethostname(name, sizeof name - 1);
  return name;
}

constexpr int kDeadline = 3;    // s: far above what a step takes here
constexpr double kSoon = 30;    // s: far below what ranks without a deadline would take, and enough for a busy machine

// A fault ends the job with the code, soon; each of `words` stands in one line of "cohort: error".
void expect_end(const Ended& ended, int exit_code, const std::vector<std::string>& words) {
  EXPECT_EQ(ended.exit_code, exit_code) << ended.err;
  EXPECT_LT(ended.seconds, kSoon) << ended.err;
  std::istringstream lines(ended.err);
  std::string found;
  for (std::string line; std::getline(lines, line) && found.empty();) {
    bool all = line.find("cohort: error: ") != std::string::npos;
    for (const std::string& word : words) all = all && line.find(word) != std::string::npos;
    if (all) found = line;
  }
  EXPECT_FALSE(found.empty()) << "no line holds " << testing::PrintToString(words) << ":\n" << ended.err;
}

TEST(GpuRanks, HaveTheCpusBits) {
  for (int ranks : {1, 2, 3}) {
    const Ended ended = run_ranks(ranks, "streams=random:" + std::to_string(ranks));
    EXPECT_EQ(ended.exit_code, 0) << ended.err;
    for (int r = 0; r < ranks; ++r) {
      const std::string rank = std::to_string(r);
      EXPECT_NE(ended.out.find("rank " + rank + " of " + std::to_string(ranks) + " on GPU " + rank + ": 3 steps have the CPU's bits"),
                std::string::npos)
          << ended.out;
    }
  }
}

TEST(GpuFaults, ARankThatDoesNotComeToTheStart) {
  expect_end(run_ranks(3, "devices=3", "apart", kDeadline), 4,
             {"rank 0 on " + host() + ": ", "(the start of NCCL) waited 3", "did not arrive: rank 1 on " + host(), "(section load of step 0)"});
}

TEST(GpuFaults, ARankThatDoesNotCome) {
  expect_end(run_ranks(3, "devices=3", "never", kDeadline), 4,
             {"rank 0 on " + host() + ": barrier(gradients) waited 3", "did not arrive: rank 1 on " + host(),
              "(section update of step 2)"});
}

TEST(GpuFaults, ARankThatIsKilled) {
  expect_end(run_ranks(3, "devices=3", "killed"), 4, {"rank 1 on " + host(), "section update of step 2"});
}

TEST(GpuFaults, AKernelThatFails) {
  expect_end(run_ranks(2, "fail_launch=2,rank=1"), 1,
             {"rank 1 on " + host(), "cudaErrorLaunchFailure (unspecified launch failure)", "(section update of step"});
}

TEST(GpuFaults, OutOfDeviceMemory) {
  expect_end(run_ranks(2, "memory=12000,rank=1"), 6,
             {"rank 1 on " + host(), "cannot allocate 4864 bytes of device memory for gradients of other ranks",
              "cudaErrorMemoryAllocation (out of memory)", "`cohort plan`"});
}

TEST(GpuFaults, AnOldDriver) {
  expect_end(run_ranks(2, "old_driver=1,rank=1"), 2,
             {"rank 0 on " + host() + ": rank 1 on " + host() + ": cannot find a GPU: cudaErrorInsufficientDriver", "update the driver"});
}

TEST(GpuFaults, NoGpu) {
  expect_end(run_ranks(2, "devices=0"), 2,
             {"rank 0 on " + host() + ": cannot find a GPU: cudaErrorNoDevice", "look at nvidia-smi and CUDA_VISIBLE_DEVICES"});
}

}  // namespace
}  // namespace cohort
