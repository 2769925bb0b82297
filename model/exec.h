// Exec: where and with what an op runs. The one context argument of every op.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "core/threads.h"
#include "model/tensor.h"

namespace cohort {

// Memory an op needs only while it runs, one block a thread; grows to the largest request and then stays.
class Workspace {
 public:
  explicit Workspace(int threads) : blocks_(threads) {}
  // At least `bytes`, 64-byte aligned, for thread `thread`; contents undefined; valid until the next call for this thread.
  void* get(int thread, size_t bytes);

 private:
  struct Block {
    std::unique_ptr<std::byte[]> owner;
    std::byte* aligned = nullptr;
    size_t size = 0;
  };
  std::vector<Block> blocks_;
};

struct Exec {
  Device device = Device::cpu;
  ThreadPool* pool = nullptr;
  Workspace* workspace = nullptr;
};

// Owns what an Exec points to.
struct ExecOwner {
  explicit ExecOwner(int threads) : pool(threads), workspace(threads) {}
  ThreadPool pool;
  Workspace workspace;
  Exec exec() { return {Device::cpu, &pool, &workspace}; }
};

}  // namespace cohort
