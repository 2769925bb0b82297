// Attention backward on a pack. Rows are cut into units; a unit and a kv head make a task, which finishes dq of its
// rows and leaves what its rows give to each key in a buffer of its own. Then each key adds up its units in their
// order. Units depend on the runs alone, so the bits do not depend on threads.
//
// With p = exp(s - lse):  dv = p^T dout,  ds = p (dout v^T - delta),  dq = ds k scale,  dk = ds^T q scale,
// delta = dout . out  (Dao et al. 2022, appendix B.2), and ds times 1 - tanh^2 where scores are soft-capped. The scores
// are recomputed in f32: with f32 by the forward pass's own arithmetic, with bf16 from the same numbers.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <tuple>

#include "core/check.h"
#include "model/ops/gpu.h"
#include "model/cpu/attention_tiles.h"
#include "model/cpu/vector_math.h"
#include "model/ops/attention.h"

namespace cohort {
namespace {

using namespace attention;
using namespace simd;

constexpr int64_t kUnitRows = 768;  // query rows (position x head of the group): three matrices of them stay in the L2

// Rows [first, first + count) of a run.
struct Segment {
  int64_t run, first, count;
  int64_t end() const { return first + count; }
};
// Consecutive segments with one shared prefix. Its keys: the prefix, then each segment's run from its start to the
// segment's end; they take `keys` rows from `offset` of the gradient buffers.
struct Unit {
  int64_t segments_begin, segments_end, prefix_begin, prefix_count, positions, keys, offset;
};
struct Task {
  int64_t unit, kv_head, cost;
};

int64_t unit_positions(int64_t group) { return std::max<int64_t>(1, kUnitRows / group); }

// The plan of one backward pass; all of it lies in the first thread's workspace.
struct Plan {
  Segment* segments;
  Unit* units;
  Task* tasks;
  int64_t num_segments = 0, num_units = 0, num_tasks = 0, keys = 0;
};

int64_t count_segments(std::span<const PackRun> runs, int64_t limit) {
  int64_t n = 0;
  for (const PackRun& run : runs) n += (run.count + limit - 1) / limit;
  return n;
}

// Fills segments and units: neighbours join a unit while they share a prefix and have at most `limit` positions.
void plan_units(Plan& plan, std::span<const PackRun> runs, int64_t limit) {
  for (size_t r = 0; r < runs.size(); ++r) {
    const PackRun& run = runs[r];
    for (int64_t first = 0; first < run.count; first += limit) {
      const Segment segment{static_cast<int64_t>(r), first, std::min(limit, run.count - first)};
      Unit* unit = plan.num_units > 0 ? &plan.units[plan.num_units - 1] : nullptr;
      const bool joins = unit != nullptr && unit->positions + segment.count <= limit &&
                         unit->prefix_count == run.prefix_count &&
                         (run.prefix_count == 0 || unit->prefix_begin == run.prefix_begin);
      if (!joins) {
        unit = &plan.units[plan.num_units++];
        *unit = {plan.num_segments, plan.num_segments, run.prefix_begin, run.prefix_count, 0,
                 run.prefix_count,  plan.keys};
        plan.keys += run.prefix_count;
      }
      plan.segments[plan.num_segments++] = segment;
      unit->segments_end = plan.num_segments;
      unit->positions += segment.count;
      unit->keys += segment.end();
      plan.keys += segment.end();
    }
  }
}

void plan_tasks(Plan& plan, int64_t kv_heads) {
  for (int64_t u = 0; u < plan.num_units; ++u) {
    const Unit& unit = plan.units[u];
    for (int64_t kv = 0; kv < kv_heads; ++kv) plan.tasks[plan.num_tasks++] = {u, kv, unit.positions * unit.keys};
  }
  std::sort(plan.tasks, plan.tasks + plan.num_tasks, [](const Task& a, const Task& b) {
    return std::tie(b.cost, a.unit, a.kv_head) < std::tie(a.cost, b.unit, b.kv_head);  // the longest first
  });
}

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

// What all tasks share.
template <typename T>
struct Pass {
  Tensor dq, dout, out, lse, q, k, v;
  std::span<const PackRun> runs;
  HeadLayout heads;
  ScoreScale scale;
  int64_t padded, group;
  const Plan& plan;
  float *dk, *dv;  // (K, plan.keys, padded)
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
void load_segment(const Pass<T>& pass, const Scratch& s, const Segment& segment, int64_t kv_head, int64_t at) {
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
void store_dq(const Pass<T>& pass, const Scratch& s, const Segment& segment, int64_t kv_head, int64_t at) {
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

// One stretch of keys, rows [begin, begin + count) of the pack at positions from `position` on, against tile after tile
// of the unit's rows [first, end).
template <typename T>
void stretch_backward(const Pass<T>& pass, const Scratch& s, int64_t kv_head, int64_t begin, int64_t count,
                      int64_t position, int64_t first, int64_t end, float* dk, float* dv) {
  if (count == 0) return;
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

template <typename T>
void run_task(const Pass<T>& pass, const Task& task, const Scratch& s) {
  const Unit& unit = pass.plan.units[task.unit];
  const Segment* segments = pass.plan.segments;
  const int64_t group = pass.group, rows = unit.positions * group;
  std::fill_n(s.dq, rows * pass.padded, 0.0f);
  for (int64_t i = unit.segments_begin, at = 0; i < unit.segments_end; at += segments[i++].count * group)
    load_segment(pass, s, segments[i], task.kv_head, at);

  int64_t gradient = (task.kv_head * pass.plan.keys + unit.offset) * pass.padded;
  stretch_backward(pass, s, task.kv_head, unit.prefix_begin, unit.prefix_count, 0, 0, rows, pass.dk + gradient,
                   pass.dv + gradient);
  gradient += unit.prefix_count * pass.padded;
  int64_t at = 0;
  for (int64_t i = unit.segments_begin; i < unit.segments_end; ++i) {
    const Segment& segment = segments[i];
    const int64_t end = at + segment.count * group;
    stretch_backward(pass, s, task.kv_head, pass.runs[static_cast<size_t>(segment.run)].begin, segment.end(),
                     unit.prefix_count, at, end, pass.dk + gradient, pass.dv + gradient);
    gradient += segment.end() * pass.padded;
    at = end;
  }
  at = 0;
  for (int64_t i = unit.segments_begin; i < unit.segments_end; at += segments[i++].count * group)
    store_dq(pass, s, segments[i], task.kv_head, at);
}

// dk and dv of pack rows [first, end): the sum over units, in order, of what their rows gave.
template <typename T>
void sum_units(const Pass<T>& pass, Tensor dk, Tensor dv, int64_t first, int64_t end) {
  const int64_t D = pass.heads.head_size, kv_heads = pass.heads.num_kv_heads, kv_width = kv_heads * D;
  const size_t bytes = sizeof(float) * static_cast<size_t>((end - first) * kv_width);
  std::memset(dk.f32() + first * kv_width, 0, bytes);
  std::memset(dv.f32() + first * kv_width, 0, bytes);
  // Pack rows [begin, begin + count) have their gradients at `offset` of the buffers.
  const auto add = [&](int64_t begin, int64_t count, int64_t offset) {
    for (int64_t row = std::max(first, begin); row < std::min(end, begin + count); ++row) {
      for (int64_t kv = 0; kv < kv_heads; ++kv) {
        const int64_t from = (kv * pass.plan.keys + offset + row - begin) * pass.padded;
        for (int64_t d = 0; d < D; d += kLanes) {
          const int64_t lanes = lanes_left(D, d);
          float *to_k = dk.f32() + row * kv_width + kv * D + d, *to_v = dv.f32() + row * kv_width + kv * D + d;
          store_first(to_k, load_first(to_k, lanes) + load(pass.dk + from + d) * splat(pass.scale.scale), lanes);
          store_first(to_v, load_first(to_v, lanes) + load(pass.dv + from + d), lanes);
        }
      }
    }
  };
  for (int64_t u = 0; u < pass.plan.num_units; ++u) {
    const Unit& unit = pass.plan.units[u];
    int64_t offset = unit.offset;
    add(unit.prefix_begin, unit.prefix_count, offset);
    offset += unit.prefix_count;
    for (int64_t i = unit.segments_begin; i < unit.segments_end; ++i) {
      const Segment& segment = pass.plan.segments[i];
      add(pass.runs[static_cast<size_t>(segment.run)].begin, segment.end(), offset);
      offset += segment.end();
    }
  }
}

template <typename T>
void backward(Tensor dq, Tensor dk, Tensor dv, Tensor dout, Tensor out, Tensor lse, Tensor q, Tensor k, Tensor v,
              std::span<const PackRun> runs, const HeadLayout& heads, const Exec& ex) {
  const int64_t D = heads.head_size, padded = round_up(D, kLanes), group = heads.num_heads / heads.num_kv_heads;
  const int64_t limit = unit_positions(group), segments = count_segments(runs, limit);

  // The first thread's block holds its scratch, the plan and the gradient buffers, whose size the plan itself gives.
  Plan plan;
  const auto carve = [&](void* block, int64_t keys, float** dk_units, float** dv_units) {
    Carver carver(block);
    Scratch(carver, group, D, padded);
    plan.segments = carver.take<Segment>(segments);
    plan.units = carver.take<Unit>(segments);
    plan.tasks = carver.take<Task>(segments * heads.num_kv_heads);
    *dk_units = carver.take<float>(heads.num_kv_heads * keys * padded);
    *dv_units = carver.take<float>(heads.num_kv_heads * keys * padded);
    return carver.size();
  };
  float *dk_units = nullptr, *dv_units = nullptr;
  carve(ex.workspace->get(0, carve(nullptr, 0, &dk_units, &dv_units)), 0, &dk_units, &dv_units);
  plan_units(plan, runs, limit);
  const int64_t keys = plan.keys;
  plan.num_segments = plan.num_units = plan.keys = 0;
  void* block = ex.workspace->get(0, carve(nullptr, keys, &dk_units, &dv_units));
  carve(block, keys, &dk_units, &dv_units);
  plan_units(plan, runs, limit);
  plan_tasks(plan, heads.num_kv_heads);

  const Pass<T> pass{dq,     dout,  out,  lse,      q,       k, v, runs, heads, score_scale(heads),
                     padded, group, plan, dk_units, dv_units};
  Carver size(nullptr);
  Scratch(size, group, D, padded);
  ex.pool->run(plan.num_tasks, [&](int64_t task, int thread) {
    Carver carver(thread == 0 ? block : ex.workspace->get(thread, size.size()));
    run_task(pass, plan.tasks[task], Scratch(carver, group, D, padded));
  });
  constexpr int64_t kRows = 16;
  ex.pool->run((q.rows() + kRows - 1) / kRows, [&](int64_t chunk, int) {
    sum_units(pass, dk, dv, chunk * kRows, std::min(q.rows(), (chunk + 1) * kRows));
  });
}

}  // namespace

void attention_pack_backward(Tensor dq, Tensor dk, Tensor dv, Tensor dout, Tensor out, Tensor lse, Tensor q, Tensor k,
                             Tensor v, std::span<const PackRun> runs, const HeadLayout& heads, const Exec& ex) {
  if (ex.gpu != nullptr) return gpu::attention_pack_backward(dq, dk, dv, dout, out, lse, q, k, v, runs, heads, *ex.gpu);
  check_pack(q, k, v, runs, heads);
  const int64_t T = q.rows(), width = heads.num_heads * heads.head_size,
                kv_width = heads.num_kv_heads * heads.head_size;
  check_rows("dq", dq, T, width, DType::f32);
  check_rows("dk", dk, T, kv_width, DType::f32);
  check_rows("dv", dv, T, kv_width, DType::f32);
  check_rows("dout", dout, T, width, q.dtype);
  check_rows("out", out, T, width, q.dtype);
  check_rows("lse", lse, T, heads.num_heads, DType::f32);
  int64_t covered = 0;
  for (const PackRun& run : runs) covered += run.count;
  if (covered != T) std::memset(dq.data, 0, dq.bytes());
  if (q.dtype == DType::bf16) return backward<bf16>(dq, dk, dv, dout, out, lse, q, k, v, runs, heads, ex);
  backward<float>(dq, dk, dv, dout, out, lse, q, k, v, runs, heads, ex);
}

}  // namespace cohort
