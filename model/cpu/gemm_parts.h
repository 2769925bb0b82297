// C = A^T B over rows in parts (ops/row_parts.h): the gradients of weights. Each tile of C is finished while it is in
// registers and the first-level cache, and written once, past the caches: nothing reads it before the optimizer.
#pragma once

#include <span>
#include <vector>

#include "model/cpu/gemm.h"
#include "model/ops/row_parts.h"

namespace cohort::gemm {

// What a tile does with the next `rows` rows: adds them up; adds that to the sum on top (`joins`) or puts it there;
// keeps the sum on top as that of `part` (-1: not); merges the sums on top `merges` times.
struct SumStep {
  int64_t rows;
  bool joins;
  int part, merges;
};
// Lanes of a step: whole ones, and where they are multiplied in tiles a multiple of a tile's, the last of them zeros.
int64_t step_lanes(int64_t rows, DType lane_dtype);
int64_t lanes_of_steps(std::span<const SumStep> steps, DType lane_dtype);

// Rows that are laid out together, the lane of the first, and how many lanes they fill.
struct RowBlock {
  int64_t row, rows, lane, lanes;
};
std::vector<RowBlock> row_blocks(std::span<const SumStep> steps, DType lane_dtype);

// Rows of a laid-out tile of A = y^T, and the bytes that it takes. In it lanes follow each other, each of all rows; where
// they are multiplied in tiles, 16 lanes of each row.
int64_t tile_rows(DType lane_dtype);
int64_t tiles_of(int64_t rows, DType lane_dtype);
size_t tile_bytes(int64_t lanes, DType lane_dtype);

// Lays out a block of B = x in panels of `lanes` lanes, from `panels` on.        x (T, K): contraction over T
void pack_columns(void* panels, Tensor x, int64_t lanes, const RowBlock& block);
// The same of B = w, from lane `lane` on, for the rows of w that one of its panels holds.    space: panel_rows_bytes(w)
void turn_panel(void* panels, const PackedWeight& w, int64_t panel, int64_t lanes, int64_t lane, void* space);
// Lays out a block of tiles [begin, end) of A = y^T, from `tiles` on.            y (T, N): a row of A is a column of y
void pack_tiles(void* tiles, Tensor y, int64_t lanes, const RowBlock& block, int64_t begin, int64_t end);

struct PartProduct {
  const std::byte *tiles, *panels;  // A and B, laid out by the functions above
  int64_t lanes;
  float* c;  // (m, n)
  int64_t m, n;
  DType lane_dtype;
  std::span<const SumStep> steps;
  bool open = false;      // c holds a sum: the first on the stack
  KeptRows kept = {};     // rows of the whole matrix
  int64_t first_row = 0;  // of c in the whole matrix
};

// Rows [row, row_end) and panels [panel, panel_end) of C, on the calling thread. `row` starts a block.
void multiply_parts(const PartProduct& product, int64_t row, int64_t row_end, int64_t panel, int64_t panel_end);

}  // namespace cohort::gemm
