// The noise of sampling on the GPU: the CPU's, bit for bit (cpu/sample_noise.h): counter-based words, and a logarithm of
// our own, whose bits no compiler or device can change. Private to model/cuda.
#pragma once

#include <cstdint>

#include "core/rng.h"
#include "model/cuda/platform/platform.cuh"
#include "model/ops/sample.h"

namespace cohort::cuda {

constexpr int kNoiseBlock = 64;  // token ids that share sixteen Philox calls

// Philox4x32-10 (core/rng.h).
struct PhiloxWords {
  uint32_t word[4];
};
__device__ __forceinline__ PhiloxWords philox_words(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3, uint64_t key) {
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
#pragma unroll
  for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * c0, p1 = uint64_t{0xCD9E8D57u} * c2;
    c0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0;
    c2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<uint32_t>(p1);
    c3 = static_cast<uint32_t>(p0);
  }
  return {{c0, c1, c2, c3}};
}

// The words of tokens 64 block + 16 w + lane, w < 4: call 16 block + lane.
__device__ __forceinline__ PhiloxWords noise_words(const DrawKey& key, uint32_t call) {
  return philox_words(static_cast<uint32_t>(cohort::Stream::kSample) << 24 | call, key.step, key.sequence, key.position,
                      key.seed);
}

// Natural logarithm of a positive, normal, finite number: simd::log of cpu/vector_math.h, operation by operation.
__device__ __forceinline__ float noise_log(float x) {
  const int bits = __float_as_int(x), e = (bits - 0x3F400000) >> 23;  // 0x3F400000 is 0.75
  const float f = __int_as_float(bits - e * (1 << 23)) - 1.0f, exponent = static_cast<float>(e);
  float p = -0x1.842826p-5f;
  p = __fmaf_rn(p, f, 0x1.b339ccp-4f);
  p = __fmaf_rn(p, f, -0x1.0cc1acp-3f);
  p = __fmaf_rn(p, f, 0x1.27b318p-3f);
  p = __fmaf_rn(p, f, -0x1.54f19ap-3f);
  p = __fmaf_rn(p, f, 0x1.997802p-3f);
  p = __fmaf_rn(p, f, -0x1.000068p-2f);
  p = __fmaf_rn(p, f, 0x1.555580p-2f);
  p = __fmaf_rn(p, f, -0.5f);
  const float small = __fmaf_rn(exponent, -0x1.05c610p-29f, f * f * p);
  return __fmaf_rn(exponent, 0x1.62e430p-1f, f + small);
}

// -log(-log(u)) of a word, u = (upper 23 bits + 1/2) 2^-23 (open_uniform).
__device__ __forceinline__ float gumbel_of(uint32_t word) {
  const float u = (static_cast<float>(word >> 9) + 0.5f) * 0x1p-23f;
  return 0.0f - noise_log(0.0f - noise_log(u));
}

}  // namespace cohort::cuda
