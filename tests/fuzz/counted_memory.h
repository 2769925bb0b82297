// Counts what a fuzzed call holds of memory, whoever asks for it: bytes that are allocated now, and the most that ever
// were. Without AddressSanitizer, whose hooks these are, nothing is counted.
#pragma once

#include <algorithm>
#include <cstddef>

struct CountedMemory {
  static inline size_t held = 0, peak = 0;
};

#ifdef __clang__  // which fuzzes
#include <sanitizer/allocator_interface.h>

// Called by AddressSanitizer for each block.
extern "C" void __sanitizer_malloc_hook(const volatile void*, size_t size) {
  CountedMemory::held += size;
  CountedMemory::peak = std::max(CountedMemory::peak, CountedMemory::held);
}
extern "C" void __sanitizer_free_hook(const volatile void* p) {
  if (p) CountedMemory::held -= __sanitizer_get_allocated_size(p);
}
#endif
