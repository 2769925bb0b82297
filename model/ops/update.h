// Ops of the optimizer: AdamW (Loshchilov and Hutter 2019) on one span of the flat parameters, and fixed-order sums.
#pragma once

#include <cstdint>
#include <span>

#include "model/exec.h"
#include "model/tensor.h"

namespace cohort {

struct AdamWStep {
  float learning_rate, beta1 = 0.9f, beta2 = 0.999f, eps = 1e-8f, weight_decay = 0.0f;
  float gradient_scale = 1.0f;  // clipping: multiplies each gradient first
  int64_t step = 1;             // 1-based, for the bias corrections
};

// One piece of one parameter: m, v, master, gradient: n floats; `weight` (n, act dtype) gets the rounded master.
//   g = gradient_scale * gradient;  m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2
//   master -= lr * (weight_decay * master + mhat / (sqrt(vhat) + eps))            (decoupled decay, as torch.optim.AdamW)
// Elementwise: bits do not depend on how the span is cut.
void adamw(std::span<float> master, std::span<float> m, std::span<float> v, std::span<const float> gradient,
           Tensor weight, const AdamWStep& step, const Exec& ex);

// sum += other, elementwise.
void add_into(std::span<float> sum, std::span<const float> other, const Exec& ex);

// Sum of squares in double: chunks of 4096 elements counted from data's start, then a fixed binary tree over chunks.
double sum_of_squares(std::span<const float> data, const Exec& ex);

// Index of the first element that is NaN or infinite, or -1.
int64_t find_non_finite(std::span<const float> data, const Exec& ex);

}  // namespace cohort
