// Attention forward. One function, attend(), serves prefill, decode and training: softmax is accumulated over blocks of
// 64 keys that begin at absolute positions (Milakov and Gimelshein 2018; Dao et al. 2022), so a row meets the same
// numbers in the same order wherever its keys lie and whichever rows share its tile.
//
// With bf16, queries, keys, the weights of one block and values are multiplied in bf16 and added up in f32; maxima, sums
// of weights and everything between blocks are f32. Where the processor has them, in its tile registers (key_tiles.cpp).
#include "model/ops/attention.h"

#include <algorithm>
#include <bit>
#include <optional>

#include "core/check.h"
#include "model/cpu/attention_tiles.h"
#include "model/cpu/key_blocks.h"
#include "model/cpu/vector_math.h"
#include "model/ops/gpu.h"

namespace cohort {
namespace {

using namespace attention;
using namespace simd;

// One run's rows and what they attend to.
template <typename Keys>
struct Source {
  int64_t begin, count, first_position;
  Keys keys;
};

// Rows [first, first + positions) of each of runs [run, run + members), for kv heads [kv_begin, kv_end). The members'
// keys [0, shared) are the same; shared is a multiple of the key block.
struct Task {
  int64_t run, members, first, positions, kv_begin, kv_end, shared, cost;
};

// Rows of a tile of queries, and rows that such a tile may have beyond the last.
#ifdef COHORT_TILES
constexpr int64_t kMostTileRows = tiles::kRows, kSpareRows = kMostTileRows - 1;
#else
constexpr int64_t kMostTileRows = 1, kSpareRows = 0;
#endif

// Memory of one thread. A task's rows are ordered by kv head, then member, position, head of the group.
struct Scratch {
  Word* q;                           // (rows, lanes of D)
  float *scores, *sums;              // (rows, 64), (rows, padded)
  float* weight;                     // (rows, 16): partial sums of exp, one a lane
  float *max, *block_max, *rescale;  // (rows), room for a whole last vector
  Panels panels;

  Scratch(Carver& carver, int64_t rows, int64_t padded)
      : q(carver.take<Word>((rows + kSpareRows) * padded)),
        scores(carver.take<float>((rows + kSpareRows) * kKeyBlock)),
        sums(carver.take<float>((rows + kSpareRows) * padded)),
        weight(carver.take<float>(rows * kLanes)),
        max(carver.take<float>(rows + kLanes)),
        block_max(carver.take<float>(rows + kLanes)),
        rescale(carver.take<float>(rows + kLanes)),
        panels{carver.take<Word>(Panels::words(padded)), carver.take<Word>(Panels::words(padded))} {}

