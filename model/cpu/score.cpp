// A classifier's head (ops/score.h): few rows and one output each, so plain loops.
#include "model/ops/score.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "core/check.h"

namespace cohort {

void head_scores_backward(Tensor dh, Tensor dw, std::span<const float> dscores, Tensor h, const PackedWeight& w, const Exec& ex,
                          std::span<const RowPart> parts) {
  const int64_t n = h.rows(), C = h.cols();
  CHECK(ex.gpu == nullptr, "a gradient of scores on a GPU");
  CHECK(w.n == 1 && w.k == C && dh.rows() == n && dh.cols() == C && dw.size() == C && static_cast<int64_t>(dscores.size()) == n,
        "a gradient of {} scores of {} rows of {}", dscores.size(), n, C);
  check_row_parts("head_scores_backward", parts, n);
  std::vector<std::byte> weight(static_cast<size_t>(C) * dtype_size(w.dtype));
  const Tensor flat(weight.data(), w.dtype, {C});
  unpack_span(flat, w, 0);
  const auto number = [](Tensor t, int64_t i) { return t.dtype == DType::f32 ? t.f32()[i] : to_float(t.b16()[i]); };
  const RowPart whole{0, n, 0};
  const std::span<const RowPart> all = parts.empty() ? std::span(&whole, 1) : parts;
  constexpr int64_t kColumns = 64;
  ex.pool->run((C + kColumns - 1) / kColumns, [&](int64_t task, int) {
    for (int64_t c = task * kColumns; c < std::min(C, (task + 1) * kColumns); ++c) {
      const float w_c = number(flat, c);
      std::array<float, kMaxOpenSums> sums{};  // of parts, which meet as row_parts.h says
      int depth = 0;
      for (const RowPart& part : all) {
        float sum = 0;
        for (int64_t i = part.begin; i < part.begin + part.count; ++i) {
          dh.f32()[i * C + c] = dscores[static_cast<size_t>(i)] * w_c;
          sum = std::fma(dscores[static_cast<size_t>(i)], number(h, i * C + c), sum);
        }
        sums[static_cast<size_t>(depth++)] = sum;
        for (int merge = 0; merge < part.merges; ++merge) {
          --depth;
          sums[static_cast<size_t>(depth - 1)] += sums[static_cast<size_t>(depth)];
        }
      }
      dw.f32()[c] = all.empty() ? 0 : sums[0];
    }
  });
}

}  // namespace cohort
