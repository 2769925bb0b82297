// Fibres: stacks to switch between within one host thread. Each emulated CUDA thread runs on one.
#pragma once

#include <cstddef>

namespace emulated {

struct Fibre {
  void* stack_pointer = nullptr;
  void* bottom = nullptr;  // of the stack
  size_t size = 0;
  void* asan_fake_stack = nullptr;
  void* tsan_fibre = nullptr;
};

// A fibre with a stack of its own, below which lies a guard page. Never freed.
Fibre* new_fibre();
// Makes the next switch to `fibre` call entry(), which must never return.
void prepare(Fibre* fibre, void (*entry)());
// Leaves `from`, whose place is kept there, and goes on in `to`. `last`: nobody comes back to what `from` runs now.
void switch_fibre(Fibre* from, Fibre* to, bool last);
// To be called first in a fibre's entry.
void entered_fibre();
// Describes the host thread's own stack, to come back to.
void adopt_host_thread(Fibre* fibre);

}  // namespace emulated
