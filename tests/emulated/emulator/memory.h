// Device memory, pinned host memory, and who may touch them.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>

namespace emulated {

// An allocation of the device, filled with 0xff: NaN in every float type. Null: out of memory.
void* allocate_device(size_t bytes);
// False: no such allocation. Ends the process when something was written behind it.
bool free_device(void* memory);
// The same while work that is queued may still use it, with Settings::implicit_waits off: NaN stands there from now on, and
// check_freed, to be called when no work is left, ends the process where something was written since.
bool free_device_early(void* memory);
void check_freed();
size_t used_memory(int device);

void* allocate_pinned(size_t bytes);
bool free_pinned(void* memory);
bool free_pinned_early(void* memory);

// Whether [begin, begin + bytes) lies in one allocation; is_device_memory: whether begin does.
bool in_one_allocation(const void* begin, size_t bytes);
bool is_device_memory(const void* begin);
bool is_pinned(const void* begin);
// Closes or opens what was allocated with the fence.
void set_fence(bool on);

// For the fake libraries: ends the process, naming the buffer, unless it lies in device memory.
void require_device_range(const char* who, const char* buffer, const void* begin, size_t bytes);

// Device memory is out of the host's reach while none of these lives, where Settings::fence asks for that.
class DeviceOpen {
 public:
  DeviceOpen();
  ~DeviceOpen();
  DeviceOpen(const DeviceOpen&) = delete;
  DeviceOpen& operator=(const DeviceOpen&) = delete;
};

}  // namespace emulated
