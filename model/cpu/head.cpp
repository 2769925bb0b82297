// The language-model head on the CPU (ops/head.h). Rows go through in groups of hundreds: enough work for each sweep
// over the vocabulary that reading the weight and writing its gradient, both far larger than the caches, costs little.
#include "model/ops/head.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "model/cpu/gemm.h"
#include "model/cpu/gemm_parts.h"
#include "model/cpu/head_stats.h"
#include "model/cpu/head_sweep.h"
#include "model/cpu/parallel.h"
#include "model/cpu/part_sums.h"
#include "model/cpu/vector_math.h"
#include "model/cpu/workspace_pieces.h"
#include "model/ops/gpu.h"

namespace cohort {
namespace {

using head::ChunkStats;
using head::kChunk;
using head::kRowsInCache;
using head::LogitSource;
using head::LogitSpace;

constexpr int64_t kGroup = 512;         // rows that are added up in a step of dw; fixes the order of its sums
constexpr int64_t kBatchRows = 2048;    // of parts that go through one sweep together, where there is room for their logits
constexpr int64_t kBlock = 8 * kChunk;  // columns whose gradient is held at a time
constexpr int64_t kRowTask = 16;
constexpr int64_t kOwnLogits = 8 << 20;  // logits that head_loss keeps in memory of its own

void check_softcap(const char* op, float softcap) {
  CHECK(softcap >= 0 && std::isfinite(softcap), "{}: softcap {}, must be positive, or 0 for none", op, softcap);
}

void check_head(const char* op, Tensor h, const PackedWeight& w, std::span<const int32_t> targets, float temperature,
                float softcap, const Exec& ex) {
  CHECK(ex.device == Device::cpu && ex.pool != nullptr && ex.workspace != nullptr,
        "{} on the CPU without a CPU context", op);
  CHECK(h.rank == 2 && h.dtype == w.dtype && h.cols() == w.k, "{}: h is {} ({}, {}), the weight {} ({}, {})", op,
        dtype_name(h.dtype), h.rows(), h.cols(), dtype_name(w.dtype), w.n, w.k);
  CHECK(static_cast<int64_t>(targets.size()) == h.rows(), "{}: {} targets for {} rows", op, targets.size(), h.rows());
  CHECK(temperature > 0, "{}: temperature {}, must be positive", op, temperature);
  check_softcap(op, softcap);
  CHECK(w.n <= head::kMaxVocab, "{}: a vocabulary of {}, at most {}", op, w.n, head::kMaxVocab);
  for (int32_t target : targets)
    CHECK(target >= 0 && target < w.n, "{}: target {} of a vocabulary of {}", op, target, w.n);
}

// What one sweep over the vocabulary learns of a group of rows.
struct Sweep {
  ChunkStats* chunks;   // (chunks, rows)
  float* target_logit;  // (rows)
  float* logprob;       // (rows)
  float* entropy;       // (rows)
  float* lse;           // (rows)
  float* best;          // (rows)
};

// Statistics of the logits of all rows.
void sweep_vocabulary(const Sweep& sweep, const LogitSpace& space, const LogitSource& from,
                      std::span<const int32_t> targets, float inverse_temperature, const Exec& ex) {
  const int64_t rows = from.a.rows(), V = from.w.n, chunks = head::chunks_of(V);
  head::sweep(space, from, ex, [&](int64_t c, int64_t r, const float* row, int) {
    const int64_t begin = c * kChunk, count = std::min(kChunk, V - begin);
    sweep.chunks[c * rows + r] = head::chunk_stats(row, count, inverse_temperature);
    const int64_t target = targets[static_cast<size_t>(r)] - begin;
    if (target >= 0 && target < count) sweep.target_logit[r] = row[target];
  });
  ex.pool->run((rows + kRowTask - 1) / kRowTask, [&](int64_t task, int) {
    for (int64_t r = task * kRowTask; r < std::min(rows, (task + 1) * kRowTask); ++r) {
      const head::RowSummary row = head::combine_chunks(sweep.chunks + r, chunks, rows);
      sweep.logprob[r] = token_logprob(sweep.target_logit + r, row.stats, 0, inverse_temperature);
      sweep.entropy[r] = row.entropy;
      sweep.lse[r] = row.stats.lse;
      sweep.best[r] = row.stats.max - row.stats.lse;
    }
  });
}

struct SweepPlan {
  size_t chunks, values;
  SweepPlan(Pieces& pieces, int64_t rows, int64_t vocab)
      : chunks(pieces.plan(head::chunks_of(vocab) * rows * static_cast<int64_t>(sizeof(ChunkStats)))),
        values(pieces.plan(5 * rows * 4)) {}
  Sweep at(const Pieces& pieces, int64_t rows) const {
    float* v = pieces.as<float>(values);
    return {pieces.as<ChunkStats>(chunks), v, v + rows, v + 2 * rows, v + 3 * rows, v + 4 * rows};
  }
};

// The slope of l = softcap tanh(x / softcap) at the x that gave l: 1 - (l / softcap)^2.
simd::F16 cap_slope(simd::F16 logit, simd::F16 softcap) {
  const simd::F16 t = logit / softcap;
  return simd::fma(simd::splat(0.0f) - t, t, simd::splat(1.0f));
}

// A row whose loss is known.
struct RowLoss {
  float logprob, entropy, lse;
  RowGradient gradient;
};

// dL/dlogit = (dL/dlogprob (1[token = target] - p) - dL/dentropy p (log p + entropy)) / temperature, times the cap's slope,
// for columns [begin, begin + count) of one row. `logits` are capped; the result is of the logits before that.
template <typename T>
void logit_gradient(T* out, const float* logits, int64_t begin, int64_t count, int32_t target, const RowLoss& of,
                    float inverse_temperature, float softcap) {
  using namespace simd;
  if (of.gradient.dlogprob == 0 && of.gradient.dentropy == 0) {
    std::memset(out, 0, static_cast<size_t>(count) * sizeof(T));
    return;
  }
  const float logprob = of.logprob, factor = of.gradient.dlogprob * inverse_temperature;
  const float entropy_factor = of.gradient.dentropy * inverse_temperature;
  const F16 scale = splat(inverse_temperature), row_lse = splat(of.lse), minus_factor = splat(-factor);
  const auto fill_weighted = [&](const auto& slope, const auto& weight) {
    for (int64_t i = 0; i < count; i += kLanes) {
      const int64_t left = lanes_left(count, i);
      const F16 x = left == kLanes ? load(logits + i) : load_first(logits + i, left);
      const F16 below = fma(x, scale, splat(-0.0f)) - row_lse;
      store_first(out + i, slope(exp(below) * weight(below), x), left);
    }
  };
  const auto fill = [&](const auto& slope) {
    if (entropy_factor == 0) return fill_weighted(slope, [&](F16) { return minus_factor; });
    const F16 entropy = splat(of.entropy), minus_entropy_factor = splat(-entropy_factor);
    // p log p is 0 long before log p is out of bounds.
    fill_weighted(slope, [&](F16 log_p) { return fma(max(splat(-104.0f), log_p) + entropy, minus_entropy_factor, minus_factor); });
  };
  if (softcap > 0) {
    fill([cap = splat(softcap)](F16 d, F16 x) { return d * cap_slope(x, cap); });
  } else {
    fill([](F16 d, F16) { return d; });
  }
  if (target >= begin && target < begin + count) {
    float value = -factor * std::expm1(logprob);  // 1 - p without cancellation
    if (entropy_factor != 0) value -= entropy_factor * std::exp(logprob) * (logprob + of.entropy);
    if (softcap > 0) {
      float slope[kLanes];
      store(slope, cap_slope(splat(logits[target - begin]), splat(softcap)));
      value *= slope[0];
    }
    if constexpr (sizeof(T) == 2) {
      out[target - begin] = to_bf16(value);
    } else {
      out[target - begin] = value;
    }
  }
}

// Rows of one sweep, and how they are added up in dw: a part has a step for every kGroup rows.
struct Batch {
  int64_t begin, rows;
  std::vector<gemm::SumStep> steps;
};

// A sum that is not yet on the way to its parent's can wait in dw, but no second one: a batch ends where one is left.
std::vector<Batch> make_batches(std::span<const RowPart> parts, int64_t most_rows) {
  std::vector<Batch> batches;
  Batch next{0, 0, {}};
  int open = 0;
  const auto close = [&] {
    if (!batches.empty() && batches.back().rows + next.rows <= most_rows) {
      Batch& last = batches.back();
      last.rows += next.rows;
      last.steps.insert(last.steps.end(), next.steps.begin(), next.steps.end());
    } else {
      batches.push_back(next);
    }
    next = {next.begin + next.rows, 0, {}};
  };
  for (size_t p = 0; p < parts.size(); ++p) {
    ++open;
    for (int64_t begin = 0; begin == 0 || begin < parts[p].count; begin += kGroup) {
      const int64_t rows = std::min(kGroup, parts[p].count - begin);
      const bool last = begin + rows == parts[p].count;
      next.steps.push_back({rows, begin > 0, last ? static_cast<int>(p) : -1, last ? parts[p].merges : 0});
      next.rows += rows;
      if (last) open -= parts[p].merges;
      if (open == 1) close();
    }
  }
  return batches;
}

// A batch whose loss is known, and where its parts lie.
struct Group {
  Tensor h, dh;  // (rows, C)
  std::span<const int32_t> targets;
  Sweep sweep;
  LogitSpace logits;
  LogitSource source;
  const RowGradient* gradients;  // (rows)
  float inverse_temperature;
  std::span<const gemm::SumStep> steps;
  bool first;  // dw holds nothing yet
};

// Memory for the gradients of a group.
struct GradientSpace {
  std::byte* dlogits;   // (rows, kBlock) lane dtype
  std::byte* w_panels;  // a block of w, laid out for dh
  std::byte* w_rows;    // one of its panels, not laid out; `w_rows_size` for each thread
  std::byte* h_panels;  // the group's h, laid out for dw
  std::byte* tiles;     // a chunk of dlogits, laid out for dw; `tiles_size` for each thread
  size_t tiles_size, w_rows_size;
};

// Columns of `dlogits` (rows, a block of the vocabulary from `block` on) that belong to the block's chunk at `column`.
void fill_chunk(Tensor dlogits, const Group& group, int64_t block, int64_t column, int thread) {
  const int64_t rows = dlogits.rows(), cols = dlogits.cols(), begin = block + column, chunk = begin / kChunk;
  const int64_t count = std::min(kChunk, cols - column);
  const auto fill = [&](auto* out) {
    for (int64_t first = 0; first < rows; first += kRowsInCache) {
      const int64_t some = std::min(kRowsInCache, rows - first);
      const bool is_kept = chunk < group.logits.chunks;
      float* logits = is_kept ? group.logits.kept + (chunk * rows + first) * kChunk : group.logits.passing_of(thread);
      if (!is_kept) head::chunk_logits(logits, group.source, chunk, first, some);  // the same bits once more
      for (int64_t r = first; r < first + some; ++r)
        logit_gradient(out + r * cols + column, logits + (r - first) * kChunk, begin, count,
                       group.targets[static_cast<size_t>(r)],
                       {group.sweep.logprob[r], group.sweep.entropy[r], group.sweep.lse[r], group.gradients[r]},
                       group.inverse_temperature, group.source.softcap);
    }
  };
  if (dlogits.dtype == DType::bf16) {
    fill(dlogits.b16());
  } else {
    fill(dlogits.f32());
  }
}

// dh = D w and, if there is a dw, dw = (dw +) D^T h with D = dL/dlogits, a block of the vocabulary at a time.
void add_gradients(Tensor dw, const Group& group, const KeptRows& kept, const GradientSpace& space,
                   const Exec& ex) {
  const PackedWeight& w = group.source.w;
  const DType lane = gemm::lane_dtype(w.dtype);
  const int64_t V = w.n, C = w.k, rows = group.h.rows(), lanes = gemm::lanes_of_steps(group.steps, lane);
  const int64_t panels = gemm::panels_of(C);
  const std::vector<gemm::RowBlock> blocks = dw ? gemm::row_blocks(group.steps, lane) : std::vector<gemm::RowBlock>();
  ex.pool->run(static_cast<int64_t>(blocks.size()), [&](int64_t b, int) {
    gemm::pack_columns(space.h_panels, group.h, lanes, blocks[static_cast<size_t>(b)]);
  });
  for (int64_t block = 0; block < V; block += kBlock) {
    const int64_t cols = std::min(kBlock, V - block), chunks = head::chunks_of(cols);
    const Tensor dlogits(space.dlogits, lane, {rows, cols});
    // A task is a chunk of D and the rows of dw that it gives, while that chunk is in cache; or some rows of w.
    ex.pool->run(chunks + gemm::panels_of(cols), [&](int64_t task, int thread) {
      if (task >= chunks) {
        const int64_t at = (task - chunks) * gemm::kPanelColumns;
        return gemm::turn_panel(space.w_panels, w, (block + at) / gemm::kPanelColumns, gemm::lanes_of(cols, lane),
                                gemm::lanes_of(at, lane), space.w_rows + static_cast<size_t>(thread) * space.w_rows_size);
      }
      const int64_t column = task * kChunk, count = std::min(kChunk, cols - column);
      fill_chunk(dlogits, group, block, column, thread);
      if (!dw) return;
      std::byte* tiles = space.tiles + static_cast<size_t>(thread) * space.tiles_size;
      const int64_t tile = column / gemm::tile_rows(lane), together = gemm::block_rows(lane);
      for (const gemm::RowBlock& b : blocks)
        gemm::pack_tiles(tiles, dlogits, lanes, b, tile, tile + gemm::tiles_of(count, lane));
      const gemm::PartProduct product{
          tiles,        space.h_panels, lanes,         dw.f32() + (block + column) * C, count, C, lane, group.steps,
          !group.first, kept,           block + column};
      for (int64_t row = 0; row < count; row += together)  // dw is far away: row by row, once
        gemm::multiply_parts(product, row, std::min(count, row + together), 0, panels);
    });
    const gemm::Output out{group.dh.data, DType::f32, C, block > 0};
    gemm::multiply({gemm::rows_in_place(dlogits), space.w_panels, out, rows, C, lane}, ex);
  }
}

}  // namespace

void head_logits(Tensor logits, Tensor h, const PackedWeight& w, const Exec& ex, float softcap) {
  if (ex.gpu != nullptr) return gpu::head_logits(logits, h, w, softcap, *ex.gpu);
  check_softcap("head_logits", softcap);
  matmul(logits, h, w, ex);
  if (softcap == 0) return;
  simd::for_chunks(ex, logits.size(), simd::kTaskElements,
                   [&](int64_t begin, int64_t end) { head::cap_logits(logits.f32() + begin, end - begin, softcap); });
}

void head_logprobs(std::span<float> logprob, std::span<float> entropy, Tensor h, const PackedWeight& w,
                   std::span<const int32_t> targets, float temperature, const Exec& ex, float softcap, std::span<float> best) {
  CHECK(best.empty() || best.size() == targets.size(), "head_logprobs: room for {} best log-probs of {} rows", best.size(), targets.size());
  std::ranges::fill(best, NAN);
  if (ex.gpu != nullptr) return gpu::head_logprobs(logprob, entropy, h, w, targets, temperature, softcap, *ex.gpu);
  check_head("head_logprobs", h, w, targets, temperature, softcap, ex);
  CHECK(logprob.size() == targets.size() && (entropy.empty() || entropy.size() == targets.size()),
        "head_logprobs: room for {} log-probs and {} entropies of {} rows", logprob.size(), entropy.size(),
        targets.size());
  const int64_t n = h.rows(), most = std::min(kGroup, n);
  Pieces pieces;
  const SweepPlan plan(pieces, most, w.n);
  const size_t scratch = pieces.plan(static_cast<int64_t>(head::passing_bytes(ex.pool->size())));
  const size_t wide = pieces.plan(static_cast<int64_t>(gemm::widened_bytes(h.slice_rows(0, most))));
  pieces.take(ex);
  for (int64_t begin = 0; begin < n; begin += kGroup) {
    const int64_t rows = std::min(kGroup, n - begin);
    const size_t first = static_cast<size_t>(begin), count = static_cast<size_t>(rows);
    const Sweep sweep = plan.at(pieces, rows);
    const Tensor a = gemm::in_lane_dtype(h.slice_rows(begin, rows), pieces[wide], ex);
    sweep_vocabulary(sweep, {nullptr, 0, pieces.as<float>(scratch)}, {a, w, softcap}, targets.subspan(first, count),
                     1.0f / temperature, ex);
    std::copy_n(sweep.logprob, count, logprob.begin() + begin);
    if (!entropy.empty()) std::copy_n(sweep.entropy, count, entropy.begin() + begin);
    if (!best.empty()) std::copy_n(sweep.best, count, best.begin() + begin);
  }
}

void head_loss(Tensor dh, Tensor dw, Tensor h, const PackedWeight& w, std::span<const int32_t> targets, float temperature,
               const TokenGradient& gradient, const Exec& ex, float softcap, std::span<const RowPart> parts,
               const KeptRows& kept, std::span<float> spare, std::span<float> best) {
  CHECK(best.empty() || best.size() == targets.size(), "head_loss: room for {} best log-probs of {} rows", best.size(), targets.size());
  std::ranges::fill(best, NAN);
  if (ex.gpu != nullptr) return gpu::head_loss(dh, dw, h, w, targets, temperature, gradient, softcap, parts, kept, *ex.gpu);
  check_head("head_loss", h, w, targets, temperature, softcap, ex);
  const int64_t n = h.rows(), V = w.n, C = w.k;
  const RowPart whole{0, n, 0};
  check_row_parts("head_loss", parts, n);
  parts = simd::parts_or(parts, whole);
  CHECK(dh.dtype == DType::f32 && dh.rows() == n && (n == 0 || dh.cols() == C),
        "head_loss: dh is {} ({}, {}), wanted float32 ({}, {})", dtype_name(dh.dtype), dh.rows(), dh.cols(), n, C);
  CHECK(dw ? dw.dtype == DType::f32 && dw.rows() == V && dw.cols() == C : kept.rows.empty(),
        "head_loss: dw is {} ({}, {}), wanted float32 ({}, {})", dtype_name(dw.dtype), dw.rows(), dw.cols(), V, C);
  CHECK(kept.rows.empty() || (kept.sums.size() == static_cast<int64_t>(parts.size() * kept.rows.size()) * C &&
                              kept.sums.cols() == C && kept.rows.front() >= 0 && kept.rows.back() < V),
        "head_loss: {} kept rows of {} parts in {} x {}", kept.rows.size(), parts.size(), kept.sums.rows(),
        kept.sums.cols());
  const DType lane = gemm::lane_dtype(h.dtype);
  const std::vector<Batch> batches = make_batches(parts, std::clamp(static_cast<int64_t>(spare.size()) / V, kGroup, kBatchRows));
  int64_t most = 0, lanes = 0;
  for (const Batch& batch : batches) {
    most = std::max(most, batch.rows);
    lanes = std::max(lanes, gemm::lanes_of_steps(batch.steps, lane));
  }
  const int64_t panels = gemm::panels_of(C), threads = ex.pool->size();
  if (!dw) lanes = 0;
  const int64_t tiles_size = gemm::tiles_of(kChunk, lane) * static_cast<int64_t>(gemm::tile_bytes(lanes, lane));
  Pieces pieces;
  const SweepPlan plan(pieces, most, V);
  const int64_t chunk_floats = std::max<int64_t>(1, most * kChunk), all = head::chunks_of(V);
  const auto fitting = [&](int64_t floats) { return std::min(all, floats / chunk_floats); };
  const int64_t in_spare = fitting(static_cast<int64_t>(spare.size())), own = fitting(kOwnLogits);
  const size_t logits = pieces.plan(own > in_spare ? own * chunk_floats * 4 : 0);
  const size_t passing = pieces.plan(static_cast<int64_t>(head::passing_bytes(ex.pool->size())));
  const size_t gradients_at = pieces.plan(most * static_cast<int64_t>(sizeof(RowGradient)));
  const size_t wide = pieces.plan(static_cast<int64_t>(gemm::widened_bytes(h.slice_rows(0, most))));
  const size_t dlogits = pieces.plan(most * kBlock * static_cast<int64_t>(dtype_size(lane)));
  const size_t w_panels = pieces.plan(panels * static_cast<int64_t>(gemm::panel_bytes(gemm::lanes_of(kBlock, lane))));
  const size_t w_rows_size = gemm::panel_rows_bytes(w), w_rows = pieces.plan(threads * static_cast<int64_t>(w_rows_size));
  const size_t h_panels = pieces.plan(panels * static_cast<int64_t>(gemm::panel_bytes(lanes)));
  const size_t tiles = pieces.plan(threads * tiles_size);
  pieces.take(ex);
  const GradientSpace space{pieces[dlogits],  pieces[w_panels], pieces[w_rows],
                            pieces[h_panels], pieces[tiles],    static_cast<size_t>(tiles_size),
                            w_rows_size};
  const LogitSpace logit_space{own > in_spare ? pieces.as<float>(logits) : spare.data(), std::max(own, in_spare),
                               pieces.as<float>(passing)};
  RowGradient* gradients = pieces.as<RowGradient>(gradients_at);

  for (const Batch& batch : batches) {
    const Tensor rows = h.slice_rows(batch.begin, batch.rows);
    const Group group{rows,
                      dh.slice_rows(batch.begin, batch.rows),
                      targets.subspan(static_cast<size_t>(batch.begin), static_cast<size_t>(batch.rows)),
                      plan.at(pieces, batch.rows),
                      logit_space,
                      {gemm::in_lane_dtype(rows, pieces[wide], ex), w, softcap},
                      gradients,
                      1.0f / temperature,
                      batch.steps,
                      &batch == &batches.front()};
    sweep_vocabulary(group.sweep, group.logits, group.source, group.targets, group.inverse_temperature, ex);
    if (!best.empty()) std::copy_n(group.sweep.best, batch.rows, best.begin() + batch.begin);
    for (int64_t r = 0; r < batch.rows; ++r)
      gradients[r] = gradient(batch.begin + r, group.sweep.logprob[r], group.sweep.entropy[r]);
    add_gradients(dw, group, kept, space, ex);
  }
}

}  // namespace cohort
