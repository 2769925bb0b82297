// Transposing sixteen rows, the step between rows of numbers and columns of lanes, and pairing two. Private to model/cpu.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "model/cpu/gemm_tile.h"
#include "model/cpu/vector_math.h"

namespace cohort::simd {

#if COHORT_VECTOR_AVX512

// Sixteen rows of sixteen 32-bit words, transposed in registers (a call would send them through memory).
[[gnu::always_inline]] inline void transpose(__m512i rows[16]) {
  __m512i t[16];
  for (int i = 0; i < 16; i += 4) {  // 4 x 4 words within each 128-bit part
    const __m512i a = _mm512_unpacklo_epi32(rows[i], rows[i + 1]), b = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
    const __m512i c = _mm512_unpacklo_epi32(rows[i + 2], rows[i + 3]),
                  d = _mm512_unpackhi_epi32(rows[i + 2], rows[i + 3]);
    t[i] = _mm512_unpacklo_epi64(a, c), t[i + 1] = _mm512_unpackhi_epi64(a, c);
    t[i + 2] = _mm512_unpacklo_epi64(b, d), t[i + 3] = _mm512_unpackhi_epi64(b, d);
  }
  for (int i = 0; i < 4; ++i) {  // then the 128-bit parts themselves
    const __m512i a = _mm512_shuffle_i32x4(t[i], t[i + 4], 0x88), b = _mm512_shuffle_i32x4(t[i], t[i + 4], 0xDD);
    const __m512i c = _mm512_shuffle_i32x4(t[i + 8], t[i + 12], 0x88),
                  d = _mm512_shuffle_i32x4(t[i + 8], t[i + 12], 0xDD);
    rows[i] = _mm512_shuffle_i32x4(a, c, 0x88), rows[i + 8] = _mm512_shuffle_i32x4(a, c, 0xDD);
    rows[i + 4] = _mm512_shuffle_i32x4(b, d, 0x88), rows[i + 12] = _mm512_shuffle_i32x4(b, d, 0xDD);
  }
}

// out[i][j], i < size, j < 16: word i of row j. Rows past `n` and the words past `size` of a row are not read.
inline void transpose_words(uint32_t* out, const void* const rows[16], int64_t n, int64_t bytes) {
  for (int64_t at = 0; at < bytes; at += 64) {
    const int64_t halves = std::min<int64_t>(32, (bytes - at) / 2);
    const __mmask32 mask = halves == 32 ? 0xFFFFFFFFu : (1u << halves) - 1;
    __m512i words[16];
    for (int64_t j = 0; j < 16; ++j)
      words[j] = j < n ? _mm512_maskz_loadu_epi16(mask, static_cast<const std::byte*>(rows[j]) + at) : _mm512_setzero_si512();
    transpose(words);
    for (int64_t i = 0; 2 * i < halves; ++i) _mm512_storeu_si512(out + (at / 4 + i) * 16, words[i]);
  }
}

#endif

// out[i][j]: lane i of row j (gemm.h), zeros for rows past `n`.   rows: sixteen of `size` numbers, out (lanes, 16)
template <typename T>
void transpose_lanes(uint32_t* out, const T* const rows[16], int64_t n, int64_t size) {
  constexpr bool kPair = sizeof(T) == 2 && gemm::kHasBf16Pairs;
#if COHORT_VECTOR_AVX512
  if constexpr (kPair || sizeof(T) == 4) {
    const void* bytes[16];
    std::copy_n(rows, 16, bytes);
    return transpose_words(out, bytes, n, size * static_cast<int64_t>(sizeof(T)));
  }
#endif
  static_assert(!kPair || COHORT_VECTOR_AVX512, "pairs are AVX-512's");
  for (int64_t i = 0; i < size; ++i)
    for (int64_t j = 0; j < 16; ++j) out[i * 16 + j] = j < n ? std::bit_cast<uint32_t>(to_float(rows[j][i])) : 0;
}

// Two rows of bf16 as one row of pairs.  out (padded) words; a null row is zeros
inline void interleave(uint32_t* out, const bf16* even, const bf16* odd, int64_t head_size, int64_t padded) {
  for (int64_t d = 0; d < padded; d += kLanes) {
#if COHORT_VECTOR_AVX512
    const auto mask = static_cast<__mmask16>(first_lanes(std::clamp<int64_t>(head_size - d, 0, kLanes)));
    const auto wide = [&](const bf16* row) {
      return row == nullptr ? _mm512_setzero_si512() : _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, row + d));
    };
    _mm512_storeu_si512(out + d, _mm512_or_si512(wide(even), _mm512_slli_epi32(wide(odd), 16)));
#else
    for (int64_t i = d; i < d + kLanes; ++i) {
      const auto bits = [&](const bf16* row) {
        return row == nullptr || i >= head_size ? uint32_t{0} : uint32_t{std::bit_cast<uint16_t>(row[i])};
      };
      out[i] = bits(even) | bits(odd) << 16;
    }
#endif
  }
}

}  // namespace cohort::simd
