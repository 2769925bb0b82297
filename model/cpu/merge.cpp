// Low-rank terms merged into a packed weight on the CPU (ops/merge.h).
#include "model/ops/merge.h"

#include <algorithm>

#include "core/check.h"
#include "model/cpu/gemm.h"
#include "model/cpu/parallel.h"
#include "model/cpu/vector_math.h"

namespace cohort {
namespace {

using namespace simd;

// weight (K) = weight + scale b a, with one row of b.
template <typename W>
void merge_row(W* weight, int64_t K, const LowRankTerm& term, const float* b, float scale) {
  const F16 factor = splat(scale);
  for (int64_t k = 0; k < K; k += kLanes) {
    const int64_t lanes = lanes_left(K, k);
    F16 sum = splat(0.0f);
    for (int64_t j = 0; j < term.rank; ++j) sum = fma(splat(b[j]), load_first(term.a + j * K + k, lanes), sum);
    store_first(weight + k, fma(sum, factor, load_first(weight + k, lanes)), lanes);
  }
}

}  // namespace

void merge_low_rank(PackedWeight& merged, const PackedWeight& base, std::span<const LowRankTerm> terms, float scale, const Exec& ex) {
  CHECK(ex.device == Device::cpu && ex.pool != nullptr && ex.workspace != nullptr, "merge_low_rank on the CPU without a CPU context");
  CHECK(merged.n == base.n && merged.k == base.k && merged.dtype == base.dtype, "merge_low_rank: {} ({}, {}) from {} ({}, {})",
        dtype_name(merged.dtype), merged.n, merged.k, dtype_name(base.dtype), base.n, base.k);
  int64_t next = 0;
  for (const LowRankTerm& term : terms) {
    CHECK(term.row >= next && term.rows > 0 && term.row + term.rows <= base.n && term.rank > 0,
          "merge_low_rank: a term of rank {} in rows [{}, {} + {}) of {}, after row {}", term.rank, term.row, term.row, term.rows, base.n, next);
    next = term.row + term.rows;
  }
  const int64_t K = base.k;
  const size_t panel = gemm::panel_bytes(base);
  std::byte* to = gemm::panels(merged);
  with_storage(base.dtype, [&]<typename W>(W) {
    // A panel is unpacked, added to and packed again while it is in the cache.
    ex.pool->run(gemm::panels_of(base.n), [&](int64_t p, int thread) {
      const Tensor rows = gemm::unpack_panel(ex.workspace->get(thread, gemm::panel_rows_bytes(base)), base, p);
      const int64_t first = p * gemm::kPanelColumns, last = first + rows.rows();
      for (const LowRankTerm& term : terms) {
        for (int64_t n = std::max(first, term.row); n < std::min(last, term.row + term.rows); ++n) {
          const float* b = term.b + (n - term.row) * term.rank;
          if (std::any_of(b, b + term.rank, [](float x) { return x != 0; }))
            merge_row(static_cast<W*>(rows.data) + (n - first) * K, K, term, b, scale);
        }
      }
      gemm::pack_rows(to + static_cast<size_t>(p) * panel, rows, 0, 1);
    });
  });
}

}  // namespace cohort
