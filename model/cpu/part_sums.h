// Sums over rows in parts (ops/row_parts.h), for ops whose sums lie in vector registers. Private to model/cpu.
#pragma once

#include <span>

#include "model/cpu/vector_math.h"
#include "model/ops/row_parts.h"

namespace cohort::simd {

// `parts`, or `whole` when there are none.
inline std::span<const RowPart> parts_or(std::span<const RowPart> parts, const RowPart& whole) {
  return parts.empty() ? std::span(&whole, 1) : parts;
}

// The stack of sums of N vectors each.
template <int N>
class PartStack {
 public:
  void push(const F16 (&sum)[N], int merges) {
    for (int i = 0; i < N; ++i) sums_[depth_][i] = sum[i];
    ++depth_;
    for (; merges > 0; --merges) {
      --depth_;
      for (int i = 0; i < N; ++i) sums_[depth_ - 1][i] = sums_[depth_ - 1][i] + sums_[depth_][i];
    }
  }
  const F16 (&total() const)[N] { return sums_[0]; }

 private:
  F16 sums_[kMaxOpenSums][N];
  int depth_ = 0;
};

}  // namespace cohort::simd
