// What the kernels of attention's forward pass share: their arguments, and how running softmaxes meet. Private to model/cuda.
#pragma once

#include "model/cuda/attention_tiles.cuh"

namespace cohort::cuda::kernels {

constexpr int kKeyBlock = 64, kSplitSize = static_cast<int>(kSplitKeys);
static_assert(kSplitSize % kKeyBlock == 0);

// Whether the block of keys from `base` on is the last of its split, or of all keys before `end`.
__device__ __forceinline__ bool ends_split(int base, int end) {
  return (base + kKeyBlock) % kSplitSize == 0 || base + kKeyBlock >= end;
}

template <typename T>
struct ForwardArguments {
  T* out;
  float *lse, *partials;  // lse may be null; partials (partials, H, kD + 2): largest score, weight, sums
  const T* q;
  const QueryTile* tiles;
  PlanView plan;
  HeadShape shape;

  // Where a row's partial of a split lies.
  __device__ __forceinline__ int64_t partial_of(const TileRow& row, int split) const {
    const int first_split = shape.window_begin(row.position) / kSplitSize;
    return static_cast<int64_t>(plan.first_partials[row.query] + split - first_split) * shape.heads + row.head;
  }
};

// How a running softmax (the largest score, the sum of 2^(score - largest), the values' weighted sums) takes up another
// over keys behind its own: what is summed is mine * own + others * other. If the row sees none of the other's keys
// nothing may change, not even by a factor of one: a tile's other rows decide whether there is another at all.
struct Meeting {
  float most, mine, others;
  bool none;

  __device__ __forceinline__ Meeting(float own_most, float other_most, float other_weight)
      : most(own_most), mine(1), others(0), none(other_most == minus_infinity() && other_weight == 0) {
    if (none) return;
    most = fmaxf(own_most, other_most);
    mine = exp2f(own_most - most);
    others = exp2f(other_most - most);
  }
  __device__ __forceinline__ float sum(float own, float other) const { return __fmaf_rn(own, mine, other * others); }
};

// A row's results. Whether a sum that is zero is +0 or -0 may depend on the blocks of keys that other rows of its tile
// see, so results have no -0.
__device__ __forceinline__ float weighted_mean(float sum, float weight_inverse) { return sum * weight_inverse + 0.0f; }
__device__ __forceinline__ float log_sum_exp(float most, float weight) {
  constexpr float kLn2 = 0.693147181f;
  return __fmaf_rn(most, kLn2, logf(weight));
}

// The running softmax of a row that has eight lanes, with the sums in this lane's dimensions.
template <int kDims>
struct Softmax {
  float most, weight, sums[kDims];

  __device__ __forceinline__ void clear() {
    most = minus_infinity();
    weight = 0;
#pragma unroll
    for (int c = 0; c < kDims; ++c) sums[c] = 0;
  }
  __device__ __forceinline__ void add(float other_most, float other_weight, const float (&other_sums)[kDims]) {
    const Meeting meeting(most, other_most, other_weight);
    if (meeting.none) return;
    most = meeting.most;
    weight = meeting.sum(weight, other_weight);
#pragma unroll
    for (int c = 0; c < kDims; ++c) sums[c] = meeting.sum(sums[c], other_sums[c]);
  }
};

template <int kDims, typename T>
__device__ __forceinline__ void write_row(T* out, float* lse, const Softmax<kDims>& softmax, int lane, int head_size) {
  const float inverse = __fdiv_rn(1.0f, softmax.weight);
#pragma unroll
  for (int c = 0; c < kDims; ++c)
    if (lane * kDims + c < head_size) store_as(out + lane * kDims + c, weighted_mean(softmax.sums[c], inverse));
  if (lse != nullptr && lane == 0) *lse = log_sum_exp(softmax.most, softmax.weight);
}

}  // namespace cohort::cuda::kernels
