// Low-rank terms merged into a packed weight (LoRA, Hu et al. 2021, arXiv:2106.09685), and packed weights with the same
// numbers. On the CPU only.
#pragma once

#include <cstdint>
#include <span>

#include "model/exec.h"
#include "model/ops/matmul.h"

namespace cohort {

// Rows [row, row + rows) of a weight (N, K) get b a added.     a (rank, K), b (rows, rank) f32
struct LowRankTerm {
  int64_t row, rows, rank;
  const float *a, *b;
};

// merged = base + scale b a. Each element is one chain of multiply-adds over the rank, in order and in f32, then one more with the
// scale and the base's number, then rounded to the weight's dtype: a function of these numbers alone. Rows of no term, and those
// whose row of b is 0, are the base's, bit for bit. Terms ascend and do not overlap; `merged` has the shape of the base and its
// memory, or may be the base itself.
void merge_low_rank(PackedWeight& merged, const PackedWeight& base, std::span<const LowRankTerm> terms, float scale, const Exec& ex);

// `to` lies where `from` does, and is what it is from then on.
void share_packed(PackedWeight& to, const PackedWeight& from);
// The numbers of `from`, into memory that `to` has (reserve_packed) for its shape and dtype.
void copy_packed(PackedWeight& to, const PackedWeight& from);

}  // namespace cohort
