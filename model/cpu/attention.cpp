// Attention forward. One function, attend(), serves prefill, decode and training: softmax is accumulated over blocks of
// 64 keys that begin at absolute positions (Milakov and Gimelshein 2018; Dao et al. 2022), so a row meets the same
// numbers in the same order wherever its keys lie and whichever rows share its tile.
#include "model/ops/attention.h"

#include <algorithm>
#include <bit>

#include "core/check.h"
#include "model/cpu/attention_tiles.h"
#include "model/cpu/vector_math.h"

namespace cohort {
namespace {

using namespace attention;
using namespace simd;

// One run's rows and what they attend to (the first kv head's).
template <typename Rows>
struct Source {
  int64_t begin, count, first_position;
  Rows keys, values;
};

// Rows [first, first + positions) of a run, for kv heads [kv_begin, kv_end).
struct Task {
  int64_t run, first, positions, kv_begin, kv_end, cost;
};

// Memory of one thread. A task's rows are ordered by kv head, then position, then head of the group.
struct Scratch {
  float *q, *scores, *sums;          // (rows, padded), (rows, 64), (rows, padded)
  float* weight;                     // (rows, 16): partial sums of exp, one a lane
  float *max, *block_max, *rescale;  // (rows), room for a whole last vector
  float *key_panel, *value_panel;    // (D, 64), (64, padded)

  Scratch(Carver& carver, int64_t rows, int64_t head_size, int64_t padded)
      : q(carver.take<float>(rows * padded)),
        scores(carver.take<float>(rows * kKeyBlock)),
        sums(carver.take<float>(rows * padded)),
        weight(carver.take<float>(rows * kLanes)),
        max(carver.take<float>(rows + kLanes)),
        block_max(carver.take<float>(rows + kLanes)),
        rescale(carver.take<float>(rows + kLanes)),
        key_panel(carver.take<float>(head_size * kKeyBlock)),
        value_panel(carver.take<float>(kKeyBlock * padded)) {}

