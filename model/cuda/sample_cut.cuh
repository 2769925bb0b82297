// Filters as a cut through a row's tokens, ordered by logit and, among equals, by id. Private to model/cuda.
#pragma once

#include <cstdint>

#include "model/cuda/head_stats.cuh"
#include "model/cuda/sample.h"

namespace cohort::cuda {

struct DeviceBan {
  int count;
  uint32_t before;
  int32_t tokens[kMaxBanned];

  __device__ __forceinline__ bool holds(uint32_t position, int32_t token) const {
    if (position >= before) return false;
    for (int i = 0; i < count; ++i)
      if (tokens[i] == token) return true;
    return false;
  }
};

// Ascends with the number; -0 is 0.
__device__ __forceinline__ uint32_t order_key(float x) {
  const uint32_t bits = __float_as_uint(x + 0.0f);
  return bits >> 31 != 0 ? ~bits : bits | 0x80000000u;
}

// Tokens ahead of `key`, those equal to it up to id `last`, and of these those whose weight e^(scaled - largest) is at
// least `least_weight`.
struct Cut {
  uint32_t key;
  int32_t last;
  float largest, least_weight;

  __device__ __forceinline__ bool keeps(float scaled_logit, int32_t token) const {
    const uint32_t k = order_key(scaled_logit);
    if (k < key || (k == key && token > last)) return false;
    return least_weight <= 0 || expf(scaled_logit - largest) >= least_weight;
  }
};

struct FilterSettings {
  int32_t top_k;  // 0: off
  float top_p, min_p;
  LogitScale scale;
};

// cuts (B), kept_mass (B): from logits (B, V) and each row's log-sum-exp.
void filter_rows(Cut* cuts, float* kept_mass, const float* logits, const float* lse, const DrawKey* keys, int64_t rows,
                 int64_t vocab, const FilterSettings& settings, const DeviceBan& ban, Stream stream);

}  // namespace cohort::cuda
