// The scheduler of a block's threads (block.h), and its barrier.
#include "block.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "sanitizers.h"
#include "state.h"

namespace emulated {

ThreadPlace* current_thread = nullptr;
BlockPlace current_block;
Block& block = *new Block;  // never destroyed: a helper thread may outlive the main one

namespace {

// Never destroyed, so that LeakSanitizer reports the program's own leaks only.
auto& free_fibres = *new std::vector<Fibre*>;
// Under ThreadSanitizer a fibre is a thread with a history of accesses. With more of them than a block has threads, dealt
// out anew for each block, the same thread of two blocks is not taken for one thread in order.
auto& tsan_fibres = *new std::vector<Fibre*>;
constexpr unsigned kMoreFibres = 31;

Fibre host;
char launch_sync, end_sync, fence_sync, barrier_sync[64];
unsigned barrier_epoch = 0;

[[noreturn]] void report_stuck(const char* why) {
  const uint3& index = current_block.index;
  std::fprintf(stderr, "emulated CUDA: %s: %s, block (%u, %u, %u): %u threads, %u ended, %u at __syncthreads\n",
               block.kernel, why, index.x, index.y, index.z, block.size, block.done, block.at_barrier);
  int shown = 0;
  for (unsigned i = 0; i < block.size && shown < 6; ++i) {
    const BlockThread& t = block.threads[i];
    if (i > 0 && t.state == block.threads[i - 1].state && t.line == block.threads[i - 1].line) continue;
    ++shown;
    if (t.state == ThreadState::done) {
      std::fprintf(stderr, "  from thread %u: ended\n", i);
    } else {
      std::fprintf(stderr, "  from thread %u: waits at %s, %s:%d, mask %08x\n", i, t.what, t.file, t.line, t.mask);
    }
  }
  std::abort();
}

void open_barrier() {
  const BlockThread& first = block.threads[0];
  for (const BlockThread& t : block.threads)
    if (t.line != first.line || std::strcmp(t.file, first.file) != 0)
      report_stuck("threads wait at different __syncthreads");
  for (BlockThread& t : block.threads) t.state = ThreadState::ready;
  block.at_barrier = 0;
  block.cursor = 0;
  ++barrier_epoch;
  shuffle(block.order);
}

// Null: all have ended.
BlockThread* choose_thread() {
  for (;;) {
    size_t at = block.cursor;
    for (unsigned tried = 0; tried < block.size; ++tried, ++at) {
      if (at >= block.size) at = 0;
      BlockThread& t = block.threads[block.order[at]];
      if (t.state == ThreadState::ready) {
        block.cursor = at;
        return &t;
      }
    }
    if (block.done == block.size) return nullptr;
    if (block.at_barrier == block.size) {
      open_barrier();
    } else {
      report_stuck(block.at_barrier + block.done == block.size ? "__syncthreads that ended threads never reach"
                                                               : "threads wait for each other");
    }
  }
}

void fibre_main();

void make_current(BlockThread* t) {
  current_thread = t;
  if (t->started) return;
  t->started = true;
  if (kTsan) {
    t->fibre = tsan_fibres[(static_cast<size_t>(t - block.threads.data()) + block.serial * 7) % (block.size + kMoreFibres)];
  } else if (free_fibres.empty()) {
    t->fibre = new_fibre();
  } else {
    t->fibre = free_fibres.back();
    free_fibres.pop_back();
  }
  prepare(t->fibre, fibre_main);
}

void go(Fibre* from, Fibre* to, bool last) {
  ++totals.switches;
  switch_fibre(from, to, last);
}

void fibre_main() {
  entered_fibre();
  for (;;) {
    auto* me = static_cast<BlockThread*>(current_thread);
    acquire(&launch_sync);
    (*block.body)();
    finish_copies(me);
    release(&end_sync);
    me->state = ThreadState::done;
    me->line = 0;
    ++block.done;
    Fibre* mine = std::exchange(me->fibre, nullptr);
    BlockThread* next = choose_thread();
    if (next != nullptr && !next->started && !kTsan) {  // it can run on this stack, without a switch
      next->started = true;
      next->fibre = mine;
      current_thread = next;
      continue;
    }
    if (!kTsan) free_fibres.push_back(mine);
    if (next == nullptr) {
      go(mine, &host, true);
    } else {
      make_current(next);
      go(mine, next->fibre, true);
    }
  }
}

}  // namespace

void wait_for_turn(BlockThread* me) {
  BlockThread* next = choose_thread();
  if (next == me) return;
  make_current(next);
  go(me->fibre, next->fibre, false);
}

void memory_fence() {
  release(&fence_sync);
  acquire(&fence_sync);
}

void block_barrier(const char* file, int line) {
  auto* me = static_cast<BlockThread*>(current_thread);
  me->state = ThreadState::at_barrier;
  me->what = "__syncthreads";
  me->file = file;
  me->line = line;
  me->mask = 0;
  ++block.at_barrier;
  char* sync = &barrier_sync[barrier_epoch % 64];  // one for each barrier in turn, as in Meeting
  release(sync);
  wait_for_turn(me);
  acquire(sync);
}

void set_up_block(dim3 size) {
  const Order order = current_settings().order;
  current_block.block_size = size;
  block.size = size.x * size.y * size.z;
  if (block.threads.size() != block.size) block.threads.resize(block.size);
  block.order.resize(block.size);
  block.warps.assign((block.size + 31) / 32, Warp{});
  for (unsigned i = 0; i < block.size; ++i) {
    BlockThread& t = block.threads[i];
    t.index = {i % size.x, i / size.x % size.y, i / (size.x * size.y)};
    t.lane = i % 32;
    t.warp = i / 32;
    block.warps[t.warp].present |= 1u << t.lane;
    block.order[i] = order == Order::reverse ? block.size - 1 - i : i;
  }
  adopt_host_thread(&host);
  release(&launch_sync);
}

void run_block(size_t dynamic_shared_bytes) {
  block.done = block.at_barrier = 0;
  block.cursor = 0;
  ++block.serial;
  ++totals.blocks;
  totals.threads += block.size;
  for (BlockThread& t : block.threads) {
    t.state = ThreadState::ready;
    t.started = false;
    t.fibre = nullptr;
  }
  set_up_shared(dynamic_shared_bytes);
  shuffle(block.order);
  if (kTsan)
    while (tsan_fibres.size() < block.size + kMoreFibres) tsan_fibres.push_back(new_fibre());
  BlockThread* first = choose_thread();
  make_current(first);
  go(&host, first->fibre, false);
  current_thread = nullptr;
  acquire(&end_sync);
}

}  // namespace emulated
