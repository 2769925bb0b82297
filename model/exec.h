// Exec: where and with what an op runs. The one context argument of every op.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <utility>
#include <vector>

#include "core/check.h"
#include "core/threads.h"
#include "model/tensor.h"

namespace cohort {

class Gpu;
class Trace;

// Memory an op needs only while it runs, one block a thread; grows to the largest request and then stays.
class Workspace {
 public:
  explicit Workspace(int threads) : blocks_(threads) {}
  // At least `bytes`, 64-byte aligned, for thread `thread`; contents undefined; valid until the next call for this
  // thread. Out of memory: exit code 6.
  void* get(int thread, size_t bytes) {
    CHECK(thread >= 0 && thread < static_cast<int>(blocks_.size()), "workspace of thread {}, there are {}", thread,
          blocks_.size());
    Block& block = blocks_[static_cast<size_t>(thread)];
    if (block.aligned == nullptr || block.size < bytes) grow(block, thread, bytes);
    return block.aligned;
  }

 private:
  struct Block {
    std::unique_ptr<std::byte[]> owner;
    std::byte* aligned = nullptr;
    size_t size = 0;
  };
  static void grow(Block& block, int thread, size_t bytes) {
    constexpr size_t kAlign = 64;
    block = {};  // the old block is free before the new one is taken
    try {
      block.owner = std::make_unique_for_overwrite<std::byte[]>(bytes + kAlign);
    } catch (const std::bad_alloc&) {
      fail(ExitCode::kResources, "out of memory: the workspace of thread {} needs {} bytes", thread, bytes);
    }
    block.aligned = block.owner.get() + (kAlign - reinterpret_cast<uintptr_t>(block.owner.get()) % kAlign) % kAlign;
    block.size = bytes;
  }
  std::vector<Block> blocks_;
};

struct Exec {
  Device device = Device::cpu;
  ThreadPool* pool = nullptr;
  Workspace* workspace = nullptr;
  Trace* trace = nullptr;  // core/trace.h; null: nobody looks
  Gpu* gpu = nullptr;      // with Device::cuda: ops run there (ops/gpu.h); threads and workspace are for the host's work
};

// Owns what an Exec points to.
struct ExecOwner {
  // `cpus`: the hardware thread of each thread (ThreadPool::pin), or none. `gpu`: of open_gpu (model/device.h), or null.
  explicit ExecOwner(int threads, std::span<const int> cpus = {}, std::shared_ptr<Gpu> gpu = nullptr)
      : pool(threads), workspace(threads), gpu(std::move(gpu)) {
    if (!cpus.empty()) pool.pin(cpus);
  }
  ThreadPool pool;
  Workspace workspace;
  std::shared_ptr<Gpu> gpu;
  Exec exec() { return {gpu ? Device::cuda : Device::cpu, &pool, &workspace, nullptr, gpu.get()}; }
};

}  // namespace cohort