  // The same, from row `row` on.
  Scratch from(int64_t row, int64_t padded) const {
    Scratch s = *this;
    s.q += row * padded, s.scores += row * kKeyBlock, s.sums += row * padded, s.weight += row * kLanes;
    s.max += row, s.block_max += row, s.rescale += row;
    return s;
  }
};

// Keys [begin(row), end(row)) of the block are those that row `row` of the tile may see.
struct Visible {
  int64_t group, first_position, window, base, count;
  int64_t begin(int64_t row) const {
    return std::clamp<int64_t>(window_begin(first_position + row / group, window) - base, 0, count);
  }
  int64_t end(int64_t row) const { return std::clamp<int64_t>(first_position + row / group + 1 - base, 0, count); }
};

// s = cap tanh(s) of rows [first, rows).
void cap_scores(float* scores, int64_t first, int64_t rows, int64_t vectors, float cap) {
  const F16 factor = splat(cap);
  for (int64_t r = first; r < rows; ++r)
    for (int64_t v = 0; v < vectors; ++v) {
      float* s = scores + r * kKeyBlock + v * kLanes;
      store(s, factor * tanh(load(s)));
    }
}

// Blanks a row's keys that are before its window.
void mask_before(float* scores, int64_t begin) {
  for (; begin > 0; begin -= kLanes, scores += kLanes) store_first(scores, splat(-kInfinity), std::min(begin, kLanes));
}

// Blanks what a row must not see and finds its largest score.
float mask_and_max(float* scores, int64_t visible, int64_t vectors) {
  F16 largest = splat(-kInfinity);
  for (int64_t v = 0; v < vectors; ++v) {
    const int64_t lanes = std::clamp<int64_t>(visible - v * kLanes, 0, kLanes);
    F16 s = load(scores + v * kLanes);
    if (lanes < kLanes) store(scores + v * kLanes, s = select(first_lanes(lanes), s, splat(-kInfinity)));
    largest = max(largest, s);
  }
  return max_lanes(largest);
}

// Adds one block to the running softmax of one kv head's rows [first, rows). values: the block's rows, `stride` apart.
template <typename V>
void add_block(const Scratch& s, int64_t first, int64_t rows, const Visible& visible, const V* values, int64_t stride,
               int64_t padded) {
  const int64_t vectors = (visible.count + kLanes - 1) / kLanes;
  const bool windowed = visible.begin(rows - 1) > 0;  // the last row's window begins last
  for (int64_t r = first; windowed && r < rows; ++r) mask_before(s.scores + r * kKeyBlock, visible.begin(r));
  for (int64_t r = first; r < rows; ++r)
    s.block_max[r] = mask_and_max(s.scores + r * kKeyBlock, visible.end(r), vectors);
  for (int64_t r = first; r < rows; r += kLanes) {
    const F16 before = load(s.max + r), after = max(before, load(s.block_max + r));
    store(s.rescale + r, exp2_nonpositive(before - after));
    store_first(s.max + r, after, lanes_left(rows, r));
  }
  for (int64_t r = first; r < rows; ++r) {
    const F16 largest = splat(s.max[r]), rescale = splat(s.rescale[r]);
    F16 weight = splat(0.0f);
    for (int64_t v = 0; v < vectors; ++v) {
      float* scores = s.scores + r * kKeyBlock + v * kLanes;
      const F16 p = exp2_nonpositive(load(scores) - largest);
      store(scores, p);
      weight = weight + p;
    }
    store(s.weight + r * kLanes, fma(load(s.weight + r * kLanes), rescale, weight));
    if (s.rescale[r] != 1.0f) {
      float* sums = s.sums + r * padded;
      for (int64_t d = 0; d < padded; d += kLanes) store(sums + d, load(sums + d) * rescale);
    }
  }
  // A row adds only the values it may see: 0 times another value would turn its infinity into NaN. A register tile of
  // rows goes together from the last one's first key to the first one's last key.
  const auto accumulate = [&](int64_t row, int64_t n, int64_t begin, int64_t end) {
    if (begin < end)
      accumulate_rows(s.sums + row * padded, s.scores + row * kKeyBlock + begin, kKeyBlock, 1, values + begin * stride,
                      stride, n, end - begin, padded);
  };
  for (int64_t r = first; r < rows;) {
    const int64_t common_end = visible.end(r);
    const int64_t n = common_end == visible.count && !windowed ? rows - r : std::min(kRegisterRows, rows - r);
    const int64_t common_begin = windowed ? std::min(common_end, visible.begin(r + n - 1)) : 0;
    for (int64_t i = r; common_begin > 0 && i < r + n; ++i) accumulate(i, 1, visible.begin(i), common_begin);
    accumulate(r, n, common_begin, common_end);
    for (int64_t stop = r + n; r < stop; ++r)
      accumulate(r, 1, windowed ? std::max(common_end, visible.begin(r)) : common_end, visible.end(r));
  }
}

// Asks for the rows of the next block a few at a time between the steps of this one: decode waits for memory more than
// it computes, and a core can wait for few lines at once, so that asking for all of them together would stall it.
template <typename Rows>
class Prefetch {
 public:
  Prefetch(const Rows& keys, const Rows& values, int64_t begin, int64_t end, int64_t columns, int64_t calls)
      : keys_(keys),
        values_(values),
        at_(begin),
        end_(end),
        columns_(columns),
        a_call_((end - begin + calls - 1) / calls) {}
  void some() {
    using T = typename Rows::Element;
    constexpr int64_t kLine = 64 / static_cast<int64_t>(sizeof(T));
    for (const int64_t stop = std::min(end_, at_ + a_call_); at_ < stop; ++at_)
      for (const T* row : {keys_.row(at_), values_.row(at_)})
        for (int64_t c = 0; c < columns_; c += kLine) __builtin_prefetch(row + c, 0, 3);
  }

