// What the optimizer asks of the links between GPUs, beside a rank that only answers: what goes to it is there by then, what
// comes from it is waited for.
#include "trainer/optimizer.h"

#include <cuda_runtime.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <optional>

#include "comm/device_comm.h"
#include "core/check.h"
#include "model/gpu_stream.h"
#include "tests/emulated/model/gpu_model.h"
#include "tests/emulated/ranks/gpu_memory.h"

namespace cohort {
namespace {

using cuda::check_status;

// Rank 0 of two, where the other has nothing to tell.
class SilentPeer final : public Comm {
 public:
  int rank() const override { return 0; }
  int size() const override { return 2; }
  int local_rank() const override { return 0; }
  std::string host() const override { return "here"; }
  void barrier(const char*) override {}
  void broadcast(std::span<std::byte>, int, const char*) override {}
  std::vector<std::vector<std::byte>> all_gather(std::span<const std::byte> mine, const char*) override {
    return {{mine.begin(), mine.end()}, std::vector<std::byte>(mine.size())};
  }
  void all_gather_spans(std::span<std::byte>, std::span<const int64_t>, const char*) override {}
  void all_to_all(std::span<const std::span<const std::byte>>, std::span<const std::span<std::byte>>, const char*) override {}
  bool any(bool flag, const char*) override { return flag; }
  void post(int, std::span<const std::byte>) override {}
  std::optional<Message> poll() override { return {}; }
  Message receive(std::span<const int>, const char* name) override { fail(ExitCode::kInternal, "{} is not received", name); }
  void set_deadline(std::chrono::milliseconds) override {}
  [[noreturn]] void abort(int exit_code) override { std::_Exit(exit_code); }
};

// Between its GPU and the peer's, on a stream of its own as NCCL's is: the peer's gradients are zeros, and each byte of its
// weights is kTheirs.
class SilentLinks final : public DeviceComm {
 public:
  static constexpr int kTheirs = 0x3c;

  explicit SilentLinks(size_t weight_bytes) : arrived_(weight_bytes / sizeof(float) + 1) {
    check_status(cudaEventCreateWithFlags(&order_, cudaEventDisableTiming), "create an event");
  }
  ~SilentLinks() override { (void)cudaEventDestroy(order_); }
  // Weights that came to the peer, from the start of all of them.
  std::vector<std::byte> arrived(size_t bytes) const {
    std::vector<std::byte> values(bytes);
    check_status(cudaMemcpy(values.data(), arrived_.data(), bytes, cudaMemcpyDeviceToHost), "copy");
    return values;
  }

  int rank() const override { return 0; }
  int size() const override { return 2; }
  DeviceStream stream() const override { return stream_; }
  void start_after(DeviceStream work) override { order(stream_, work); }
  void finish_before(DeviceStream work) override { order(work, stream_); }
  void exchange(std::span<const Part>, std::span<const Part> receive, const char*) override {
    for (const Part& part : receive) clear(part.data, part.bytes);
  }
  void all_gather_spans(void* data, std::span<const int64_t> offsets, const char*) override {
    const auto mine = static_cast<size_t>(offsets[1]), theirs = static_cast<size_t>(offsets[2]) - mine;
    check_status(cudaMemcpyAsync(arrived_.data(), data, mine, cudaMemcpyDeviceToDevice, stream_), "copy");
    check_status(cudaMemsetAsync(static_cast<std::byte*>(data) + mine, kTheirs, theirs, stream_), "fill");
  }
  void reduce_spans(float*, std::span<const int64_t>, const char* name) override { fail(ExitCode::kInternal, "{} is not reduced", name); }
  void clear(void* data, int64_t bytes) override {
    check_status(cudaMemsetAsync(data, 0, static_cast<size_t>(bytes), stream_), "clear");
  }
  void wait(const char*) override { check_status(cudaStreamSynchronize(stream_), "wait"); }
  void set_deadline(std::chrono::milliseconds) override {}
  std::shared_ptr<void> allocate(size_t bytes, const char*) override {
    void* memory = nullptr;
    check_status(cudaMalloc(&memory, bytes), "allocate device memory");
    return {memory, [](void* data) { (void)cudaFree(data); }};
  }

