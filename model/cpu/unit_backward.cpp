// Attention's backward pass of a unit, in f32 (unit_backward.h). Scores are recomputed: with f32 by the forward pass's own
// arithmetic, with bf16 from the same numbers.
#include "model/cpu/unit_backward.h"

#include <cstring>

#include "model/cpu/vector_math.h"

namespace cohort::attention {
namespace {

using namespace simd;

struct Scratch {
  float *q, *dout, *dq;                            // (unit rows, padded)
  float *lse, *delta;                              // (unit rows), lse in units of log 2
  int64_t* position;                               // (unit rows)
  float *scores, *dscores;                         // (tile rows, 64)
  float *key_columns, *value_columns, *key_panel;  // (D, 64), (D, 64), (64, padded)

  Scratch(Carver& carver, int64_t group, int64_t head_size, int64_t padded) {
    const int64_t rows = unit_positions(group) * group, tile = tile_positions(group) * group;
    q = carver.take<float>(rows * padded), dout = carver.take<float>(rows * padded);
    dq = carver.take<float>(rows * padded), lse = carver.take<float>(rows), delta = carver.take<float>(rows);
    position = carver.take<int64_t>(rows);
    scores = carver.take<float>(tile * kKeyBlock), dscores = carver.take<float>(tile * kKeyBlock);
    key_columns = carver.take<float>(head_size * kKeyBlock), value_columns = carver.take<float>(head_size * kKeyBlock);
    key_panel = carver.take<float>(kKeyBlock * padded);
  }
};

// Keys [begin(row), end(row)) of a block, its first one at position `base`, are those that a row of the unit sees.
struct Visible {
  const int64_t* position;
  int64_t window, base, count;
  int64_t begin(int64_t row) const { return std::clamp<int64_t>(window_begin(position[row], window) - base, 0, count); }
  int64_t end(int64_t row) const { return std::clamp<int64_t>(position[row] + 1 - base, 0, count); }
};

// The positions of the keys that some row of a tile sees.
struct KeyRange {
  int64_t begin, end;
};
KeyRange tile_keys(const int64_t* position, int64_t rows, int64_t window) {
  const auto [first, last] = std::minmax_element(position, position + rows);
  return {window_begin(*first, window), *last + 1};
}

// scores, dscores -> p, ds for `rows` rows of the unit from `first`, 0 where a key is not seen.
template <bool kCapped>
void softmax_backward(const Scratch& s, int64_t first, int64_t rows, const Visible& visible, const ScoreScale& scale) {
  const int64_t vectors = (visible.count + kLanes - 1) / kLanes;
  const F16 queries = splat(scale.queries), factor = splat(scale.cap);
  for (int64_t r = 0; r < rows; ++r) {
    const F16 lse = splat(s.lse[first + r]), delta = splat(s.delta[first + r]);
    const int64_t begin = visible.begin(first + r), end = visible.end(first + r);
    for (int64_t v = 0; v < vectors; ++v) {
      const int64_t at = r * kKeyBlock + v * kLanes;
      const auto before = [&](int64_t key) { return first_lanes(std::clamp<int64_t>(key - v * kLanes, 0, kLanes)); };
      const uint32_t lanes = before(end) & ~before(begin);
      F16 score = load(s.scores + at) * queries, slope = splat(1.0f);
      if constexpr (kCapped) {
        const F16 t = tanh(score);
        score = factor * t, slope = fma(splat(0.0f) - t, t, splat(1.0f));
      }
      const F16 p = exp2_nonpositive(score - lse);
      F16 ds = p * (load(s.dscores + at) - delta);
      if constexpr (kCapped) ds = ds * slope;
      store(s.scores + at, select(lanes, p, splat(0.0f)));
      store(s.dscores + at, select(lanes, ds, splat(0.0f)));
    }
  }
}

// Rows [first, first + rows) of the unit against the loaded block's keys. dk and dv at the block's first key.
void tile_backward(const Scratch& s, int64_t first, int64_t rows, const Visible& visible, const ScoreScale& scale, float* dk,
                   float* dv, int64_t head_size, int64_t padded) {
  const int64_t count = visible.count, vectors = (count + kLanes - 1) / kLanes;
  const float *q = s.q + first * padded, *dout = s.dout + first * padded;
  dot_rows(s.scores, q, rows, s.key_columns, head_size, padded, vectors);
  dot_rows(s.dscores, dout, rows, s.value_columns, head_size, padded, vectors);
  if (scale.cap > 0) {
    softmax_backward<true>(s, first, rows, visible, scale);
  } else {
    softmax_backward<false>(s, first, rows, visible, scale);
  }
  accumulate_rows(dv, s.scores, 1, kKeyBlock, dout, padded, count, rows, padded);
  accumulate_rows(dk, s.dscores, 1, kKeyBlock, q, padded, count, rows, padded);
  accumulate_rows(s.dq + first * padded, s.dscores, kKeyBlock, 1, s.key_panel, padded, rows, count, padded);
}

// Loads q, dout, delta, lse and position of rows of one segment into the unit's scratch, from local row `at`.
template <typename T>
void load_segment(const BackwardPass<T>& pass, const Scratch& s, const Segment& segment, int64_t kv_head, int64_t at) {
  const int64_t D = pass.heads.head_size, width = pass.heads.num_heads * D, group = pass.group, padded = pass.padded;
  const PackRun& run = pass.runs[static_cast<size_t>(segment.run)];
  const int64_t row = run.begin + segment.first;
  const int64_t from = row * width + kv_head * group * D;
  load_queries(s.q + at * padded, static_cast<const T*>(pass.q.data) + from, width, segment.count, group, D, padded);
  load_queries(s.dout + at * padded, static_cast<const T*>(pass.dout.data) + from, width, segment.count, group, D,
               padded);
  for (int64_t p = 0, r = at; p < segment.count; ++p) {
    const T* out = static_cast<const T*>(pass.out.data) + from + p * width;
    const float* lse = pass.lse.f32() + (row + p) * pass.heads.num_heads + kv_head * group;
    for (int64_t g = 0; g < group; ++g, ++r) {
      F16 sum = splat(0.0f);
      for (int64_t d = 0; d < padded; d += kLanes)
        sum = fma(load(s.dout + r * padded + d), load_first(out + g * D + d, lanes_left(D, d)), sum);
      s.delta[r] = sum_lanes(sum);
      s.lse[r] = lse[g] * kLog2e;
      s.position[r] = run.prefix_count + segment.first + p;
    }
  }
}

template <typename T>
void store_dq(const BackwardPass<T>& pass, const Scratch& s, const Segment& segment, int64_t kv_head, int64_t at) {
  const int64_t D = pass.heads.head_size, width = pass.heads.num_heads * D, group = pass.group;
  const int64_t row = pass.runs[static_cast<size_t>(segment.run)].begin + segment.first;
  const F16 scale = splat(pass.scale.scale);
  for (int64_t p = 0, r = at; p < segment.count; ++p) {
    float* to = pass.dq.f32() + (row + p) * width + kv_head * group * D;
    for (int64_t g = 0; g < group; ++g, ++r)
      for (int64_t d = 0; d < pass.padded; d += kLanes)
        store_first(to + g * D + d, load(s.dq + r * pass.padded + d) * scale, lanes_left(D, d));
  }
}

// One stretch of keys against tile after tile of the rows that see them.
template <typename T>
void stretch_backward(const BackwardPass<T>& pass, const Scratch& s, int64_t kv_head, const Stretch& stretch, float* dk, float* dv) {
  const auto [begin, count, position, first, end, offset, final] = stretch;
  const int64_t D = pass.heads.head_size, padded = pass.padded, kv_width = pass.heads.num_kv_heads * D;
  const int64_t window = pass.heads.window;
  const int64_t from = begin * kv_width + kv_head * D, tile = tile_positions(pass.group) * pass.group;
  const T *k = static_cast<const T*>(pass.k.data) + from, *v = static_cast<const T*>(pass.v.data) + from;
  const KeyRows<T> keys{k, 0, k, kv_width}, values{v, 0, v, kv_width};
  for (int64_t base = 0; base < count; base += kKeyBlock) {
    const int64_t block = std::min(kKeyBlock, count - base);
    std::memset(dk + base * padded, 0, sizeof(float) * static_cast<size_t>(block * padded));
    std::memset(dv + base * padded, 0, sizeof(float) * static_cast<size_t>(block * padded));
    bool loaded = false;
    for (int64_t row = first; row < end; row += tile) {
      const int64_t rows = std::min(tile, end - row);
      const KeyRange range = tile_keys(s.position + row, rows, window);
      const int64_t seen = std::min(block, range.end - position - base);
      if (seen <= 0 || range.begin >= position + base + seen) continue;
      if (!loaded) {
        load_transposed(s.key_columns, keys, base, block, D);
        load_transposed(s.value_columns, values, base, block, D);
        load_rows(s.key_panel, keys, base, block, D, padded);
        loaded = true;
      }
      tile_backward(s, row, rows, {s.position, window, position + base, seen}, pass.scale, dk + base * padded,
                    dv + base * padded, D, padded);
    }
  }
}

}  // namespace

template <typename T>
size_t unit_workspace(int64_t group, int64_t head_size) {
  Carver carver(nullptr);
  Scratch(carver, group, head_size, unit_head_size<T>(head_size));
  return carver.size();
}

template <typename T>
void unit_backward(const BackwardPass<T>& pass, const Task& task, void* workspace) {
  const Unit& unit = pass.plan.units[task.unit];
  const Segment* segments = pass.plan.segments;
  const int64_t group = pass.group, rows = unit.positions * group, gradient = pass.unit_keys_offset(task);
  Carver carver(workspace);
  const Scratch s(carver, group, pass.heads.head_size, pass.padded);
  std::fill_n(s.dq, rows * pass.padded, 0.0f);
  for (int64_t i = unit.segments_begin, at = 0; i < unit.segments_end; at += segments[i++].count * group)
    load_segment(pass, s, segments[i], task.kv_head, at);
  for_stretches(pass, unit, [&](const Stretch& stretch) {
    const int64_t at = gradient + stretch.offset * pass.padded;
    stretch_backward(pass, s, task.kv_head, stretch, pass.dk_units + at, pass.dv_units + at);
  });
  for (int64_t i = unit.segments_begin, at = 0; i < unit.segments_end; at += segments[i++].count * group)
    store_dq(pass, s, segments[i], task.kv_head, at);
}

template size_t unit_workspace<float>(int64_t, int64_t);
template void unit_backward(const BackwardPass<float>&, const Task&, void*);
#ifndef COHORT_TILES
template size_t unit_workspace<bf16>(int64_t, int64_t);
template void unit_backward(const BackwardPass<bf16>&, const Task&, void*);
#endif

}  // namespace cohort::attention
