// Sampling, update and checkpoints of a policy on a GPU.
#include <emulator/settings.h>

#include "model/device.h"
#include "tests/emulated/model/gpu_model.h"
#include "tests/trainer/tiny_run.h"
#include "trainer/checkpoint.h"

namespace cohort {
namespace {

const std::vector<std::vector<double>> kRewards = {{1, 0, 0, 1}, {0, 1, 0, 0}};

class GpuRun : public GpuModel {};

TEST_F(GpuRun, SampledLogProbsAreTheTrainersBitForBit) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    TinyRun run(dtype, 1, gpu_);
    const std::vector<Group> groups = run.sample(1, kRewards);
    const Metrics metrics = run.update(groups, 1);
    EXPECT_EQ(metrics.get("sampling/sampling_logp_difference/max"), 0.0) << dtype_name(dtype);
    EXPECT_GT(metrics.get("grad_norm"), 0.0);
  }
}

TEST_F(GpuRun, AnUpdateIsTheCpusWithinRoundings) {
  TinyRun on_cpu(DType::f32), on_gpu(DType::f32, 1, gpu_);
  const std::vector<Group> groups = on_cpu.sample(1, kRewards);  // both learn from these
  const Metrics a = on_cpu.update(groups, 1), b = on_gpu.update(groups, 1);
  for (const char* name : {"loss", "grad_norm", "entropy"})
    EXPECT_NEAR(b.get(name), a.get(name), 1e-4 * std::abs(a.get(name)) + 1e-6) << name;
}

TEST_F(GpuRun, ATapeChangesNoBit) {
  std::vector<std::byte> first;
  for (const int64_t slots : {0, 60, 500}) {
    TinyRun run(DType::bf16, 1, gpu_);
    if (slots > 0) run.tape.emplace(run.policy->config, run.policy->dtype, slots, TapeRows::all, Device::cuda);
    for (uint32_t step = 1; step <= 2; ++step) run.update(run.sample(step, kRewards), step);
    if (first.empty()) first = run.weights();
    EXPECT_EQ(run.weights(), first) << slots << " slots";
  }
}

TEST_F(GpuRun, OrdersOfThreadsAndStreamsChangeNoBit) {
  std::vector<std::byte> first;
  for (const char* order : kGpuOrders) {
    emulated::set_settings(emulated::parse_settings(order));
    TinyRun run(DType::bf16, 1, gpu_);
    for (uint32_t step = 1; step <= 2; ++step) run.update(run.sample(step, kRewards), step);
    if (first.empty()) first = run.weights();
    EXPECT_EQ(run.weights(), first) << order;
  }
}

// A checkpoint holds masters and moments, whatever the device: what a GPU wrote the CPU reads, and the other way round.
TEST_F(GpuRun, StateMovesBetweenDevices) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    TinyRun on_gpu(dtype, 1, gpu_), on_cpu(dtype), back(dtype, 1, gpu_);
    on_gpu.update(on_gpu.sample(1, kRewards), 1);
    on_cpu.make_optimizer(), back.make_optimizer();
    const auto carry = [&](TinyRun& from, TinyRun& to) {
      std::vector<float> numbers(static_cast<size_t>(from.optimizer->shard_size()));
      for (int shard = 0; shard < 4; ++shard) {
        for (const Optimizer::Part part : {Optimizer::Part::master, Optimizer::Part::m, Optimizer::Part::v}) {
          from.optimizer->read_state(shard, part, 0, numbers);
          to.optimizer->write_state(shard, part, 0, numbers, to.owner.exec());
        }
      }
      to.optimizer->restore(from.optimizer->steps_done(), to.owner.exec());
    };
    carry(on_gpu, on_cpu);
    EXPECT_EQ(on_cpu.weights(), on_gpu.weights()) << dtype_name(dtype);
    EXPECT_EQ(on_cpu.optimizer->gather_masters(), on_gpu.optimizer->gather_masters());
    carry(on_cpu, back);
    // It goes on as if nothing had been.
    const std::vector<Group> groups = on_gpu.sample(2, kRewards);
    on_gpu.update(groups, 2), back.update(groups, 2);
    EXPECT_EQ(back.weights(), on_gpu.weights()) << dtype_name(dtype);
    EXPECT_EQ(back.optimizer->gather_masters(), on_gpu.optimizer->gather_masters());
  }
}

}  // namespace
}  // namespace cohort
