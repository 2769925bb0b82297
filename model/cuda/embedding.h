// Embedding on the GPU: shapes and meaning as in ops/elementwise.h, and the same bits: copies, and sums in one order.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/cuda/stream.h"
#include "model/ops/row_parts.h"
#include "model/tensor.h"

namespace cohort::cuda {

// x[t] = scale * table[tokens[t]].    tokens (T) i32, on the device. Whoever makes the ids checks them: one outside the
// table makes its row NaN, and nothing outside the table is read. With `drawn` (n) i32 a negative one, -1 - i, stands for drawn[i].
void embedding(Tensor x, Tensor tokens, Tensor table, Stream stream, float scale = 1, Tensor drawn = {});

// Where each row of the table gets its gradient from: made on the host, where the tokens of a pack are known anyway, and
// carried to the device as one i32 tensor. Sum s = part * kept rows + place of the row among them adds the rows
// rows[begin[s]] .. rows[begin[s + 1] - 1] of dx in that order.
struct EmbeddingOrder {
  int64_t parts = 0, kept = 0, tokens = 0;
  std::vector<int32_t> numbers;  // begin (parts * kept + 1), rows (tokens), kept rows (kept), merges (parts)
};
// kept_rows ascending; exit code 1 unless all that `tokens` names are among them and they lie in a table of `vocab` rows.
EmbeddingOrder embedding_order(std::span<const int32_t> tokens, std::span<const int32_t> kept_rows, int64_t vocab,
                               std::span<const RowPart> parts = {});

// kept_sums[s] += scale * dx[t] for the rows t of sum s; then dtable[row] = the tree over the parts' sums, for kept rows.
// dtable (V, C) f32   kept_sums (parts * kept, C) f32   dx (T, C) f32   device_order: order.numbers on the device
void embedding_backward(Tensor dtable, Tensor kept_sums, Tensor dx, const EmbeddingOrder& order, Tensor device_order,
                        Stream stream, float scale = 1);

}  // namespace cohort::cuda
