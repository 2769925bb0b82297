// Entry points that allocate, copy and fill memory.
#include <cuda_runtime_api.h>

#include <cstring>
#include <vector>

#include "graph.h"
#include "memory.h"
#include "state.h"
#include "streams.h"

using namespace emulated;

namespace {

// Both ends in memory of the kind that `kind` says, and within their allocations.
cudaError_t check_copy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  const bool to_device = is_device_memory(to), from_device = is_device_memory(from);
  if ((to_device && !in_one_allocation(to, bytes)) || (from_device && !in_one_allocation(from, bytes)))
    return cudaErrorInvalidValue;
  if (kind == cudaMemcpyDefault) return cudaSuccess;
  const bool wants_to = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool wants_from = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  return to_device == wants_to && from_device == wants_from ? cudaSuccess : cudaErrorInvalidValue;
}

uint64_t checksum(const void* data, size_t bytes) {  // FNV-1a
  uint64_t sum = 14695981039346656037u;
  for (size_t i = 0; i < bytes; ++i) sum = (sum ^ static_cast<const unsigned char*>(data)[i]) * 1099511628211u;
  return sum;
}

// From pageable memory the bytes are taken at once, to pageable memory the call waits (CUDA Runtime API, "API
// synchronization behavior", which says no more than that it may; Settings::implicit_waits); between the device and pinned
// memory it does neither. Without implicit waits pageable memory that is read must be the same until it has been: what is
// there when the program did not wait for that may be anything, also the right thing.
cudaError_t copy_async(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, CUstream_st* stream) {
  if (bytes == 0) return cudaSuccess;
  if (const cudaError_t error = check_copy(to, from, bytes, kind)) return error;
  const bool waits = current_settings().implicit_waits;
  const bool from_pageable = !is_device_memory(from) && !is_pinned(from);
  const bool to_pageable = waits && !is_device_memory(to) && !is_pinned(to);
  if (from_pageable && !waits && !stream->capture) {
    return push(stream, WorkKind::copy, [=, sum = checksum(from, bytes)] {
      if (checksum(from, bytes) != sum) fault("host memory of %zu bytes was changed before a copy had read it", bytes);
      std::memmove(to, from, bytes);
    });
  }
  if (from_pageable && !stream->capture) {
    const char* begin = static_cast<const char*>(from);
    auto staged = std::make_shared<std::vector<char>>(begin, begin + bytes);
    return push(stream, WorkKind::copy, [=] { std::memcpy(to, staged->data(), bytes); });
  }
  const cudaError_t error = push(stream, WorkKind::copy, [=] { std::memmove(to, from, bytes); });
  if (error != cudaSuccess || !to_pageable || stream->capture) return error;
  return wait_for(stream, stream->enqueued);
}

// `now` frees, `early` does so while work may be left that uses it.
cudaError_t free_memory(void* memory, bool (*now)(void*), bool (*early)(void*)) {
  bool known = false;
  if (current_settings().implicit_waits) {
    if (const cudaError_t error = wait_for_device(current_device())) return error;
    known = now(memory);
  } else if (all_idle()) {
    check_freed();
    known = now(memory);
  } else {
    known = early(memory);
  }
  return known ? cudaSuccess : cudaErrorInvalidValue;
}

}  // namespace

extern "C" {

cudaError_t cudaMalloc(void** memory, size_t bytes) {
  *memory = nullptr;
  return entry([&]() -> cudaError_t {
    if (const cudaError_t error = forbidden_in_capture(nullptr)) return error;
    if (bytes == 0) return cudaSuccess;
    if (!is_fault(malloc_count, current_settings().fail_malloc)) *memory = allocate_device(bytes);
    return *memory != nullptr ? cudaSuccess : cudaErrorMemoryAllocation;
  });
}

cudaError_t cudaFree(void* memory) {
  return entry([&]() -> cudaError_t {
    if (memory == nullptr) return cudaSuccess;
    if (const cudaError_t error = forbidden_in_capture(nullptr)) return error;
    return free_memory(memory, free_device, free_device_early);
  });
}

cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned) {
  return entry([&] {
    *memory = allocate_pinned(bytes);
    return *memory != nullptr ? cudaSuccess : cudaErrorMemoryAllocation;
  });
}
cudaError_t cudaMallocHost(void** memory, size_t bytes) { return cudaHostAlloc(memory, bytes, 0); }

cudaError_t cudaFreeHost(void* memory) {
  return entry([&]() -> cudaError_t {
    if (memory == nullptr) return cudaSuccess;
    return free_memory(memory, free_pinned, free_pinned_early);
  });
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t given) {
  return entry([&]() -> cudaError_t {
    CUstream_st* stream = stream_of(given);
    if (const cudaError_t error = forbidden_null_stream(stream, given)) return error;
    return copy_async(to, from, bytes, kind, stream);
  });
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  return entry([&]() -> cudaError_t {
    CUstream_st* stream = stream_of(nullptr);
    if (const cudaError_t error = forbidden_null_stream(stream, nullptr)) return error;
    if (const cudaError_t error = copy_async(to, from, bytes, kind, stream)) return error;
    return wait_for(stream, stream->enqueued);
  });
}

cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t given) {
  return entry([&]() -> cudaError_t {
    CUstream_st* stream = stream_of(given);
    if (const cudaError_t error = forbidden_null_stream(stream, given)) return error;
    if (bytes == 0) return cudaSuccess;
    if (!in_one_allocation(to, bytes)) return cudaErrorInvalidValue;
    return push(stream, WorkKind::fill, [=] { std::memset(to, value, bytes); });
  });
}
cudaError_t cudaMemset(void* to, int value, size_t bytes) { return cudaMemsetAsync(to, value, bytes, nullptr); }
}
