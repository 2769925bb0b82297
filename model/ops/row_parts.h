// How the gradient of a weight, a sum over the rows of a pack, is added up: in parts, whose sums meet in a tree.
//
// Several packs run as one (trainer/pack_runner.h), yet their gradients are added as if each had run alone: the ops
// keep the parts' sums apart and write the total once, so that a gradient costs memory traffic once, however many packs
// share it.
#pragma once

#include <cstdint>
#include <span>

#include "model/tensor.h"

namespace cohort {

// Rows that are added up in order, beginning at zero. Parts ascend and cover all rows. The sum of each goes on a stack,
// and then, `merges` times, the two sums on top become one, the lower plus the upper; at the end one is left.
struct RowPart {
  int64_t begin, count;
  int merges;
};

// Sums on the stack, at most.
constexpr int kMaxOpenSums = 16;

// Exit code 1, naming `op`, unless the parts are such a sum over `rows` rows. No parts at all: one part, all rows.
void check_row_parts(const char* op, std::span<const RowPart> parts, int64_t rows);

// Rows of a matrix of gradients that get more terms, part by part, before the parts meet: those of an embedding that is
// also the head.
struct KeptRows {
  std::span<const int32_t> rows;  // ascending
  Tensor sums;                    // (parts * rows.size(), C) f32: each part's sums of these rows
};

}  // namespace cohort
