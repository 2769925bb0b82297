// What the kernels of attention's backward pass share: their arguments, and the gradient of a score. Private to model/cuda.
#pragma once

#include "model/cuda/attention_tiles.cuh"

namespace cohort::cuda::kernels {

// p and ds of one row and key.
struct ScoreGradient {
  float p, ds;
};
// log2_lse: the row's log-sum-exp in units of log 2.
__device__ __forceinline__ ScoreGradient score_gradient(float q_dot_k, float dout_dot_v, float log2_lse, float delta,
                                                        const HeadShape& shape) {
  float score = q_dot_k * shape.queries, slope = 1;
  if (shape.cap > 0) {
    const float t = tanhf(score);
    score = shape.cap * t;
    slope = __fmaf_rn(-t, t, 1.0f);
  }
  const float p = exp2f(score - log2_lse);
  return {p, p * (dout_dot_v - delta) * slope};
}

template <typename T>
struct BackwardArguments {
  float *dq, *dk, *dv, *delta;
  const T *dout, *out, *q, *k, *v;
  const float* lse;
  PlanView plan;
  HeadShape shape;
};
constexpr float kLog2e = 1.44269504f;

}  // namespace cohort::cuda::kernels
