// Statistics of softmax(logits / temperature) over one row of the vocabulary, in chunks of kHeadChunk columns. Sampler and
// trainer both go through these functions, so their log-probs are equal bits. Private to model/cuda.
#pragma once

#include <cstdint>

#include "model/cuda/head.h"
#include "model/cuda/platform/reduce.cuh"
#include "model/cuda/tensors.cuh"

namespace cohort::cuda {

constexpr int kStatsThreads = 256;
inline int64_t head_chunks(int64_t vocab) { return (vocab + kHeadChunk - 1) / kHeadChunk; }

// Of the scaled logits x of one chunk: m = max x, sum of e^(x - m), and sum of e^(x - m) (x - m).
struct ChunkStats {
  float max, sum, weighted;
};

// How a logit of the product becomes one of the softmax: capped (ops/head.h), then over the temperature.
struct LogitScale {
  float softcap;  // 0: off
  float inverse_temperature;
};
__device__ __forceinline__ float capped(float logit, const LogitScale& scale) {
  return scale.softcap > 0 ? scale.softcap * tanhf(__fdiv_rn(logit, scale.softcap)) : logit;
}
__device__ __forceinline__ float scaled(float logit, const LogitScale& scale) {
  return capped(logit, scale) * scale.inverse_temperature;
}

// Below this, e^x is 0: keeps 0 * -inf out of the sums. NaN stays NaN.
__device__ __forceinline__ float bounded(float x) { return x < -104.0f ? -104.0f : x; }

// Of one row's chunk, by all threads of a block of kStatsThreads: a thread takes every kStatsThreads-th column.
__device__ __forceinline__ ChunkStats chunk_stats(const float* logits, int count, const LogitScale& scale) {
  float most = minus_infinity();
  for (int c = threadIdx.x; c < count; c += kStatsThreads) most = max_or_nan(most, scaled(logits[c], scale));
  most = block_max<kStatsThreads>(most);
  if (most == minus_infinity()) return {most, 0, 0};
  float sum = 0, weighted = 0;
  for (int c = threadIdx.x; c < count; c += kStatsThreads) {
    const float below = bounded(scaled(logits[c], scale) - most), e = expf(below);
    sum += e;
    weighted = __fmaf_rn(e, below, weighted);
  }
  sum = block_sum<kStatsThreads>(sum);
  return {most, sum, block_sum<kStatsThreads>(weighted)};
}

struct RowSummary {
  float max, lse, entropy;
};
// One row's chunks, `stride` apart, in order.
__device__ __forceinline__ RowSummary combine_chunks(const ChunkStats* chunks, int count, int64_t stride) {
  float most = minus_infinity();
  for (int c = 0; c < count; ++c) most = max_or_nan(most, chunks[c * stride].max);
  float sum = 0, weighted = 0;
  for (int c = 0; c < count; ++c) {
    const ChunkStats chunk = chunks[c * stride];
    const float below = bounded(chunk.max - most), e = expf(below);
    sum = __fmaf_rn(chunk.sum, e, sum);
    weighted = __fmaf_rn(__fmaf_rn(chunk.sum, below, chunk.weighted), e, weighted);
  }
  // sum >= 1, since e^0 is 1, and weighted <= 0: no rounding takes lse below the largest logit or the entropy below 0.
  const float log_sum = logf(sum);
  return {most, most + log_sum, log_sum - __fdiv_rn(weighted, sum)};
}

}  // namespace cohort::cuda
