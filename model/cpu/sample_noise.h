// The noise of sampling: Philox words of sixty-four token ids at a time. Private to model/cpu.
#pragma once

#include <cstdint>

#include "core/rng.h"
#include "model/cpu/vector_math.h"
#include "model/ops/sample.h"

namespace cohort::sampling {

constexpr int64_t kBlock = 64;            // token ids that share sixteen Philox calls
constexpr int64_t kMaxVocab = 1ll << 26;  // the counter has 24 bits for the call

// words[16 w + l], the noise of token 64 block + 16 w + l, is the upper 23 bits of word w of the Philox call with
// counter {kSample << 24 | 16 block + l, step, sequence, position} and the seed as key; u = (word + 0.5) 2^-23 as
// open_uniform. The shift keeps the counters apart from those of random_bits, whose first word is a Stream.
inline void noise_words(float* words, const DrawKey& key, uint32_t block) {
  const uint32_t first = static_cast<uint32_t>(Stream::kSample) << 24 | block * 16;
#if COHORT_VECTOR_AVX512
  // Eight calls a register, one 32-bit word in each 64-bit lane; the upper halves hold leftovers that no step reads.
  const auto all = [](uint32_t x) { return _mm512_set1_epi64(x); };
  for (uint32_t half = 0; half < 2; ++half) {
    __m512i c0 = _mm512_add_epi64(all(first + 8 * half), _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0));
    __m512i c1 = all(key.step), c2 = all(key.sequence), c3 = all(key.position);
    uint32_t k0 = static_cast<uint32_t>(key.seed), k1 = static_cast<uint32_t>(key.seed >> 32);
    for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9, k1 += 0xBB67AE85) {
      const __m512i p0 = _mm512_mul_epu32(c0, all(0xD2511F53)), p1 = _mm512_mul_epu32(c2, all(0xCD9E8D57));
      c0 = _mm512_ternarylogic_epi64(_mm512_srli_epi64(p1, 32), c1, all(k0), 0x96);  // exclusive or of three
      c2 = _mm512_ternarylogic_epi64(_mm512_srli_epi64(p0, 32), c3, all(k1), 0x96);
      c1 = p1;
      c3 = p0;
    }
    const __m512i c[4] = {c0, c1, c2, c3};
    for (int w = 0; w < 4; ++w) {
      const __m256i upper = _mm256_srli_epi32(_mm512_cvtepi64_epi32(c[w]), 9);
      _mm256_storeu_ps(words + 16 * w + 8 * half, _mm256_cvtepi32_ps(upper));
    }
  }
#else
  for (uint32_t l = 0; l < 16; ++l) {
    const std::array<uint32_t, 4> bits =
        philox({first + l, key.step, key.sequence, key.position},
               {static_cast<uint32_t>(key.seed), static_cast<uint32_t>(key.seed >> 32)});
    for (uint32_t w = 0; w < 4; ++w) words[16 * w + l] = static_cast<float>(bits[w] >> 9);
  }
#endif
}

}  // namespace cohort::sampling
