// Ops of the optimizer: AdamW (Loshchilov and Hutter 2019) on one span of the flat parameters, and fixed-order sums.
#pragma once

#include <cstdint>
#include <span>

#include "model/exec.h"
#include "model/ops/matmul.h"
#include "model/tensor.h"

namespace cohort {

struct AdamWStep {
  float learning_rate, beta1 = 0.9f, beta2 = 0.999f, eps = 1e-8f, weight_decay = 0.0f;
  float gradient_scale = 1.0f;  // clipping: multiplies each gradient first
  int64_t step = 1;             // 1-based, for the bias corrections
};

// What AdamW keeps of each weight beside the weight itself. A bf16 weight is the rounding of a float32 master weight:
// the master's upper half is the weight or, where it was rounded up, the number before it, so that the lower half and one
// bit make it whole again. That bit is the sign of v, which is never negative. A float32 weight is its own master.
struct AdamWState {
  std::span<uint16_t> low;  // lower half of each master; of float32 weights: empty
  std::span<float> m, v;    // moments; -v where the weight was rounded up
};
// Between a master and what it is kept as: `weight` is its rounding (to_bf16), in `state` the moments stay.
// weight: (n), bf16 or f32
void split_masters(Tensor weight, const AdamWState& state, std::span<const float> master);
void join_masters(std::span<float> master, Tensor weight, const AdamWState& state);

// One piece of one parameter, n elements; `weight` (n) bf16 or f32.
//   g = gradient_scale * gradient;  m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2
//   master -= lr * (weight_decay * master + mhat / (sqrt(vhat) + eps))            (decoupled decay, as torch.optim.AdamW)
// Elementwise: bits do not depend on how the span is cut.
void adamw(Tensor weight, const AdamWState& state, std::span<const float> gradient, const AdamWStep& step, const Exec& ex);
// The same of elements [begin, begin + n) of a packed weight, in place.
void adamw(PackedWeight& weight, int64_t begin, const AdamWState& state, std::span<const float> gradient,
           const AdamWStep& step, const Exec& ex);

// sum += other, elementwise.
void add_into(std::span<float> sum, std::span<const float> other, const Exec& ex);

// Sum of squares in double: chunks of 4096 elements counted from data's start, then a fixed binary tree over chunks.
double sum_of_squares(std::span<const float> data, const Exec& ex);

// Index of the first element that is NaN or infinite, or -1.
int64_t find_non_finite(std::span<const float> data, const Exec& ex);

}  // namespace cohort
