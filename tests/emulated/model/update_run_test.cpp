// Sampling, update and checkpoints of a policy on a GPU.
#include <emulator/settings.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "model/device.h"
#include "tests/core/expect_error.h"
#include "tests/emulated/model/gpu_model.h"
#include "tests/trainer/tiny_run.h"
#include "trainer/checkpoint.h"
#include "trainer/checkpoint_layout.h"
#include "trainer/shard_writer.h"

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

// The host may have less room than the GPU's state takes: then it is written a piece at a time, before the run goes on.
TEST_F(GpuRun, ShardsAreCopiedToTheHostOrWrittenAtOnce) {
  namespace fs = std::filesystem;
  TinyRun run(DType::bf16, 1, gpu_);
  run.update(run.sample(1, kRewards), 1);
  const auto shard = [&] {
    std::string bytes;
    for (const Optimizer::Part part : kShardParts) {
      std::vector<float> values(static_cast<size_t>(run.optimizer->shard_size()));
      run.optimizer->read_state(2, part, 0, values);
      bytes.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
    }
    return bytes;
  };
  std::string name = (fs::temp_directory_path() / "cohort-shards-XXXXXX").string();
  ASSERT_NE(mkdtemp(name.data()), nullptr);
  const int64_t all = 3 * 4 * run.policy->table.size;  // bytes
  for (const std::optional<int64_t> free : {std::optional<int64_t>(2 * all), {}, std::optional<int64_t>(2 * all - 2)}) {
    const std::string expected = shard();
    ShardWriter writer(name, *run.optimizer, free);
    if (free == 2 * all - 2) {
      EXPECT_TRUE(writer.done());
    }
    writer.release(run.owner.exec(), free);
    run.update(run.sample(2, kRewards), 2);  // what the shards hold is the state of before
    writer.finish();
    std::ifstream in(shard_file(name, 2), std::ios::binary);
    const std::string written{std::istreambuf_iterator<char>(in), {}};
    EXPECT_TRUE(written == expected) << (free ? *free : -1);
  }
  ShardWriter refused(fs::path(name) / "absent", *run.optimizer, 0);
  EXPECT_ERROR(refused.finish(), kInput, "shard_00000.bin: cannot be written");
  fs::remove_all(name);
}

// Whose gradient it is, and which parameter's, is told as on the CPU.
TEST_F(GpuRun, AGradientThatIsNotFiniteIsNamed) {
  const auto told = [&](std::shared_ptr<Gpu> gpu) {
    TinyRun run(DType::f32, 1, std::move(gpu));
    FlatWeights weights(*run.policy);  // embeddings so small that gradients grow on their way to them, and logits of the usual size
    const ParamTable& table = run.policy->table;
    for (int64_t i = 0; i < table.layers.front().span.begin; ++i) weights.set(i, 1e-4f * weights.get(i));
    for (int64_t i = 0; i < 48; ++i) weights.set(table.final_norm + i, 1e4f * weights.get(table.final_norm + i));
    weights.put(*run.policy, run.owner.exec());
    std::vector<Group> groups = run.sample(1, kRewards);
    groups[1].advantages[2] = 3e38f;
    const std::vector<std::byte> before = run.weights();
    std::string message;
    try {
      run.update(groups, 1);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kNonFinite) << error.what();
      message = error.what();
    }
    EXPECT_EQ(run.weights(), before);
    return message;
  };
  const std::string on_gpu = told(gpu_);
  EXPECT_NE(on_gpu.find("the gradient of model."), std::string::npos) << on_gpu;
  EXPECT_EQ(on_gpu, told(nullptr));
}

}  // namespace
}  // namespace cohort
