// The language-model head on the CPU (ops/head.h). Rows go through in groups of up to 256: enough work for each sweep over
// the vocabulary that reading the weight and adding to its gradient, both far larger than the caches, costs little.
#include "model/ops/head.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "model/cpu/gemm.h"
#include "model/cpu/head_stats.h"
#include "model/cpu/vector_math.h"

namespace cohort {
namespace {

using head::ChunkStats;
using head::kChunk;

constexpr int64_t kGroup = 256;        // rows of one sweep over the vocabulary; fixes the order of sums in dw
constexpr int64_t kBlock = 8 * kChunk;  // columns whose gradient is held at a time
constexpr int64_t kRowsInCache = 64;   // rows whose logits of one chunk are summed up while they are in cache
constexpr int64_t kRowTask = 16;

// Carves pieces out of one workspace block.
class Pieces {
 public:
  size_t plan(int64_t bytes) {
    const size_t at = size_;
    size_ += (static_cast<size_t>(bytes) + 63) / 64 * 64;
    return at;
  }
  void take(const Exec& ex) { base_ = static_cast<std::byte*>(ex.workspace->get(0, size_)); }
  std::byte* operator[](size_t at) const { return base_ + at; }
  template <typename T>
  T* as(size_t at) const {
    return reinterpret_cast<T*>(base_ + at);
  }

