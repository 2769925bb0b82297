// The processor's tile registers (Intel AMX): eight of up to 16 rows of 64 bytes, and a product of two of them.
//
// multiply_pairs<D, A, B>() adds to each float of D the sum of the products of up to 16 pairs of bf16 as TDPBF16PS does: the even ones
// and the odd ones each in a chain of fused multiply-adds from zero, the two chains' sum, and that added to D. It rounds
// to nearest even and takes and gives denormals as zero. (Intel 64 and IA-32 Architectures SDM, vol. 2, TDPBF16PS.)
//
// COHORT_EMULATED_TILES gives the same bits on a processor that has AVX512-BF16 alone, at a fraction of the speed.
// Private to model/cpu.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "model/cpu/intrinsics.h"

namespace cohort::tiles {

// At most: rows of a tile of A and of C, lanes of 32 bits in a row of A (rows of B), columns of B and C.
inline constexpr int kRows = 16, kLanes = 16, kColumns = 16;
inline constexpr int64_t kRowBytes = 64;

#if defined(COHORT_EMULATED_TILES) && defined(__AVX512BF16__)
#define COHORT_TILES 2
#elif defined(__AMX_TILE__) && defined(__AMX_BF16__) && defined(__AVX512BF16__)
#define COHORT_TILES 1
#endif

#ifdef COHORT_TILES
inline constexpr bool kPresent = true;

// Rows of each of the eight tiles, and lanes of a row.
struct Layout {
  int rows[8];
  int lanes[8];
};

// The tiles of the calling thread, as long as this lives; one at a time. Throws (exit code 2) where the system does not
// let programs have them.
class Session {
 public:
  explicit Session(const Layout& layout);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
};

#if COHORT_TILES == 2

struct Emulated {
  alignas(64) float tile[8][kRows][kColumns];
  Layout layout;
};
extern thread_local Emulated emulated;

template <int kTile>
void zero() {
  std::memset(emulated.tile[kTile], 0, sizeof emulated.tile[kTile]);
}
template <int kTile>
void load(const std::byte* from, int64_t stride) {
  const Layout& layout = emulated.layout;
  for (int i = 0; i < layout.rows[kTile]; ++i)
    std::memcpy(emulated.tile[kTile][i], from + i * stride, static_cast<size_t>(layout.lanes[kTile]) * 4);
}
template <int kTile>
void store(std::byte* to, int64_t stride) {
  const Layout& layout = emulated.layout;
  for (int i = 0; i < layout.rows[kTile]; ++i)
    std::memcpy(to + i * stride, emulated.tile[kTile][i], static_cast<size_t>(layout.lanes[kTile]) * 4);
}
template <int kSum, int kA, int kB>
void multiply_pairs() {
  const unsigned before = _mm_getcsr();
  constexpr unsigned kFlushToZero = 0x8000, kDenormalsAreZero = 0x40, kMasked = 0x1f80;
  _mm_setcsr(kMasked | kFlushToZero | kDenormalsAreZero);
  for (int i = 0; i < emulated.layout.rows[kSum]; ++i) {
    __m512 even = _mm512_setzero_ps(), odd = even;
    for (int lane = 0; lane < emulated.layout.lanes[kA]; ++lane) {
      uint32_t pair;
      std::memcpy(&pair, &emulated.tile[kA][i][lane], sizeof pair);
      const __m512i b = _mm512_load_si512(emulated.tile[kB][lane]);
      const auto number = [](uint32_t bits) { return _mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int>(bits))); };
      const __m512i high = _mm512_set1_epi32(static_cast<int>(0xFFFF0000u));
      even = _mm512_fmadd_ps(number(pair << 16), _mm512_castsi512_ps(_mm512_slli_epi32(b, 16)), even);
      odd = _mm512_fmadd_ps(number(pair & 0xFFFF0000u), _mm512_castsi512_ps(_mm512_and_si512(b, high)), odd);
    }
    float* sum = emulated.tile[kSum][i];
    _mm512_store_ps(sum, _mm512_add_ps(_mm512_load_ps(sum), _mm512_add_ps(even, odd)));
  }
  _mm_setcsr(before);
}

#else  // the processor's own; written out, because the intrinsics take no template parameters for tiles

template <int kTile>
void zero() {
  asm volatile("tilezero %%tmm%c0" ::"i"(kTile));
}
template <int kTile>
void load(const std::byte* from, int64_t stride) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(stride), "i"(kTile) : "memory");
}
template <int kTile>
void store(std::byte* to, int64_t stride) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(stride), "i"(kTile) : "memory");
}
template <int kSum, int kA, int kB>
void multiply_pairs() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSum), "i"(kA), "i"(kB));
}

#endif
#else
inline constexpr bool kPresent = false;
#endif

}  // namespace cohort::tiles
