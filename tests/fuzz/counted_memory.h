// Counts what a fuzzed call holds of memory, in C++ and in GMP: bytes that are allocated, and the most that ever were.
#pragma once

#include <gmp.h>
#include <malloc.h>

#include <algorithm>
#include <cstdlib>
#include <new>

struct CountedMemory {
  static inline size_t held = 0, peak = 0;
  static void* take(size_t size) {
    void* p = std::malloc(size ? size : 1);
    if (!p) std::abort();
    held += malloc_usable_size(p);
    peak = std::max(peak, held);
    return p;
  }
  static void give(void* p) {
    if (p) held -= malloc_usable_size(p);
    std::free(p);
  }
  static void* grow(void* p, size_t, size_t size) {
    held -= malloc_usable_size(p);
    void* q = std::realloc(p, size);
    if (!q) std::abort();
    held += malloc_usable_size(q);
    peak = std::max(peak, held);
    return q;
  }
  static void count_gmp() {
    mp_set_memory_functions(take, grow, [](void* p, size_t) { give(p); });
  }
};

void* operator new(size_t size) { return CountedMemory::take(size); }
void* operator new[](size_t size) { return CountedMemory::take(size); }
void operator delete(void* p) noexcept { CountedMemory::give(p); }
void operator delete[](void* p) noexcept { CountedMemory::give(p); }
void operator delete(void* p, size_t) noexcept { CountedMemory::give(p); }
void operator delete[](void* p, size_t) noexcept { CountedMemory::give(p); }
