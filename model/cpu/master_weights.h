// A float32 master weight as its bf16 rounding, its lower half and one bit (ops/update.h), sixteen at a time. Private to
// model/cpu.
#pragma once

#include "model/cpu/vector_math.h"

namespace cohort::simd {

#if COHORT_VECTOR_AVX512

inline __m512i load_halves(const void* p, int64_t lanes) {
  return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(static_cast<__mmask16>(first_lanes(lanes)), p));
}
inline __m512i load_halves(const void* p, AllLanes) { return _mm512_cvtepu16_epi32(_mm256_loadu_si256(static_cast<const __m256i*>(p))); }
inline void store_halves(void* p, __m256i halves, int64_t lanes) {
  _mm256_mask_storeu_epi16(p, static_cast<__mmask16>(first_lanes(lanes)), halves);
}
inline void store_halves(void* p, __m256i halves, AllLanes) { _mm256_storeu_si256(static_cast<__m256i*>(p), halves); }

// The masters of the first `lanes` weights; v: as it is kept.
template <typename Lanes>
F16 join_master(const bf16* weight, const uint16_t* low, F16 v, Lanes lanes) {
  const __m512i up = _mm512_srli_epi32(_mm512_castps_si512(v.v), 31);
  const __m512i upper = _mm512_sub_epi32(load_halves(weight, lanes), up);
  return {_mm512_castsi512_ps(_mm512_or_si512(_mm512_slli_epi32(upper, 16), load_halves(low, lanes)))};
}

// Keeps the first `lanes` masters; returns v, not negative, as it is kept.
template <typename Lanes>
F16 split_master(bf16* weight, uint16_t* low, F16 master, F16 v, Lanes lanes) {
  const __m512i bits = _mm512_castps_si512(master.v), upper = _mm512_srli_epi32(bits, 16);
  const __m256i rounded = narrow(master);
  const __mmask16 up = _mm512_cmpneq_epi32_mask(_mm512_cvtepu16_epi32(rounded), upper);
  store_halves(weight, rounded, lanes);
  store_halves(low, _mm512_cvtepi32_epi16(bits), lanes);
  const __m512i v_bits = _mm512_castps_si512(v.v);
  return {_mm512_castsi512_ps(_mm512_mask_or_epi32(v_bits, up, v_bits, _mm512_set1_epi32(INT32_MIN)))};
}

#else

inline F16 join_master(const bf16* weight, const uint16_t* low, F16 v, int64_t lanes) {
  return each([&](int i) {
    if (i >= lanes) return 0.0f;
    const uint32_t up = std::bit_cast<uint32_t>(v.v[i]) >> 31, upper = weight[i].bits - up;
    return std::bit_cast<float>(upper << 16 | low[i]);
  });
}

inline F16 split_master(bf16* weight, uint16_t* low, F16 master, F16 v, int64_t lanes) {
  return each([&](int i) {
    if (i >= lanes) return 0.0f;
    const auto bits = std::bit_cast<uint32_t>(master.v[i]);
    weight[i] = to_bf16(master.v[i]);
    low[i] = static_cast<uint16_t>(bits);
    return weight[i].bits != bits >> 16 ? -v.v[i] : v.v[i];
  });
}

#endif

}  // namespace cohort::simd