 private:
  void order(cudaStream_t later, cudaStream_t earlier) {
    check_status(cudaEventRecord(order_, earlier), "record an event");
    check_status(cudaStreamWaitEvent(later, order_, 0), "wait for another stream");
  }
  GpuStream stream_;
  GpuFloats arrived_;
  cudaEvent_t order_ = nullptr;
};

class GpuOptimizer : public GpuModel {
 protected:
  static constexpr int kLogicalRanks = 4;

  GpuOptimizer() : owner(1, {}, gpu_), policy(tiny_policy(DType::bf16, 5, owner.exec())), links(weight_bytes()) {
    config.learning_rate = 1e-2f;
    optimizer.emplace(*policy, config, kLogicalRanks, comm, &links);
  }
  size_t weight_bytes() const { return static_cast<size_t>(policy->table.size) * sizeof(bf16); }
  // With what lies between parameters, which goes from rank to rank as they do.
  std::vector<std::byte> weights() const {
    std::vector<std::byte> bytes(weight_bytes());
    copy(Tensor(bytes.data(), DType::bf16, {policy->table.size}), Tensor(policy->weights.data, DType::bf16, {policy->table.size}, Device::cuda));
    return bytes;
  }
  // The halves of both ranks after the weights have been shared.
  void expect_shared() const {
    const std::vector<std::byte> now = weights();
    const size_t half = now.size() / 2;
    EXPECT_TRUE(links.arrived(half) == std::vector<std::byte>(now.begin(), now.begin() + static_cast<std::ptrdiff_t>(half)));
    EXPECT_TRUE(std::all_of(now.begin() + static_cast<std::ptrdiff_t>(half), now.end(),
                            [](std::byte b) { return b == static_cast<std::byte>(SilentLinks::kTheirs); }));
  }
  // A step whose gradients are what compute() puts into them; returns what they were added up to.
  template <typename Compute>
  double step(const Compute& compute) {
    const Exec ex = owner.exec();
    compute(optimizer->gradients().begin(std::vector<int>{0, 1}, ex));
    optimizer->gradients().end(ex);
    return optimizer->step(1e-2, std::vector<bool>(kLogicalRanks, true), ex);
  }

  ExecOwner owner;
  std::unique_ptr<Policy> policy;
  OptimSection config;
  SilentPeer comm;
  SilentLinks links;
  std::optional<Optimizer> optimizer;
};

TEST_F(GpuOptimizer, WeightsAreSharedWhenTheyAreThere) {
  for (const char* order : kGpuOrders) {
    emulated::set_settings(emulated::parse_settings(order));
    const std::vector<std::byte> before = weights();
    for (int round = 0; round < 3; ++round) {
      const double norm = step([&](Tensor gradient) {
        std::vector<float> values(static_cast<size_t>(gradient.size()), 0.0f);
        values[static_cast<size_t>(round)] = 3;
        copy(gradient, Tensor(values.data(), DType::f32, {gradient.size()}));
      });
      EXPECT_EQ(norm, 3) << order;
      expect_shared();
    }
    EXPECT_FALSE(weights() == before);
  }
}

// Such as are stored in more digits than the policy computes with: set before anything has been computed.
TEST_F(GpuOptimizer, MastersThatAreSetAreSharedWhenTheyAreThere) {
  float number = 1;
  for (const char* order : kGpuOrders) {
    emulated::set_settings(emulated::parse_settings(order));
    const std::vector<std::byte> before = weights();
    number += 1;
    optimizer->set_masters([&](int64_t, std::span<float> out) { std::ranges::fill(out, number); }, owner.exec());
    expect_shared();
    EXPECT_FALSE(weights() == before) << order;
    optimizer->restore(1, owner.exec());
    expect_shared();
  }
}

// timing_s/comm is of the links: what the GPU still computes when the gradients are asked for is no part of it.
TEST_F(GpuOptimizer, SecondsOfTheExchangeAreNotThoseOfTheBackwardPass) {
  emulated::set_settings(emulated::parse_settings("streams=lazy"));
  step([&](Tensor gradient) {
    clear(gradient);
    const auto compute = [](void*) {
      const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
      while (std::chrono::steady_clock::now() < end) {
      }
    };
    check_status(cudaLaunchHostFunc(gpu::stream(*gpu_), compute, nullptr), "compute");
  });
  EXPECT_LT(optimizer->comm_seconds(), 0.5);
}

}  // namespace
}  // namespace cohort
