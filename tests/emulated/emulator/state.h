// What the parts of the emulated runtime share: settings, errors, and the lock that every entry point holds.
#pragma once

#include <cuda_runtime.h>

#include <functional>
#include <mutex>
#include <vector>

#include "settings.h"

namespace emulated {

extern Counts totals;
const Settings& current_settings();
// In the order that the settings ask for: shuffled when it is random, else left alone.
void shuffle(std::vector<unsigned>& order);
// A number below `limit`, for the order of streams.
size_t draw_stream(size_t limit);

// The program broke a rule outside a kernel: prints and aborts.
[[noreturn]] void fault(const char* format, ...) __attribute__((format(printf, 1, 2)));

// One entry point of the runtime at a time, in any host thread.
std::mutex& runtime_mutex();
// Lets another thread have the lock for a moment.
void pause_for_others();

// Error state: the last error of each host thread, and one that stays because a kernel broke the device.
void set_last_error(cudaError_t error);
cudaError_t take_last_error();
cudaError_t peek_last_error();
void break_device(cudaError_t error);
bool device_broken();
// Why no call can work now: no device, an old driver, a broken device; else cudaSuccess.
cudaError_t refusal();
// Whether the count-th event from 1 is the one to fail.
bool is_fault(uint64_t& count, uint64_t wanted);
extern uint64_t launch_count, malloc_count, nccl_count, capture_count, instantiate_count, graph_launch_count;

// What an entry point does: under the lock, unless no call can work; the answer becomes the last error.
template <typename Body>
cudaError_t entry(const Body& body) {
  const std::lock_guard lock(runtime_mutex());
  cudaError_t answer = refusal();
  if (answer == cudaSuccess) answer = body();
  if (answer != cudaSuccess && answer != cudaErrorNotReady) set_last_error(answer);
  return answer;
}

int current_device();
void set_current_device(int device);

// By dladdr, for programs linked with -rdynamic; else its address. Valid for ever.
const char* kernel_name(const void* function);

}  // namespace emulated