  // The same, from row `row` on.
  Scratch from(int64_t row, int64_t lanes, int64_t padded) const {
    Scratch s = *this;
    s.q += row * lanes, s.scores += row * kKeyBlock, s.sums += row * padded, s.weight += row * kLanes;
    s.max += row, s.block_max += row, s.rescale += row;
    return s;
  }
};

// What all tasks of a call share.
struct Shape {
  HeadLayout heads;
  ScoreScale scale;
  int64_t padded, group, lanes;
};

// Keys [begin(row), end(row)) of the block are those that row `row` of the tile may see.
struct Visible {
  int64_t group, first_position, window, base, count;
  int64_t begin(int64_t row) const {
    return std::clamp<int64_t>(window_begin(first_position + row / group, window) - base, 0, count);
  }
  int64_t end(int64_t row) const { return std::clamp<int64_t>(first_position + row / group + 1 - base, 0, count); }
};

// Products become scores in units of log 2: s = factor dot, or s = cap tanh(dot factor) (ScoreScale). Blanks what the row
// must not see and returns its largest score.
float scale_and_max(float* scores, int64_t begin, int64_t end, int64_t vectors, const ScoreScale& scale) {
  const F16 factor = splat(scale.queries), cap = splat(scale.cap), out = splat(-kInfinity);
  F16 largest = out;
  for (int64_t v = 0; v < vectors; ++v) {
    F16 s = load(scores + v * kLanes) * factor;
    if (scale.cap > 0) s = cap * tanh(s);
    const int64_t first = v * kLanes;
    if (end < first + kLanes) s = select(first_lanes(std::clamp<int64_t>(end - first, 0, kLanes)), s, out);
    if (begin > first) s = select(first_lanes(std::min(begin - first, kLanes)), out, s);
    store(scores + first, s);
    largest = max(largest, s);
  }
  return max_lanes(largest);
}

// Adds one block to the running softmax of one kv head's rows [first, rows), whose products with the keys are in
// s.scores.
template <typename T>
void add_block(const Scratch& s, int64_t first, int64_t rows, const Visible& visible, const KeyBlock& block,
               const KeyBlock& next, const Shape& shape, int64_t tile_rows) {
  const int64_t vectors = (visible.count + kLanes - 1) / kLanes, padded = shape.padded;
  const bool windowed = visible.begin(rows - 1) > 0;  // the last row's window begins last
  for (int64_t r = first; r < rows; ++r)
    s.block_max[r] = scale_and_max(s.scores + r * kKeyBlock, windowed ? visible.begin(r) : 0, visible.end(r), vectors,
                                   shape.scale);
  for (int64_t r = first; r < rows; r += kLanes) {
    const F16 before = load(s.max + r), after = max(before, load(s.block_max + r));
    store(s.rescale + r, exp2_nonpositive(before - after));
    store_first(s.max + r, after, lanes_left(rows, r));
  }
  for (int64_t r = first; r < rows; ++r) {
    const F16 largest = splat(s.max[r]), rescale = splat(s.rescale[r]);
    F16 weight = splat(0.0f);
    float* scores = s.scores + r * kKeyBlock;
    for (int64_t v = 0; v < vectors; ++v) {
      const F16 p = exp2_nonpositive(load(scores + v * kLanes) - largest);
      store_lanes<T>(reinterpret_cast<Word*>(scores), v * kLanes, p);  // never past the scores that are still to come
      weight = weight + p;
    }
    store(s.weight + r * kLanes, fma(load(s.weight + r * kLanes), rescale, weight));
    if (s.rescale[r] != 1.0f) {
      float* sums = s.sums + r * padded;
      for (int64_t d = 0; d < padded; d += kLanes) store(sums + d, load(sums + d) * rescale);
    }
  }
  // A row adds only the values it may see: 0 times another value would turn its infinity into NaN.
#ifdef COHORT_TILES
  if constexpr (kInTiles<T>) {
    const auto add = [&](int64_t row, int64_t n, int64_t begin, int64_t end) {
      accumulate_tiles(s.sums + row * padded, reinterpret_cast<const Word*>(s.scores + row * kKeyBlock), n, tile_rows, block,
                       row == first ? next : KeyBlock{}, begin, end, padded);
    };
    const int64_t begin = windowed ? visible.begin(first) : 0, end = visible.end(rows - 1);
    const bool alike = visible.end(first) == end && (!windowed || visible.begin(rows - 1) == begin);
    if (alike || finite_values(block, visible.count, padded)) return add(first, rows - first, begin, end);
    for (int64_t r = first; r < rows; ++r) add(r, 1, windowed ? visible.begin(r) : 0, visible.end(r));
    return;
  }
#endif
  (void)tile_rows;
  // A register tile of rows goes together from the last one's first key to the first one's last key.
  const auto accumulate = [&](int64_t row, int64_t n, int64_t begin, int64_t end) {
    accumulate_block<T>(s.sums + row * padded, reinterpret_cast<const Word*>(s.scores + row * kKeyBlock), n, block,
                        row == first ? next : KeyBlock{}, begin, end, padded);
  };
  for (int64_t r = first; r < rows;) {
    const int64_t common_end = visible.end(r);
    const int64_t n = common_end == visible.count && !windowed ? rows - r : std::min(kRegisterRows, rows - r);
    // Whole lanes only: a pair of which one row sees one number belongs to that row alone.
    constexpr int64_t kNumbers = kLaneNumbers<T>;
    const bool alike = visible.end(r + n - 1) == common_end && (!windowed || visible.begin(r) == visible.begin(r + n - 1));
    const int64_t last_begin = windowed ? visible.begin(r + n - 1) : 0;
    const int64_t to = alike ? common_end : common_end / kNumbers * kNumbers;
    const int64_t from = alike ? last_begin : std::min(to, round_up(last_begin, kNumbers));
    for (int64_t i = r; from > 0 && i < r + n; ++i) accumulate(i, 1, std::min(from, visible.begin(i)), from);
    accumulate(r, n, from, to);
    for (int64_t stop = r + n; r < stop; ++r) accumulate(r, 1, windowed ? std::max(to, visible.begin(r)) : to, visible.end(r));
  }
}

// Rows that stand at `positions` positions from `first_position`, of kv heads [kv_begin, kv_begin + kv_heads); those of a
// kv head follow `stride` rows after those of the one before. Adds the blocks of keys [begin, end) to their softmax; begin
// is a multiple of the block. A row takes part in the blocks that hold a key it sees and in no others, whatever its
// neighbours see.
template <typename T, typename Keys>
void attend(const Scratch& s, const Keys& keys, int64_t kv_begin, int64_t kv_heads, int64_t stride, int64_t first_position,
            int64_t positions, int64_t begin, int64_t end, int64_t window, const Shape& shape) {
  const int64_t rows = positions * shape.group, tile_rows = std::min<int64_t>(rows, kMostTileRows);
#ifdef COHORT_TILES
  std::optional<tiles::Session> session;
  if (kInTiles<T> && begin < end) session.emplace(tile_layout(tile_rows));
#endif
  for (int64_t base = begin; base < end; base += kKeyBlock) {
    const int64_t count = std::min(kKeyBlock, end - base), next = base + kKeyBlock;
    const int64_t groups = (count + kGroupKeys - 1) / kGroupKeys;
    const int64_t first = std::max<int64_t>(0, base - first_position) * shape.group;
    // The last row to see the block's last key is window - 1 positions after that key.
    const int64_t last =
        window == 0 ? rows : std::min(rows, (base + count - 1 + window - first_position) * shape.group);
    for (int64_t kv = 0; kv < kv_heads; ++kv) {
      const Scratch at = s.from(kv * stride, shape.lanes, shape.padded);
      const KeyBlock block = keys.block(kv_begin + kv, base, count, s.panels);
      KeyBlock ahead{};
      if (Keys::kInPlace) {
        if (kv + 1 < kv_heads) {
          ahead = keys.block(kv_begin + kv + 1, base, count, s.panels);
        } else if (next < end) {
          ahead = keys.block(kv_begin, next, std::min(kKeyBlock, end - next), s.panels);
        }
      }
#ifdef COHORT_TILES
      if constexpr (kInTiles<T>)
        dot_tiles(at.scores + first * kKeyBlock, at.q + first * shape.lanes, last - first, tile_rows, block, ahead,
                  shape.heads.head_size, groups);
#endif
      if constexpr (!kInTiles<T>)
        dot_block<T>(at.scores + first * kKeyBlock, at.q + first * shape.lanes, last - first, block, ahead,
                     shape.heads.head_size, groups);
      add_block<T>(at, first, last, {shape.group, first_position, window, base, count}, block, ahead, shape, tile_rows);
    }
  }
}

// Divides by the sums of weights and stores out, and lse where it is wanted, of one kv head's rows of one member.
template <typename T>
void finish(const Scratch& s, T* out, float* lse, int64_t positions, const Shape& shape) {
  const int64_t D = shape.heads.head_size, group = shape.group, rows = positions * group;
  for (int64_t r = 0; r < rows; ++r) {
    T* to = out + (r / group * shape.heads.num_heads + r % group) * D;
    s.rescale[r] = sum_lanes(load(s.weight + r * kLanes));
    const F16 factor = splat(1.0f / s.rescale[r]);
    for (int64_t d = 0; d < shape.padded; d += kLanes) {
      const F16 sum = load(s.sums + r * shape.padded + d);
      // In tiles a zero's sign can come from keys that the row does not see: all zeros are +0.
      store_first(to + d, kInTiles<T> ? fma(sum, factor, splat(0.0f)) : sum * factor, lanes_left(D, d));
    }
  }
  if (lse == nullptr) return;
  for (int64_t r = 0; r < rows; r += kLanes) {  // the maxima are in units of log 2
    const int64_t lanes = lanes_left(rows, r);
    const F16 weight = select(first_lanes(lanes), load(s.rescale + r), splat(1.0f));
    store_first(s.max + r, fma(load(s.max + r), splat(kLn2), log(weight)), lanes);
  }
  for (int64_t p = 0; p < positions; ++p) std::copy_n(s.max + p * group, group, lse + p * shape.heads.num_heads);
}

template <typename T, typename SourceOf>
void run_task(const Task& task, const SourceOf& source_of, Tensor out, float* lse, Tensor q, const Shape& shape,
              const Scratch& s) {
  const int64_t D = shape.heads.head_size, H = shape.heads.num_heads, kv_heads = task.kv_end - task.kv_begin;
  const int64_t own = task.positions * shape.group, rows = task.members * own;
  // Of a kv head and a member: its rows in the scratch, and its first number in q and out.
  const auto scratch_of = [&](int64_t kv, int64_t member) {
    return s.from(kv * rows + member * own, shape.lanes, shape.padded);
  };
  const auto number_of = [&](int64_t kv, int64_t begin) {
    return ((begin + task.first) * H + (task.kv_begin + kv) * shape.group) * D;
  };
  std::fill_n(s.sums, kv_heads * rows * shape.padded, 0.0f);
  std::fill_n(s.weight, kv_heads * rows * kLanes, 0.0f);
  std::fill_n(s.max, kv_heads * rows + kLanes, -kInfinity);
  std::fill_n(s.block_max, kv_heads * rows + kLanes, -kInfinity);
  for (int64_t member = 0; member < task.members; ++member) {
    const int64_t begin = source_of(task.run + member).begin;
    for (int64_t kv = 0; kv < kv_heads; ++kv)
      load_query_lanes(scratch_of(kv, member).q, static_cast<const T*>(q.data) + number_of(kv, begin), H * D,
                       task.positions, shape.group, D);
  }
  if (task.shared > 0)  // all rows see all of it
    attend<T>(s, source_of(task.run).keys, task.kv_begin, kv_heads, rows, task.shared, task.members * task.positions, 0,
              task.shared, 0, shape);
  for (int64_t member = 0; member < task.members; ++member) {
    const auto source = source_of(task.run + member);
    const int64_t first = source.first_position + task.first, end = first + task.positions;
    const int64_t window = shape.heads.window >= end ? 0 : shape.heads.window;  // no sum can overflow
    attend<T>(scratch_of(0, member), source.keys, task.kv_begin, kv_heads, rows, first, task.positions,
              std::max(task.shared, window_begin(first, window) / kKeyBlock * kKeyBlock), end, window, shape);
    for (int64_t kv = 0; kv < kv_heads; ++kv) {
      const int64_t at = number_of(kv, source.begin);
      finish(scratch_of(kv, member), static_cast<T*>(out.data) + at, lse == nullptr ? nullptr : lse + at / D,
             task.positions, shape);
    }
  }
}

// Asks memory for the first block of keys and values that each member of a task does not share.
template <typename SourceOf>
void ask_for(const Task& task, const SourceOf& source_of, const Shape& shape) {
  for (int64_t member = 0; member < task.members; ++member) {
    const auto source = source_of(task.run + member);
    const int64_t first = source.first_position + task.first, end = first + task.positions;
    const int64_t base = std::max(task.shared, window_begin(first, shape.heads.window) / kKeyBlock * kKeyBlock);
    const int64_t count = std::min(kKeyBlock, end - base);
    for (int64_t kv = task.kv_begin; kv < task.kv_end && count > 0; ++kv)
      ask_for(source.keys.block(kv, base, count, Panels{}), count, shape.padded);
  }
}

// Cuts all runs into tasks, the longest first, and runs them. source_of(run) gives the run's Source;
// shared_keys(run, other) how many keys the two have in common, where they attend together.
template <typename T, typename SourceOf, typename SharedKeys>
void attend_runs(int64_t runs, const SourceOf& source_of, const SharedKeys& shared_keys, Tensor out, float* lse, Tensor q,
                 const HeadLayout& heads, const Exec& ex) {
  const int64_t D = heads.head_size, group = heads.num_heads / heads.num_kv_heads;
  const Shape shape{heads, score_scale(heads), cached_head_size(D), group, lanes_of<T>(D)};
  const int64_t K = heads.num_kv_heads, step = tile_positions(group), threads = ex.pool->size();
  const int64_t max_rows = std::max(step * group, heads.num_heads);
  int64_t tasks = 0;
  for (int64_t run = 0; run < runs; ++run) tasks += (source_of(run).count + step - 1) / step * K;

  Carver plan(nullptr);
  Scratch(plan, max_rows, shape.padded);
  const size_t scratch_bytes = plan.size();
  plan.take<Task>(tasks);
  Carver first_thread(ex.workspace->get(0, plan.size()));
  const Scratch first_scratch(first_thread, max_rows, shape.padded);
  Task* list = first_thread.take<Task>(tasks);

  int64_t n = 0;
  const auto add = [&](int64_t run, int64_t members, int64_t first, int64_t positions, int64_t shared, int64_t together) {
    const auto source = source_of(run);
    const int64_t position = source.first_position + first;
    const int64_t keys = position + positions - window_begin(position, heads.window);
    const int64_t cost = (keys * (positions + 2) * members - (members - 1) * shared) * together;
    for (int64_t kv = 0; kv < K; kv += together)
      list[n++] = {run, members, first, positions, kv, kv + together, shared, cost};
  };
  // Few decode steps are cut by kv heads, many are not; those of a group go through the keys they share together.
  const bool whole = runs >= 2 * threads;
  const int64_t together = whole && heads.num_heads <= max_rows ? K : 1;
  const int64_t most_members = std::clamp<int64_t>((runs * K + 4 * threads - 1) / (4 * threads), 1, step);
  for (int64_t run = 0; run < runs;) {
    const int64_t count = source_of(run).count;
    int64_t members = 1, shared = 0;
    while (count == 1 && members < most_members && run + members < runs && source_of(run + members).count == 1) {
      const int64_t common = shared_keys(run, run + members);
      if (common == 0 || (members > 1 && common < shared)) break;
      shared = members == 1 ? common : std::min(shared, common);
      ++members;
    }
    if (members > 1) {
      add(run, members, 0, 1, shared, 1);
    } else {
      for (int64_t first = 0; first < count; first += step)
        add(run, 1, first, std::min(step, count - first), 0, count * heads.num_heads <= max_rows ? together : 1);
    }
    run += members;
  }
  const auto longer = [](const Task& a, const Task& b) { return a.cost > b.cost; };
  if (threads > 1 && !std::is_sorted(list, list + n, longer)) std::sort(list, list + n, longer);

  ex.pool->run(n, [&](int64_t index, int thread) {
    // Threads take tasks in turn. Longer tasks ask for their blocks one by one.
    if constexpr (sizeof(T) == 2 && decltype(source_of(0).keys)::kInPlace)
      if (index + threads < n && list[index + threads].positions == 1) ask_for(list[index + threads], source_of, shape);
    if (thread == 0) return run_task<T>(list[index], source_of, out, lse, q, shape, first_scratch);
    Carver carver(ex.workspace->get(thread, scratch_bytes));
    run_task<T>(list[index], source_of, out, lse, q, shape, Scratch(carver, max_rows, shape.padded));
  });
}

}  // namespace

void attention_cached(Tensor out, Tensor q, const KeyPages& cache, std::span<const CachedRun> runs,
                      const HeadLayout& heads, const Exec& ex, Tensor lse) {
  if (ex.gpu != nullptr) return gpu::attention_cached(out, q, cache, runs, heads, lse, *ex.gpu);
  check_heads(heads);
  check_rows("out", out, q.rows(), heads.num_heads * heads.head_size, q.dtype);
  if (lse) check_rows("lse", lse, q.rows(), heads.num_heads, DType::f32);
  check_rows("q", q, q.rows(), heads.num_heads * heads.head_size, q.dtype);
  check_cache(cache, runs, q.rows());
  const int shift = std::countr_zero(static_cast<uint64_t>(cache.page_tokens));
  // Whole blocks of leading pages that are the same, before the first position that either computes now.
  const auto shared_keys = [&](int64_t a, int64_t b) -> int64_t {
    if (heads.window > 0) return 0;
    const CachedRun &one = runs[static_cast<size_t>(a)], &other = runs[static_cast<size_t>(b)];
    const auto pages = std::ranges::mismatch(one.pages, other.pages).in1 - one.pages.begin();
    return std::min({static_cast<int64_t>(pages) << shift, one.first_position, other.first_position}) / kKeyBlock * kKeyBlock;
  };
  const auto go = [&]<typename T>(T) {
    const auto source_of = [&](int64_t i) -> Source<CachedKeys<T>> {
      const CachedRun& run = runs[static_cast<size_t>(i)];
      return {run.begin, run.count, run.first_position,
              {static_cast<const T*>(cache.keys), static_cast<const T*>(cache.values), run.pages.data(), shift,
               cache.stride, heads.head_size}};
    };
    attend_runs<T>(static_cast<int64_t>(runs.size()), source_of, shared_keys, out, lse ? lse.f32() : nullptr, q, heads, ex);
  };
  if (q.dtype == DType::bf16) return go(bf16{});
  go(float{});
}

void attention_pack(Tensor out, Tensor lse, Tensor q, Tensor k, Tensor v, std::span<const PackRun> runs,
                    const HeadLayout& heads, const Exec& ex) {
  if (ex.gpu != nullptr) return gpu::attention_pack(out, lse, q, k, v, runs, heads, *ex.gpu);
  check_pack(q, k, v, runs, heads);
  check_rows("out", out, q.rows(), heads.num_heads * heads.head_size, q.dtype);
  check_rows("lse", lse, q.rows(), heads.num_heads, DType::f32);
  const auto go = [&]<typename T>(T) {
    const auto source_of = [&](int64_t i) -> Source<PackKeys<T>> {
      const PackRun& run = runs[static_cast<size_t>(i)];
      return {run.begin, run.count, run.prefix_count, {pack_rows<T>(k, run), pack_rows<T>(v, run), heads.head_size}};
    };
    const auto nothing_shared = [](int64_t, int64_t) -> int64_t { return 0; };
    attend_runs<T>(static_cast<int64_t>(runs.size()), source_of, nothing_shared, out, lse.f32(), q, heads, ex);
  };
  if (q.dtype == DType::bf16) return go(bf16{});
  go(float{});
}

}  // namespace cohort
