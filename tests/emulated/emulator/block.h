// One block of threads and its scheduler: which thread runs next, who waits for what, what shared memory they have.
//
// A thread runs until it waits (at a barrier, or for the lanes of a warp collective) or ends; then the next one that can
// run does, in the order of Settings::order. When nobody can run, the block is stuck: a report and an abort.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "device.h"
#include "fibre.h"

namespace emulated {

enum class ThreadState : uint8_t { ready, at_barrier, in_collective, done };

// A copy that cp.async started.
struct AsyncCopy {
  void* to;
  const void* from;
  int bytes, source_bytes;
};

struct BlockThread : ThreadPlace {
  ThreadState state;
  bool started;
  Fibre* fibre;
  // Where it waits.
  const char* what;
  const char* file;
  int line;
  unsigned mask;
  std::vector<AsyncCopy> open_copies;                // since the last commit
  std::vector<std::vector<AsyncCopy>> copy_groups;  // committed, not yet waited for
};

// Lanes of one warp that are meeting; several sets at once while the warp is divergent.
struct Meeting {
  unsigned mask = 0, arrived = 0;
  Collective compute = nullptr;
  void* arguments[32] = {};
  // An object for the race detector to synchronise on, another one each time: with one for all, a lane that is late to
  // leave would see what the lanes do after the meeting as having happened before it.
  unsigned epoch = 0;
  char sync[64];
};
struct Warp {
  Meeting meetings[8];
  unsigned present = 0;
};

struct Block {
  const char* kernel = "";
  const std::function<void()>* body = nullptr;
  unsigned size = 0;
  std::vector<BlockThread> threads;
  std::vector<Warp> warps;
  std::vector<unsigned> order;  // of threads
  size_t cursor = 0;
  unsigned done = 0, at_barrier = 0;
  uint64_t serial = 0;  // of the block in this process
};
extern Block& block;

// Makes ready for blocks of this size.
void set_up_block(dim3 size);
// Runs all threads of block current_block.index to their end.
void run_block(size_t dynamic_shared_bytes);
// Leaves the running thread, which waits or is ready, and comes back when it has been chosen again.
void wait_for_turn(BlockThread* me);

// Shared memory of the block that is about to run: all bytes 0xff, NaN in every float type.
void set_up_shared(size_t dynamic_bytes);
// Of the first block of a launch.
void restart_shared();

// What the thread has started and not waited for.
void finish_copies(BlockThread* thread);

// Runs every block of a grid, in the order of Settings::order.
void run_grid(const char* kernel, const std::function<void()>& thread_body, dim3 grid, dim3 block_size,
              size_t dynamic_shared_bytes);

}  // namespace emulated
