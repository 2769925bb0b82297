// Logits of the head, a chunk of the vocabulary at a time, while they are in cache. Private to model/cpu.
#pragma once

#include <algorithm>

#include "model/cpu/gemm.h"
#include "model/cpu/head_stats.h"

namespace cohort::head {

constexpr int64_t kRowsInCache = 64;  // rows whose logits of one chunk are looked at while they are in cache
// Bytes that a sweep needs where it keeps no logits.
inline size_t sweep_bytes(int threads) { return static_cast<size_t>(threads * kRowsInCache * kChunk) * sizeof(float); }

// body(c, r, logits, thread): chunk c of row r, capped, on all threads. The logits stay in `logits` (chunks, rows,
// kChunk): rows V apart would crowd into a few sets of the caches. When it is null they are kept nowhere: a chunk of
// some rows at a time lies in `scratch` (sweep_bytes).    a (rows, C) of a lane dtype
template <typename Body>
void sweep(float* logits, float* scratch, Tensor a, const PackedWeight& w, float softcap, const Exec& ex,
           const Body& body) {
  const int64_t rows = a.rows(), V = w.n, chunks = chunks_of(V), threads = ex.pool->size();
  const int64_t panels = kChunk / gemm::kPanelColumns;
  const size_t chunk_bytes = static_cast<size_t>(panels) * gemm::panel_bytes(gemm::lanes_of(w.k, a.dtype));
  ex.pool->run(chunks, [&](int64_t c, int thread) {
    const int64_t count = std::min(kChunk, V - c * kChunk);
    for (int64_t r = 0; r < rows; r += kRowsInCache) {
      const int64_t some = std::min(kRowsInCache, rows - r);
      float* out = logits ? logits + (c * rows + r) * kChunk : scratch + thread * kRowsInCache * kChunk;
      const gemm::Product product{gemm::rows_in_place(a.slice_rows(r, some)),
                                  gemm::panels(w) + static_cast<size_t>(c) * chunk_bytes,
                                  {out, DType::f32, kChunk, false},
                                  some,
                                  count,
                                  a.dtype};
      // Threads take chunks in turn: after the last rows this one's next is likely `threads` chunks on.
      const int64_t next = r + some == rows && c + threads < chunks ? threads * panels : 0;
      gemm::multiply_block(product, 0, some, 0, gemm::panels_of(count), next);
      for (int64_t i = 0; softcap > 0 && i < some; ++i) cap_logits(out + i * kChunk, count, softcap);
      for (int64_t i = 0; i < some; ++i) body(c, r + i, out + i * kChunk, thread);
    }
  });
}

}  // namespace cohort::head
