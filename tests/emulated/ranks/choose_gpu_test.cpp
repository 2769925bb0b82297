// Which GPU a rank gets, who gets none, and what cohort doctor says.
#include "tests/core/expect_error.h"
#include "tests/emulated/ranks/gpu_threads.h"

namespace cohort {
namespace {

class ChooseGpu : public GpuThreads {
 protected:
  // Every rank is refused, in the same words.
  static void expect_refused(int ranks, const std::string& words) {
    run_on_threads(ranks, [&](Comm& host) { EXPECT_ERROR(choose_gpu(host), kUsage, words); });
  }
};

TEST_F(ChooseGpu, TheLocalRanksNumber) {
  settings("devices=3");
  run_on_threads(3, [](Comm& host) {
    EXPECT_EQ(choose_gpu(host), host.local_rank());
    int device = -1;
    EXPECT_EQ(cudaGetDevice(&device), cudaSuccess);
    EXPECT_EQ(device, host.local_rank());
  });
}

TEST_F(ChooseGpu, MoreRanksThanGpusAreRefused) {
  settings("devices=2");
  expect_refused(3, "the host shows 2 GPUs: start at most 2 ranks a host (mpirun --map-by ppr:2:node");
}

TEST_F(ChooseGpu, TwoRanksThatAreShownTheSameGpuAreRefused) {
  settings("devices=1");
  expect_refused(2, "ranks 0 and 1 on threads would share the GPU at 0000:01:00.0");
}

// As srun --gpus-per-task=1 does it: each rank sees one GPU, on hosts of their own these are others.
TEST_F(ChooseGpu, OneGpuOnEachHostIsEnough) {
  settings("devices=1");
  class OnItsOwnHost final : public ThreadComm {
   public:
    using ThreadComm::ThreadComm;
    std::string host() const override { return "host" + std::to_string(rank()); }
    int local_rank() const override { return 0; }
  };
  ThreadWorld world(2);
  std::vector<std::thread> threads;
  for (int r = 0; r < 2; ++r) {
    threads.emplace_back([&world, r]() noexcept {
      OnItsOwnHost host(world, r);
      EXPECT_EQ(choose_gpu(host), 0);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(ChooseGpu, NoGpuAndAnOldDriverAreRefused) {
  settings("devices=0");
  expect_refused(2, "cannot find a GPU: cudaErrorNoDevice");
  settings("old_driver=1");
  expect_refused(1, "update the driver");
}

std::string text_of(const GpuReport& report) {
  std::string text;
  for (const GpuReport::Line& line : report.lines) text += line.name + ": " + line.text + "\n";
  return text;
}

TEST_F(ChooseGpu, TheReportNamesVersionsAndDevices) {
  settings("devices=2");
  const GpuReport report = examine_gpus();
  EXPECT_TRUE(report.usable);
  const std::string text = text_of(report);
  for (const char* words : {"cuda: runtime 13.", ", driver for up to 13.", "nccl: 2.", "gpu 0: Emulated GPU, sm_90, 4 multiprocessors, ",
                            "at 0000:01:00.0", "gpu 1: ", "at 0000:02:00.0"})
    EXPECT_NE(text.find(words), std::string::npos) << words << " in " << text;
}

TEST_F(ChooseGpu, TheReportSaysWhyThereIsNone) {
  settings("devices=0");
  GpuReport report = examine_gpus();
  EXPECT_FALSE(report.usable);
  EXPECT_NE(text_of(report).find("gpu: cannot find a GPU: cudaErrorNoDevice"), std::string::npos) << text_of(report);
  settings("old_driver=1");
  report = examine_gpus();
  EXPECT_FALSE(report.usable);
  EXPECT_NE(text_of(report).find("driver for up to 11.0"), std::string::npos) << text_of(report);
  EXPECT_NE(text_of(report).find("update the driver"), std::string::npos) << text_of(report);
}

}  // namespace
}  // namespace cohort
