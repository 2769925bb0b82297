// The program on several ranks, a GPU and NCCL for each: what it computes, and how it fails.
#include <unistd.h>

#include "tests/emulated/model/tiny_program.h"

namespace cohort {
namespace {

// Their gradients and weights go from GPU to GPU by NCCL.
TEST(GpuRanks, ChangeNoBitAlsoAcrossAnEndInTheMiddle) {
  const TinyProgram tiny;
  const std::vector<std::string> more = {"trainer.logical_ranks=4", "trainer.save_steps=1"};
  ASSERT_EQ(tiny.train("one", more).exit_code, 0);
  const auto expect_equal = [&](const std::string& name) {
    EXPECT_EQ(metrics_of(tiny.run(name)), metrics_of(tiny.run("one"))) << name;
    EXPECT_EQ(tiny.model(name), tiny.model("one")) << name;
  };
  {
    const EmulatedCuda order("streams=random:3");
    const Outcome outcome = tiny.train_on_ranks(2, "two", more);
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    expect_equal("two");
  }
  {  // 2 collectives a step, of the warm start as well: in the second step the weights do not arrive
    const EmulatedCuda fault("nccl_error=84,rank=2");
    const Outcome outcome = tiny.train_on_ranks(3, "three", more);
    EXPECT_EQ(outcome.exit_code, 4) << outcome.err;
    EXPECT_NE(outcome.err.find("all_gather_spans(weights) failed on GPU 2"), std::string::npos) << outcome.err;
    EXPECT_NE(outcome.err.find("(section update of step 2)"), std::string::npos) << outcome.err;
  }
  ASSERT_LT(metrics_of(tiny.run("three")).size(), 3u);
  const Outcome outcome = tiny.train_on_ranks(3, "three", more);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  expect_equal("three");
}

TEST(GpuRanks, WhatFailsBetweenGpusEndsTheRun) {
  const TinyProgram tiny;
  char host[256] = {};
  gethostname(host, sizeof host - 1);
  // One line of "cohort: error" of that rank holds all words.
  const auto fails = [&](const std::string& settings, int rank, const std::vector<std::string>& words) {
    const EmulatedCuda fault(settings);
    const Outcome outcome = tiny.train_on_ranks(2, "f", {"run.resume=never", "trainer.warm_start.steps=0", "algorithm.beta=0.05",
                                                         "trainer.eval_before=false", "comm.timeout_s=3"});
    EXPECT_EQ(outcome.exit_code, 4) << settings << ": " << outcome.err;
    const std::string begin = "cohort: error: rank " + std::to_string(rank) + " on " + host + ": ";
    std::istringstream lines(outcome.err);
    bool found = false;
    for (std::string line; std::getline(lines, line);)
      found |= line.starts_with(begin) && std::ranges::all_of(words, [&](const std::string& word) { return line.find(word) != std::string::npos; });
    EXPECT_TRUE(found) << settings << ", " << testing::PrintToString(words) << ":\n" << outcome.err;
  };
  fails("nccl_hang=1,rank=0", 0, {"exchange(gradients) waited 3", "on GPU 0; every rank has queued it", "(section update of step 1)"});
  fails("nccl_hang=4,rank=1", 1, {"all_gather_spans(weights) waited 3", "on GPU 1; every rank", "(section update of step 2)"});
  fails("nccl_error=3,rank=1", 1, {"exchange(gradients) failed on GPU 1: NCCL says 'remote process exited", "(section update of step 2)"});
  fails("nccl_init_hang=1", 0, {"the start of NCCL waited 3", "comm.interface", "(section load of step 0)"});
}

TEST(GpuRanks, ARankWithoutAGpuOfItsOwnIsRefused) {
  const TinyProgram tiny;
  const auto refused = [&](int ranks, const std::string& settings, const std::string& words) {
    const EmulatedCuda gpus(settings);
    const Outcome outcome = tiny.train_on_ranks(ranks, "r", {"trainer.logical_ranks=4"});
    EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
    EXPECT_NE(outcome.err.find(words), std::string::npos) << outcome.err;
  };
  refused(2, "devices=1", "would share the GPU at 0000:01:00.0");
  refused(3, "devices=2", "the host shows 2 GPUs: start at most 2 ranks a host");
}

// As srun --gpus-per-task=1 does it: rank 1 is shown one GPU, the second of the host.
TEST(GpuRanks, ARankUsesTheOneGpuThatItIsShown) {
  const TinyProgram tiny;
  const EmulatedCuda second("devices=1,first_device=1,rank=1");
  const Outcome outcome = tiny.train_on_ranks(2, "r", {"trainer.max_steps=1", "trainer.warm_start.steps=1"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
}

}  // namespace
}  // namespace cohort