 private:
  Rows keys_, values_;
  int64_t at_, end_, columns_, a_call_;
};

// s.q holds the scaled queries of `positions` positions from `first_position`, for `kv_heads` kv heads of `group` heads
// each; `cap` is ScoreScale's. Leaves softmax-weighted sums of values in s.sums, not yet divided by the sum of
// s.weight. A row takes part in the blocks that hold a key it sees and in no others, whatever its neighbours see.
template <typename Rows>
void attend(const Scratch& s, const Rows& keys, const Rows& values, int64_t first_position, int64_t positions,
            int64_t kv_heads, int64_t group, int64_t head_size, int64_t padded, int64_t window,
            float cap) {
  const int64_t rows = positions * group, end = first_position + positions;
  if (window >= end) window = 0;  // as it is; and no sum below can overflow
  std::fill_n(s.sums, kv_heads * rows * padded, 0.0f);
  std::fill_n(s.weight, kv_heads * rows * kLanes, 0.0f);
  std::fill_n(s.max, kv_heads * rows + kLanes, -kInfinity);
  std::fill_n(s.block_max, kv_heads * rows + kLanes, -kInfinity);
  for (int64_t base = window_begin(first_position, window) / kKeyBlock * kKeyBlock; base < end; base += kKeyBlock) {
    const int64_t count = std::min(kKeyBlock, end - base), next = base + kKeyBlock;
    const int64_t vectors = (count + kLanes - 1) / kLanes;
    const int64_t first = std::max<int64_t>(0, base - first_position) * group;
    // The last row to see the block's last key is window - 1 positions after that key.
    const int64_t last = window == 0 ? rows : std::min(rows, (base + count - 1 + window - first_position) * group);
    Prefetch<Rows> ahead(keys, values, next, std::min(end, next + kKeyBlock), kv_heads * head_size, 7 * kv_heads);
    for (int64_t kv = 0; kv < kv_heads; ++kv) {
      const Scratch at = s.from(kv * rows, padded);
      const Rows own_values = values.shifted(kv * head_size);
      const Visible visible{group, first_position, window, base, count};
      for (int64_t j = 0; j < count; j += kLanes, ahead.some())
        load_transposed(s.key_panel + j, keys.shifted(kv * head_size), base + j, lanes_left(count, j), head_size);
      dot_rows(at.scores + first * kKeyBlock, at.q + first * padded, last - first, s.key_panel, head_size, padded,
               vectors);
      if (cap > 0) cap_scores(at.scores, first, last, vectors, cap);
      ahead.some();
      // Few rows read the values where they lie; for many it pays to convert them once.
      if (last - first <= kRegisterRows && head_size == padded && own_values.contiguous(base, count)) {
        add_block(at, first, last, visible, own_values.row(base), own_values.stride, padded);
      } else {
        load_rows(s.value_panel, own_values, base, count, head_size, padded);
        add_block(at, first, last, visible, static_cast<const float*>(s.value_panel), padded, padded);
      }
    }
  }
}

// Divides by the sums of weights and stores out, and lse where it is wanted, of one kv head's rows.
template <typename T>
void finish(const Scratch& s, T* out, float* lse, int64_t positions, int64_t group, const HeadLayout& heads,
            int64_t padded) {
  const int64_t D = heads.head_size, rows = positions * group;
  for (int64_t r = 0; r < rows; ++r) {
    T* to = out + (r / group * heads.num_heads + r % group) * D;
    s.rescale[r] = sum_lanes(load(s.weight + r * kLanes));
    const F16 factor = splat(1.0f / s.rescale[r]);
    for (int64_t d = 0; d < padded; d += kLanes)
      store_first(to + d, load(s.sums + r * padded + d) * factor, lanes_left(D, d));
  }
  if (lse == nullptr) return;
  for (int64_t r = 0; r < rows; r += kLanes) {  // the maxima are in units of log 2
    const int64_t lanes = lanes_left(rows, r);
    const F16 weight = select(first_lanes(lanes), load(s.rescale + r), splat(1.0f));
    store_first(s.max + r, fma(load(s.max + r), splat(kLn2), log(weight)), lanes);
  }
  for (int64_t p = 0; p < positions; ++p) std::copy_n(s.max + p * group, group, lse + p * heads.num_heads);
}

template <typename Rows>
void run_task(const Task& task, const Source<Rows>& source, Tensor out, float* lse, Tensor q, const HeadLayout& heads,
              const Scratch& s) {
  using T = typename Rows::Element;
  const int64_t D = heads.head_size, padded = round_up(D, kLanes), group = heads.num_heads / heads.num_kv_heads;
  const int64_t rows = task.positions * group, kv_heads = task.kv_end - task.kv_begin, H = heads.num_heads;
  const ScoreScale scale = score_scale(heads);
  const int64_t at = ((source.begin + task.first) * H + task.kv_begin * group) * D;  // in q and out
  for (int64_t kv = 0; kv < kv_heads; ++kv)
    load_queries(s.q + kv * rows * padded, static_cast<const T*>(q.data) + at + kv * group * D, H * D, task.positions,
                 group, D, padded, scale.queries);
  attend(s, source.keys.shifted(task.kv_begin * D), source.values.shifted(task.kv_begin * D),
         source.first_position + task.first, task.positions, kv_heads, group, D, padded, heads.window, scale.cap);
  for (int64_t kv = 0; kv < kv_heads; ++kv)
    finish(s.from(kv * rows, padded), static_cast<T*>(out.data) + at + kv * group * D,
           lse == nullptr ? nullptr : lse + at / D + kv * group, task.positions, group, heads, padded);
}

// Cuts all runs into tasks, the longest first, and runs them. source_of(run) gives the run's Source.
template <typename SourceOf>
void attend_runs(int64_t runs, const SourceOf& source_of, Tensor out, float* lse, Tensor q, const HeadLayout& heads,
                 const Exec& ex) {
  const int64_t D = heads.head_size, padded = round_up(D, kLanes), group = heads.num_heads / heads.num_kv_heads;
  const int64_t K = heads.num_kv_heads, step = tile_positions(group);
  const int64_t max_rows = std::max(step * group, heads.num_heads);
  int64_t tasks = 0;
  for (int64_t run = 0; run < runs; ++run) tasks += (source_of(run).count + step - 1) / step * K;

  Carver plan(nullptr);
  Scratch(plan, max_rows, D, padded);
  const size_t scratch_bytes = plan.size();
  plan.take<Task>(tasks);
  Carver first_thread(ex.workspace->get(0, plan.size()));
  const Scratch first_scratch(first_thread, max_rows, D, padded);
  Task* list = first_thread.take<Task>(tasks);

  // A decode step with sequences enough for all threads reads each key row once, all its kv heads together.
  const bool whole_rows = runs >= 2 * ex.pool->size();
  int64_t n = 0;
  for (int64_t run = 0; run < runs; ++run) {
    const auto source = source_of(run);
    const int64_t heads_together = whole_rows && source.count * heads.num_heads <= max_rows ? K : 1;
    for (int64_t first = 0; first < source.count; first += step) {
      const int64_t positions = std::min(step, source.count - first);
      const int64_t position = source.first_position + first;
      const int64_t keys = position + positions - window_begin(position, heads.window);
      const int64_t cost = keys * (positions + 2) * heads_together;
      for (int64_t kv = 0; kv < K; kv += heads_together)
        list[n++] = {run, first, positions, kv, kv + heads_together, cost};
    }
  }
  if (ex.pool->size() > 1) std::sort(list, list + n, [](const Task& a, const Task& b) { return a.cost > b.cost; });

  ex.pool->run(n, [&](int64_t index, int thread) {
    if (thread == 0) return run_task(list[index], source_of(list[index].run), out, lse, q, heads, first_scratch);
    Carver carver(ex.workspace->get(thread, scratch_bytes));
    run_task(list[index], source_of(list[index].run), out, lse, q, heads, Scratch(carver, max_rows, D, padded));
  });
}

}  // namespace

void attention_cached(Tensor out, Tensor q, const KeyPages& cache, std::span<const CachedRun> runs,
                      const HeadLayout& heads, const Exec& ex) {
  check_heads(heads);
  check_rows("out", out, q.rows(), heads.num_heads * heads.head_size, q.dtype);
  check_rows("q", q, q.rows(), heads.num_heads * heads.head_size, q.dtype);
  CHECK(cache.keys != nullptr && cache.values != nullptr && cache.page_tokens > 0 &&
            std::has_single_bit(static_cast<uint64_t>(cache.page_tokens)),
        "attention: a cache without keys or values, or of pages of {} positions", cache.page_tokens);
  for (const CachedRun& run : runs) {
    CHECK(run.begin >= 0 && run.count >= 0 && run.begin + run.count <= q.rows() && run.first_position >= 0,
          "attention: rows [{}, {}) at position {} of {} rows", run.begin, run.begin + run.count, run.first_position,
          q.rows());
    CHECK(run.first_position + run.count <= static_cast<int64_t>(run.pages.size()) * cache.page_tokens,
          "attention: {} positions in {} pages of {}", run.first_position + run.count, run.pages.size(),
          cache.page_tokens);
  }
  const auto go = [&]<typename T>(T) {
    const auto source_of = [&](int64_t i) -> Source<PagedRows<T>> {
      const CachedRun& run = runs[static_cast<size_t>(i)];
      const int shift = std::countr_zero(static_cast<uint64_t>(cache.page_tokens));
      const auto rows = [&](const void* base) {
        return PagedRows<T>{static_cast<const T*>(base), run.pages.data(), shift, heads.num_kv_heads * heads.head_size};
      };
      return {run.begin, run.count, run.first_position, rows(cache.keys), rows(cache.values)};
    };
    attend_runs(static_cast<int64_t>(runs.size()), source_of, out, nullptr, q, heads, ex);
  };
  if (q.dtype == DType::bf16) return go(bf16{});
  go(float{});
}

void attention_pack(Tensor out, Tensor lse, Tensor q, Tensor k, Tensor v, std::span<const PackRun> runs,
                    const HeadLayout& heads, const Exec& ex) {
  check_pack(q, k, v, runs, heads);
  check_rows("out", out, q.rows(), heads.num_heads * heads.head_size, q.dtype);
  check_rows("lse", lse, q.rows(), heads.num_heads, DType::f32);
  const auto go = [&]<typename T>(T) {
    const auto source_of = [&](int64_t i) -> Source<KeyRows<T>> {
      const PackRun& run = runs[static_cast<size_t>(i)];
      return {run.begin, run.count, run.prefix_count, pack_rows<T>(k, run), pack_rows<T>(v, run)};
    };
    attend_runs(static_cast<int64_t>(runs.size()), source_of, out, lse.f32(), q, heads, ex);
  };
  if (q.dtype == DType::bf16) return go(bf16{});
  go(float{});
}

}  // namespace cohort
