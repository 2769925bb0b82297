// The hooks by which the emulator, never instrumented itself, tells AddressSanitizer and ThreadSanitizer what it does.
// EMULATED_ASAN or EMULATED_TSAN says which of them the program runs under; without either all of this is nothing.
#pragma once

#include <cstddef>

#ifdef EMULATED_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef EMULATED_TSAN
#include <sanitizer/tsan_interface.h>
extern "C" {
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
void AnnotateIgnoreWritesBegin(const char* file, int line);
void AnnotateIgnoreWritesEnd(const char* file, int line);
}
#endif

namespace emulated {

#ifdef EMULATED_ASAN
inline constexpr bool kAsan = true;
inline void poison(const void* begin, size_t bytes) { __asan_poison_memory_region(begin, bytes); }
inline void unpoison(const void* begin, size_t bytes) { __asan_unpoison_memory_region(begin, bytes); }
#else
inline constexpr bool kAsan = false;
inline void poison(const void*, size_t) {}
inline void unpoison(const void*, size_t) {}
#endif

// What comes before release(p) happens before what follows acquire(p).
#ifdef EMULATED_TSAN
inline constexpr bool kTsan = true;
inline void release(void* p) { __tsan_release(p); }
inline void acquire(void* p) { __tsan_acquire(p); }
// Accesses between hide and show are the emulator's, not the kernel's.
inline void hide_accesses() {
  AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
  AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
}
inline void show_accesses() {
  AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
  AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
}
#else
inline constexpr bool kTsan = false;
inline void release(void*) {}
inline void acquire(void*) {}
inline void hide_accesses() {}
inline void show_accesses() {}
#endif

}  // namespace emulated
