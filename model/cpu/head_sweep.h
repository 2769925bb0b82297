// Logits of the head, a chunk of the vocabulary at a time, while they are in cache. Private to model/cpu.
#pragma once

#include <algorithm>

#include "model/cpu/gemm.h"
#include "model/cpu/head_stats.h"

namespace cohort::head {

constexpr int64_t kRowsInCache = 64;  // rows whose logits of one chunk are looked at while they are in cache
// Bytes of logits that pass, on all threads.
inline size_t passing_bytes(int threads) { return static_cast<size_t>(threads * kRowsInCache * kChunk) * sizeof(float); }

// Where logits lie: those of the first `chunks` chunks stay in `kept` (chunks, rows, kChunk): rows V apart would crowd into
// a few sets of the caches. Of the others some rows' logits at a time lie in `passing` (passing_bytes).
struct LogitSpace {
  float* kept;
  int64_t chunks;
  float* passing;

  float* passing_of(int thread) const { return passing + thread * kRowsInCache * kChunk; }
};

// What makes logits.    a (rows, C), in its lane dtype   w (V, C) packed
struct LogitSource {
  Tensor a;
  const PackedWeight& w;
  float softcap;
};

// Capped logits of `count` rows from `row` on and of chunk `chunk`, kChunk apart. The thread will likely want panel `next` then.
inline void chunk_logits(float* out, const LogitSource& from, int64_t chunk, int64_t row, int64_t count, int64_t next = 0) {
  const int64_t begin = chunk * kChunk, columns = std::min(kChunk, from.w.n - begin);
  const std::byte* panels =
      gemm::panels(from.w) + static_cast<size_t>(begin / gemm::kPanelColumns) * gemm::panel_bytes(from.w);
  const gemm::Product product{gemm::rows_in_place(from.a.slice_rows(row, count)), panels, {out, DType::f32, kChunk, false},
                              count, columns, from.a.dtype};
  gemm::multiply_block(product, 0, count, 0, gemm::panels_of(columns), next);
  for (int64_t i = 0; from.softcap > 0 && i < count; ++i) cap_logits(out + i * kChunk, columns, from.softcap);
}

// body(c, r, logits, thread): chunk c of row r, capped, on all threads.
template <typename Body>
void sweep(const LogitSpace& space, const LogitSource& from, const Exec& ex, const Body& body) {
  const int64_t rows = from.a.rows(), chunks = chunks_of(from.w.n), threads = ex.pool->size();
  ex.pool->run(chunks, [&](int64_t c, int thread) {
    for (int64_t r = 0; r < rows; r += kRowsInCache) {
      const int64_t some = std::min(kRowsInCache, rows - r);
      float* out = c < space.chunks ? space.kept + (c * rows + r) * kChunk : space.passing_of(thread);
      // Threads take chunks in turn: after the last rows this one's next is likely `threads` chunks on.
      const bool goes_on = r + some == rows && c + threads < chunks;
      chunk_logits(out, from, c, r, some, goes_on ? threads * (kChunk / gemm::kPanelColumns) : 0);
      for (int64_t i = 0; i < some; ++i) body(c, r + i, out + i * kChunk, thread);
    }
  });
}

}  // namespace cohort::head
