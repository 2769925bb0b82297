// Sorts the rows of an embedding's gradient by what they are added to (embedding.h).
#include <algorithm>

#include "core/check.h"
#include "model/cuda/embedding.h"

namespace cohort::cuda {

EmbeddingOrder embedding_order(std::span<const int32_t> tokens, std::span<const int32_t> kept_rows, int64_t vocab,
                               std::span<const RowPart> parts) {
  const char* op = "embedding_backward";
  const int64_t T = static_cast<int64_t>(tokens.size()), kept = static_cast<int64_t>(kept_rows.size());
  check_row_parts(op, parts, T);
  const RowPart whole{0, T, 0};
  if (parts.empty()) parts = {&whole, 1};
  for (int32_t row : kept_rows) CHECK(row >= 0 && row < vocab, "{}: row {} of a matrix of {} rows", op, row, vocab);

  EmbeddingOrder order{static_cast<int64_t>(parts.size()), kept, T, {}};
  const int64_t sums = order.parts * kept;
  CHECK(sums < INT32_MAX && T < INT32_MAX, "{}: {} sums of {} rows, too many for 32 bits", op, sums, T);
  std::vector<int32_t> sum_of(static_cast<size_t>(T));
  std::vector<int32_t> begin(static_cast<size_t>(sums) + 1, 0), rows(static_cast<size_t>(T));
  for (int64_t p = 0; p < order.parts; ++p) {
    const RowPart& part = parts[static_cast<size_t>(p)];
    for (int64_t t = part.begin; t < part.begin + part.count; ++t) {
      const int32_t token = tokens[static_cast<size_t>(t)];
      const auto at = std::ranges::lower_bound(kept_rows, token);
      CHECK(at != kept_rows.end() && *at == token, "{}: row {} is not kept", op, token);
      const int64_t sum = p * kept + (at - kept_rows.begin());
      sum_of[static_cast<size_t>(t)] = static_cast<int32_t>(sum);
      ++begin[static_cast<size_t>(sum) + 1];
    }
  }
  for (size_t s = 0; s < static_cast<size_t>(sums); ++s) begin[s + 1] += begin[s];
  std::vector<int32_t> next(begin.begin(), begin.end() - 1);
  for (size_t t = 0; t < rows.size(); ++t)
    rows[static_cast<size_t>(next[static_cast<size_t>(sum_of[t])]++)] = static_cast<int32_t>(t);

  order.numbers = std::move(begin);
  order.numbers.insert(order.numbers.end(), rows.begin(), rows.end());
  order.numbers.insert(order.numbers.end(), kept_rows.begin(), kept_rows.end());
  for (const RowPart& part : parts) order.numbers.push_back(part.merges);
  return order;
}

}  // namespace cohort::cuda
