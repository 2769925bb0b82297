// Runs the blocks of a grid one after the other (block.h), and what a fault of a kernel prints.
#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <numeric>

#include "block.h"
#include "state.h"

namespace emulated {

void run_grid(const char* kernel, const std::function<void()>& thread_body, dim3 grid, dim3 block_size,
              size_t dynamic_shared_bytes) {
  ++totals.launches;
  block.kernel = kernel;
  block.body = &thread_body;
  current_block.grid_size = grid;
  set_up_block(block_size);
  restart_shared();
  const Order order = current_settings().order;
  const uint64_t blocks = uint64_t{grid.x} * grid.y * grid.z;
  std::vector<unsigned> shuffled;
  if (order == Order::random) {
    shuffled.resize(blocks);
    std::iota(shuffled.begin(), shuffled.end(), 0u);
    shuffle(shuffled);
  }
  for (uint64_t i = 0; i < blocks; ++i) {
    const uint64_t at = order == Order::random ? shuffled[i] : order == Order::reverse ? blocks - 1 - i : i;
    current_block.index = {static_cast<unsigned>(at % grid.x), static_cast<unsigned>(at / grid.x % grid.y),
                           static_cast<unsigned>(at / grid.x / grid.y)};
    run_block(dynamic_shared_bytes);
  }
}

void kernel_fault(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::fprintf(stderr, "emulated CUDA: kernel %s: ", block.kernel);
  std::vfprintf(stderr, format, arguments);
  va_end(arguments);
  if (current_thread != nullptr) {
    const uint3 &b = current_block.index, &t = current_thread->index;
    std::fprintf(stderr, "; block (%u, %u, %u), thread (%u, %u, %u)", b.x, b.y, b.z, t.x, t.y, t.z);
  }
  std::fprintf(stderr, "\n");
  std::abort();
}

void fault(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::fprintf(stderr, "emulated CUDA: ");
  std::vfprintf(stderr, format, arguments);
  va_end(arguments);
  std::fprintf(stderr, "\n");
  std::abort();
}

}  // namespace emulated
