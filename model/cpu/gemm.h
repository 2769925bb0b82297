// C = A B on the CPU: what the products of matmul.cpp and head.cpp share.
//
// The contraction runs in lanes of 32 bits: one f32, or two neighbouring bf16 where the processor multiplies such pairs
// (AVX512-BF16, AMX). Elsewhere bf16 is widened to f32 when an operand is laid out, and only the outputs are rounded.
// A is read in tiles of rows, B in panels of columns; a call works on any block of C, and an element's bits do not
// depend on the block (gemm_tile.h; wide_tile.h for bf16 with AMX).
#pragma once

#include <cstddef>
#include <cstdint>

#include "model/exec.h"
#include "model/ops/matmul.h"
#include "model/tensor.h"

namespace cohort::gemm {

// The dtype in which this processor multiplies numbers of dtype `act`; f32 or bf16.
DType lane_dtype(DType act);
// Lanes of a contraction over `depth` elements.
int64_t lanes_of(int64_t depth, DType lane_dtype);

extern const int64_t kPanelColumns;
inline int64_t panels_of(int64_t columns) { return (columns + kPanelColumns - 1) / kPanelColumns; }
// Bytes of one laid-out panel.
inline size_t panel_bytes(int64_t lanes) { return static_cast<size_t>(lanes * kPanelColumns) * 4; }
// Rows that go through a panel together. A block of a product starts at a multiple of them.
int64_t block_rows(DType lane_dtype);
// Whether lanes of this dtype are multiplied in the processor's tile registers.
bool multiplies_tiles(DType lane_dtype);

// Lays out panels [begin, end) of B = w^T from `panels` on.    w (N, K): a column of B is a row of w, contraction over
// K
void pack_rows(void* panels, Tensor w, int64_t begin, int64_t end);
// The way back: rows (n, K) are those of w in one panel, all that it has.
void unpack_panel(Tensor rows, const void* panel);
// One row of them: out[i] = scale * element i of row `row` of a w (rows, cols) whose panels pack_rows laid out.
void unpack_row(float* out, const void* panels, DType w_dtype, int64_t row, int64_t rows, int64_t cols, float scale);
// The panels of a packed weight, and what each takes.
std::byte* panels(const PackedWeight& w);
size_t panel_bytes(const PackedWeight& w);
// Panels [begin, end) hold elements [from, from + count) of w's (n, k).
struct PanelRange {
  int64_t begin, end;
};
PanelRange panels_over(const PackedWeight& w, int64_t from, int64_t count);
// What panel `panel` has of elements [from, from + count): `count` of them, from its own element `at` on, which is their
// `span_at`-th; `whole`: it has no others.
struct PanelPart {
  int64_t at, span_at, count;
  bool whole;
};
PanelPart part_of(const PackedWeight& w, int64_t panel, int64_t from, int64_t count);
// The same of rows [row, row_end) of k elements; a count of none or less: nothing.
PanelPart part_of_rows(int64_t row, int64_t row_end, int64_t k, int64_t from, int64_t count);
// Unpacks panel `panel` of w into `space` (panel_rows_bytes).
Tensor unpack_panel(void* space, const PackedWeight& w, int64_t panel);
// Bytes of the rows of a panel.
size_t panel_rows_bytes(const PackedWeight& w);
// A panel in strips of kStripRows rows (the last perhaps fewer), whose lines of memory are theirs alone.
extern const int64_t kStripRows;
int64_t strips_of(const PackedWeight& w, int64_t panel);
PanelPart part_of_strip(const PackedWeight& w, int64_t panel, int64_t strip, int64_t from, int64_t count);
// Unpacks a strip into `space` (strip_rows_bytes), and back.
Tensor unpack_strip(void* space, const PackedWeight& w, int64_t panel, int64_t strip);
void pack_strip(PackedWeight& w, Tensor rows, int64_t panel, int64_t strip);
size_t strip_rows_bytes(const PackedWeight& w);

// a's rows in its lane dtype: a itself, or a copy in `space` (widened_bytes) where the processor has no bf16.
Tensor in_lane_dtype(Tensor a, void* space, const Exec& ex);
size_t widened_bytes(Tensor a);

// A: where its rows are.
struct Left {
  const std::byte* data;
  int64_t row;    // bytes from one row to the next; lanes follow each other
  int64_t lanes;  // whole lanes, and whether half a lane follows
  bool half;
};
Left rows_in_place(Tensor a);  // a (M, depth) of a lane dtype, as the caller has it

// C: f32 or bf16, rows `stride` elements apart.
struct Output {
  void* data;
  DType dtype;
  int64_t stride;
  bool accumulate;  // C += A B; f32 only
};

struct Product {
  Left a;
  const void* b;  // panels
  Output c;
  int64_t m, n;
  DType lane_dtype;
};

// Rows [row, row_end) and panels [panel, panel_end) of the product, on the calling thread. `row` starts a block; panel
// `next` is the one that the thread will likely want then.
void multiply_block(const Product& product, int64_t row, int64_t row_end, int64_t panel, int64_t panel_end,
                    int64_t next = 0);
// The whole product, shared out over the threads of `ex`.
void multiply(const Product& product, const Exec& ex);

}  // namespace cohort::gemm
