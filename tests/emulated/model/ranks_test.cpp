// The program on several ranks, a GPU and NCCL for each: what it computes, and how it fails.
#include <unistd.h>

#include <chrono>
#include <csignal>

#include "tests/cli/processes.h"
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
    const EmulatedCuda order("streams=random:3,implicit_waits=0");
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

// As a machine does that loses its power: mpirun, the supervisors and all ranks, with nobody left to tidy up. Two such ends, and
// other numbers of ranks from there on.
TEST(GpuRanks, ChangeNoBitAcrossTheEndOfAllOfThem) {
  const TinyProgram tiny;
  const std::vector<std::string> more = {"trainer.logical_ranks=4", "trainer.save_steps=1"};
  ASSERT_EQ(tiny.train("one", more).exit_code, 0);
  const EmulatedCuda order("streams=random:11");
  const auto killed_behind = [&](int ranks, const std::string& words) {
    std::vector<pid_t> family;
    const Outcome outcome = tiny.train_on_ranks(ranks, "k", more, [&](pid_t child, const std::string& err) {
      if (err.find(words) == std::string::npos) return false;
      family = family_of(child);
      for (const pid_t process : family) kill(process, SIGKILL);
      return true;
    });
    EXPECT_EQ(outcome.exit_code, -1) << outcome.err;
    EXPECT_GT(family.size(), static_cast<size_t>(2 * ranks)) << "mpirun, and of each rank a supervisor";
    for (const pid_t process : family)
      while (!is_gone(process)) usleep(1000);
  };
  killed_behind(2, "step 1/3");
  killed_behind(3, "step 2/3");
  EXPECT_FALSE(std::filesystem::exists(tiny.run("k") + "/final"));
  const Outcome outcome = tiny.train_on_ranks(2, "k", more);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(metrics_of(tiny.run("k")), metrics_of(tiny.run("one")));
  EXPECT_EQ(tiny.model("k"), tiny.model("one"));
}

// Of the program on two ranks: each fault ends it with its code and soon, and one line of "cohort: error", of that rank or, with -1,
// of any, holds all words.
class RanksThatFail {
 public:
  void fails(const std::string& settings, int code, int rank, const std::vector<std::string>& words, const std::string& more = "log.completions_steps=1") const {
    const EmulatedCuda fault(settings);
    const auto start = std::chrono::steady_clock::now();
    const Outcome outcome = tiny_.train_on_ranks(2, "f", {"run.resume=never", "trainer.warm_start.steps=0", "algorithm.beta=0.05",
                                                          "trainer.eval_before=false", "comm.timeout_s=3", more});
    EXPECT_LT(std::chrono::steady_clock::now() - start, kSoon) << settings << ": " << outcome.err;
    EXPECT_EQ(outcome.exit_code, code) << settings << ": " << outcome.err;
    const std::string begin = "cohort: error: rank " + (rank < 0 ? "" : std::to_string(rank) + " on " + host_name() + ": ");
    std::istringstream lines(outcome.err);
    bool found = false;
    for (std::string line; std::getline(lines, line);)
      found |= line.starts_with(begin) && std::ranges::all_of(words, [&](const std::string& word) { return line.find(word) != std::string::npos; });
    EXPECT_TRUE(found) << settings << ", " << testing::PrintToString(words) << ":\n" << outcome.err;
  }

 private:
  static constexpr std::chrono::seconds kSoon{40};  // far above the deadline and a step, far below what runs without a deadline take
  TinyProgram tiny_;
};

TEST(GpuRanks, WhatFailsBetweenGpusEndsTheRun) {
  const RanksThatFail ranks;
  ranks.fails("nccl_hang=1,rank=0", 4, 0, {"exchange(gradients) waited 3", "on GPU 0; every rank has queued it", "(section update of step 1)"});
  ranks.fails("nccl_hang=4,rank=1", 4, 1, {"all_gather_spans(weights) waited 3", "on GPU 1; every rank", "(section update of step 2)"});
  ranks.fails("nccl_error=3,rank=1", 4, 1, {"exchange(gradients) failed on GPU 1: NCCL says 'remote process exited", "(section update of step 2)"});
  ranks.fails("nccl_init_hang=1", 4, 0, {"the start of NCCL waited 3", "comm.interface", "(section load of step 0)"});
}

// A rank's own gradients are looked at again, also where no parameter lies, and are found to be good.
TEST(GpuRanks, GradientsSpoiledOnTheirWayAreNotBlamedOnWhoReceivesThem) {
  const RanksThatFail ranks;
  const std::string host = host_name();
  ranks.fails("nccl_spoil=1,rank=1", 5, -1,
              {"exchange(gradients): every rank's own gradients are finite, but not their sum in the span of rank 1 on " + host +
                   ", and a second time it is: what came from rank 0 on " + host + " was spoiled on its way",
               "(section update of step 1)"},
              "trainer.logical_ranks=8");  // so that there is something behind the last parameter
}

// The emulated libraries have orders of their own: cuBLASLt offers a split of the contraction first, NCCL adds up by ranks.
TEST(GpuRanks, FastNumericsLeaveSumsToTheLibraries) {
  const TinyProgram tiny;
  const auto more = [](const std::string& numerics) {
    return std::vector<std::string>{"run.numerics=" + numerics, "trainer.logical_ranks=4", "model.dtype=float32", "trainer.warm_start.steps=3",
                                    "trainer.max_steps=1", "algorithm.beta=0.05"};
  };
  ASSERT_EQ(tiny.train("strict", more("strict")).exit_code, 0);
  const Json wanted = metrics_of(tiny.run("strict")).at(0);
  for (const int ranks : {1, 2, 3}) {
    const std::string name = "fast" + std::to_string(ranks);
    const Outcome outcome = tiny.train_on_ranks(ranks, name, more("fast"));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_NE(tiny.model(name), tiny.model("strict"));
    const Json got = metrics_of(tiny.run(name)).at(0);
    for (const char* metric : {"loss", "grad_norm", "entropy", "reward"})
      EXPECT_NEAR(got.value(metric, -1.0), wanted.value(metric, -2.0), 1e-3 * (1e-3 + std::abs(wanted.value(metric, -2.0)))) << metric << " on " << ranks;
  }
  const RanksThatFail ranks;
  ranks.fails("nccl_error=1,rank=1", 4, 1, {"reduce_spans(gradients) failed on GPU 1", "(section update of step 1)"}, "run.numerics=fast");
}

TEST(GpuRanks, WhatFailsOnOneGpuEndsTheRun) {
  const RanksThatFail ranks;
  ranks.fails("fail_launch=1,rank=1", 1, 1, {"cudaErrorLaunchFailure (unspecified launch failure)", "(section rollout of step 1)"});
  ranks.fails("fail_launch=300,rank=1", 1, 1, {"cudaErrorLaunchFailure (unspecified launch failure)", " of step "});
  ranks.fails("memory=34000000,rank=1", 6, 1, {"cudaErrorMemoryAllocation (out of memory)", "look at `cohort plan` (section load of step 0)"});
  ranks.fails("fail_malloc=9,rank=1", 6, 1, {"memory", "`cohort plan`", " of step "});
  const std::string of_rank_1 = "rank 1 on " + host_name() + ": ";
  ranks.fails("old_driver=1,rank=1", 2, -1, {of_rank_1 + "cannot find a GPU: cudaErrorInsufficientDriver", "update the driver"});
  ranks.fails("devices=0,rank=1", 2, -1, {of_rank_1 + "cannot find a GPU: cudaErrorNoDevice", "look at nvidia-smi and CUDA_VISIBLE_DEVICES"});
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