 private:
  size_t size_ = 0;
  std::byte* base_ = nullptr;
};

void check_head(const char* op, Tensor h, const PackedWeight& w, std::span<const int32_t> targets, float temperature,
                const Exec& ex) {
  CHECK(ex.device == Device::cpu && ex.pool != nullptr && ex.workspace != nullptr, "{} on the CPU without a CPU context",
        op);
  CHECK(h.rank == 2 && h.dtype == w.dtype && h.cols() == w.k, "{}: h is {} ({}, {}), the weight {} ({}, {})", op,
        dtype_name(h.dtype), h.rows(), h.cols(), dtype_name(w.dtype), w.n, w.k);
  CHECK(static_cast<int64_t>(targets.size()) == h.rows(), "{}: {} targets for {} rows", op, targets.size(), h.rows());
  CHECK(temperature > 0, "{}: temperature {}, must be positive", op, temperature);
  CHECK(w.n <= head::kMaxVocab, "{}: a vocabulary of {}, at most {}", op, w.n, head::kMaxVocab);
  for (int32_t target : targets) CHECK(target >= 0 && target < w.n, "{}: target {} of a vocabulary of {}", op, target, w.n);
}

// What one sweep over the vocabulary learns of a group of rows.
struct Sweep {
  ChunkStats* chunks;     // (chunks, rows)
  float* target_logit;    // (rows)
  float* logprob;         // (rows)
  float* entropy;         // (rows)
  float* lse;             // (rows)
};

// Logits of rows `a`, and their statistics. The logits stay in `logits` (chunks, rows, kChunk): rows V apart would crowd
// into a few sets of the caches. When it is null they are kept nowhere: a chunk of some rows at a time lies in `scratch`
// (threads, kRowsInCache, kChunk).
void sweep_vocabulary(const Sweep& sweep, float* logits, float* scratch, Tensor a, const PackedWeight& w,
                      std::span<const int32_t> targets, float inverse_temperature, const Exec& ex) {
  const int64_t rows = a.rows(), V = w.n, chunks = head::chunks_of(V);
  const size_t chunk_bytes = static_cast<size_t>(kChunk / gemm::kPanelColumns) *
                             gemm::panel_bytes(gemm::lanes_of(w.k, a.dtype));
  ex.pool->run(chunks, [&](int64_t c, int thread) {
    const int64_t begin = c * kChunk, count = std::min(kChunk, V - begin);
    const std::byte* panels = gemm::panels(w) + static_cast<size_t>(c) * chunk_bytes;
    for (int64_t r = 0; r < rows; r += kRowsInCache) {
      const int64_t some = std::min(kRowsInCache, rows - r);
      float* out = logits ? logits + (c * rows + r) * kChunk : scratch + thread * kRowsInCache * kChunk;
      const gemm::Product product{gemm::rows_in_place(a.slice_rows(r, some)), panels, {out, DType::f32, kChunk, false},
                                  some, count, a.dtype};
      gemm::multiply_block(product, 0, some, 0, gemm::panels_of(count));
      for (int64_t i = 0; i < some; ++i) {
        const float* row = out + i * kChunk;
        sweep.chunks[c * rows + r + i] = head::chunk_stats(row, count, inverse_temperature);
        const int64_t target = targets[static_cast<size_t>(r + i)] - begin;
        if (target >= 0 && target < count) sweep.target_logit[r + i] = row[target];
      }
    }
  });
  ex.pool->run((rows + kRowTask - 1) / kRowTask, [&](int64_t task, int) {
    for (int64_t r = task * kRowTask; r < std::min(rows, (task + 1) * kRowTask); ++r) {
      const head::RowSummary row = head::combine_chunks(sweep.chunks + r, chunks, rows);
      sweep.logprob[r] = token_logprob(sweep.target_logit + r, row.stats, 0, inverse_temperature);
      sweep.entropy[r] = row.entropy;
      sweep.lse[r] = row.stats.lse;
    }
  });
}

struct SweepPlan {
  size_t chunks, values;
  SweepPlan(Pieces& pieces, int64_t rows, int64_t vocab)
      : chunks(pieces.plan(head::chunks_of(vocab) * rows * static_cast<int64_t>(sizeof(ChunkStats)))),
        values(pieces.plan(4 * rows * 4)) {}
  Sweep at(const Pieces& pieces, int64_t rows) const {
    float* v = pieces.as<float>(values);
    return {pieces.as<ChunkStats>(chunks), v, v + rows, v + 2 * rows, v + 3 * rows};
  }
};

// dL/dlogit = dL/dlogprob / temperature * (1[token = target] - p), for columns [begin, begin + count) of one row.
template <typename T>
void logit_gradient(T* out, const float* logits, int64_t begin, int64_t count, int32_t target, float logprob, float lse,
                    float gradient, float inverse_temperature) {
  using namespace simd;
  if (gradient == 0) {
    std::memset(out, 0, static_cast<size_t>(count) * sizeof(T));
    return;
  }
  const float factor = gradient * inverse_temperature;
  const F16 scale = splat(inverse_temperature), row_lse = splat(lse), minus_factor = splat(-factor);
  for (int64_t i = 0; i < count; i += kLanes) {
    const int64_t left = lanes_left(count, i);
    const F16 x = left == kLanes ? load(logits + i) : load_first(logits + i, left);
    store_first(out + i, exp(fma(x, scale, splat(-0.0f)) - row_lse) * minus_factor, left);
  }
  if (target >= begin && target < begin + count) {
    const float value = -factor * std::expm1(logprob);  // 1 - p without cancellation
    if constexpr (sizeof(T) == 2) {
      out[target - begin] = to_bf16(value);
    } else {
      out[target - begin] = value;
    }
  }
}

}  // namespace

void head_logits(Tensor logits, Tensor h, const PackedWeight& w, const Exec& ex) { matmul(logits, h, w, ex); }

void head_logprobs(std::span<float> logprob, std::span<float> entropy, Tensor h, const PackedWeight& w,
                   std::span<const int32_t> targets, float temperature, const Exec& ex) {
  check_head("head_logprobs", h, w, targets, temperature, ex);
  CHECK(logprob.size() == targets.size() && (entropy.empty() || entropy.size() == targets.size()),
        "head_logprobs: room for {} log-probs and {} entropies of {} rows", logprob.size(), entropy.size(), targets.size());
  const int64_t n = h.rows(), most = std::min(kGroup, n);
  Pieces pieces;
  const SweepPlan plan(pieces, most, w.n);
  const size_t scratch = pieces.plan(ex.pool->size() * kRowsInCache * kChunk * 4);
  const size_t wide = pieces.plan(static_cast<int64_t>(gemm::widened_bytes(h.slice_rows(0, most))));
  pieces.take(ex);
  for (int64_t begin = 0; begin < n; begin += kGroup) {
    const int64_t rows = std::min(kGroup, n - begin);
    const size_t first = static_cast<size_t>(begin), count = static_cast<size_t>(rows);
    const Sweep sweep = plan.at(pieces, rows);
    sweep_vocabulary(sweep, nullptr, pieces.as<float>(scratch),
                     gemm::in_lane_dtype(h.slice_rows(begin, rows), pieces[wide], ex), w, targets.subspan(first, count),
                     1.0f / temperature, ex);
    std::copy_n(sweep.logprob, count, logprob.begin() + begin);
    if (!entropy.empty()) std::copy_n(sweep.entropy, count, entropy.begin() + begin);
  }
}

void head_loss(Tensor dh, Tensor dw, Tensor h, const PackedWeight& w, Tensor w_plain, std::span<const int32_t> targets,
               float temperature, const TokenGradient& gradient, const Exec& ex) {
  check_head("head_loss", h, w, targets, temperature, ex);
  const int64_t n = h.rows(), V = w.n, C = w.k, most = std::min(kGroup, n);
  CHECK(dh.dtype == DType::f32 && dh.rows() == n && dh.cols() == C, "head_loss: dh is {} ({}, {}), wanted float32 ({}, {})",
        dtype_name(dh.dtype), dh.rows(), dh.cols(), n, C);
  CHECK(dw.dtype == DType::f32 && dw.rows() == V && dw.cols() == C, "head_loss: dw is {} ({}, {}), wanted float32 ({}, {})",
        dtype_name(dw.dtype), dw.rows(), dw.cols(), V, C);
  CHECK(w_plain.dtype == w.dtype && w_plain.rows() == V && w_plain.cols() == C,
        "head_loss: w_plain is {} ({}, {}), the packed weight {} ({}, {})", dtype_name(w_plain.dtype), w_plain.rows(),
        w_plain.cols(), dtype_name(w.dtype), V, C);
  if (n == 0) return;
  const DType lane = gemm::lane_dtype(h.dtype);
  const int64_t lane_bytes = static_cast<int64_t>(dtype_size(lane));
  const int64_t panels = gemm::panels_of(C), chunk_tiles = gemm::tiles_of(kChunk);
  const size_t w_panel = gemm::panel_bytes(gemm::lanes_of(kBlock, lane));
  const size_t h_panel = gemm::panel_bytes(gemm::lanes_of(most, lane));
  const size_t tiles_bytes = static_cast<size_t>(chunk_tiles) * gemm::tile_bytes(gemm::lanes_of(most, lane));
  const float inverse_temperature = 1.0f / temperature;

  Pieces pieces;
  const SweepPlan plan(pieces, most, V);
  const size_t logits_at = pieces.plan(head::chunks_of(V) * most * kChunk * 4);
  const size_t wide = pieces.plan(static_cast<int64_t>(gemm::widened_bytes(h.slice_rows(0, most))));
  const size_t dlogits_at = pieces.plan(most * kBlock * lane_bytes);
  const size_t w_at = pieces.plan(panels * static_cast<int64_t>(w_panel));
  const size_t h_at = pieces.plan(panels * static_cast<int64_t>(h_panel));
  const size_t tiles_at = pieces.plan(ex.pool->size() * static_cast<int64_t>(tiles_bytes));
  const size_t gradient_at = pieces.plan(most * 4);
  pieces.take(ex);
  const float* logits = pieces.as<float>(logits_at);
  float* gradients = pieces.as<float>(gradient_at);

  for (int64_t first = 0; first < n; first += kGroup) {
    const int64_t rows = std::min(kGroup, n - first), lanes = gemm::lanes_of(rows, lane);
    const Tensor h_rows = h.slice_rows(first, rows), dh_rows = dh.slice_rows(first, rows);
    const std::span<const int32_t> row_targets = targets.subspan(static_cast<size_t>(first), static_cast<size_t>(rows));
    const Sweep sweep = plan.at(pieces, rows);
    sweep_vocabulary(sweep, pieces.as<float>(logits_at), nullptr, gemm::in_lane_dtype(h_rows, pieces[wide], ex), w,
                     row_targets, inverse_temperature, ex);
    bool any = false;
    for (int64_t r = 0; r < rows; ++r) {
      gradients[r] = gradient(first + r, sweep.logprob[r], sweep.entropy[r]);
      any = any || gradients[r] != 0;
    }
    if (!any) {
      std::memset(dh_rows.data, 0, dh_rows.bytes());
      continue;
    }

    const size_t panel = gemm::panel_bytes(lanes);
    ex.pool->run(panels, [&](int64_t p, int) {
      gemm::pack_columns(pieces[h_at] + static_cast<size_t>(p) * panel, h_rows, p, p + 1);
    });
    for (int64_t begin = 0; begin < V; begin += kBlock) {
      const int64_t cols = std::min(kBlock, V - begin), chunks = head::chunks_of(cols);
      const size_t block_panel = gemm::panel_bytes(gemm::lanes_of(cols, lane));
      const Tensor dlogits(pieces[dlogits_at], lane, {rows, cols});
      // dw += dlogits^T h, a chunk of its rows a task, while that chunk of dlogits is in cache; the panels of w beside it.
      ex.pool->run(chunks + panels, [&](int64_t task, int thread) {
        if (task >= chunks) {
          const int64_t p = task - chunks;
          gemm::pack_columns(pieces[w_at] + static_cast<size_t>(p) * block_panel, w_plain.slice_rows(begin, cols), p, p + 1);
          return;
        }
        const int64_t column = task * kChunk, count = std::min(kChunk, cols - column);
        for (int64_t r = 0; r < rows; ++r) {
          const auto fill = [&](auto* out) {
            logit_gradient(out + r * cols + column, logits + ((begin + column) / kChunk * rows + r) * kChunk, begin + column, count,
                           row_targets[static_cast<size_t>(r)], sweep.logprob[r], sweep.lse[r], gradients[r],
                           inverse_temperature);
          };
          if (lane == DType::bf16) {
            fill(dlogits.b16());
          } else {
            fill(dlogits.f32());
          }
        }
        std::byte* tiles = pieces[tiles_at] + static_cast<size_t>(thread) * tiles_bytes;
        const int64_t tile = task * chunk_tiles, count_tiles = gemm::tiles_of(count);
        gemm::pack_column_tiles(tiles, dlogits, tile, tile + count_tiles);
        const gemm::Product product{gemm::column_tiles(tiles, lanes), pieces[h_at],
                                    {dw.f32() + (begin + column) * C, DType::f32, C, true}, count, C, lane};
        for (int64_t row = 0; row < count; row += gemm::kTileRows)  // dw is swept once, row by row
          gemm::multiply_block(product, row, std::min(count, row + gemm::kTileRows), 0, panels);
      });
      gemm::multiply({gemm::rows_in_place(dlogits), pieces[w_at], {dh_rows.data, DType::f32, C, begin > 0}, rows, C, lane},
                     ex);
    }
  }
}

}  // namespace cohort
