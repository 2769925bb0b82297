// Attention's backward pass of a unit in tile registers (unit_backward.h). Keys are the rows of what is computed, so that p
// and ds, rounded to bf16, are read by the next products as they are stored, and a row's lse and delta stand in a lane:
//
//   p = exp(k q^T - lse)   dv = p dout   ds = p (v dout^T - delta)   dk = ds q   dq^T = k^T ds        (p, ds: keys x rows)
//
// A number of dk or dv is a chain over the unit's rows, thirty-two at a time from its first one on, one of dq over the keys,
// thirty-two at a time block by block.
#include <bit>
#include <cstring>

#include "model/cpu/transpose.h"
#include "model/cpu/unit_backward.h"
#include "model/cpu/vector_math.h"

#ifdef COHORT_TILES

namespace cohort::attention {
namespace {

using namespace simd;
using namespace tiles;
using simd::kLanes;

constexpr int64_t kStep = 2 * kLanes;  // numbers of a row of A, rows of B

const std::byte* bytes(const void* p) { return static_cast<const std::byte*>(p); }
std::byte* bytes(void* p) { return static_cast<std::byte*>(p); }

// Memory of a unit of `rows` rows, a multiple of kStep, and one block of keys.
struct Scratch {
  Word *q_lanes, *dout_lanes;    // (rows / 16, padded / 2, 16): pairs of a row's numbers
  Word *q_pairs, *dout_pairs;    // (rows / 2, padded): numbers of a pair of rows
  float *lse, *delta;            // (rows), lse in units of log 2
  int32_t *window, *position;    // (rows): the first and the last key that is seen
  int64_t* at;                   // (rows): numbers from the task's first one in q
  float* dq;                     // (padded, rows)
  bf16 *k, *v, *k_columns;       // (64, padded), (64, padded), (padded, 64)
  float *scores, *dscores;       // (32, 32)
  bf16 *p, *ds;                  // (64, rows)
  Word* ds_pairs;                // (32, rows): of a pair of keys
  float *dk, *dv;                // (64, padded)

  Scratch(Carver& c, int64_t rows, int64_t padded)
      : q_lanes(c.take<Word>(rows * padded / 2)), dout_lanes(c.take<Word>(rows * padded / 2)),
        q_pairs(c.take<Word>(rows * padded / 2)), dout_pairs(c.take<Word>(rows * padded / 2)),
        lse(c.take<float>(rows)), delta(c.take<float>(rows)),
        window(c.take<int32_t>(rows)), position(c.take<int32_t>(rows)),
        at(c.take<int64_t>(rows)),
        dq(c.take<float>(padded * rows)),
        k(c.take<bf16>(kKeyBlock * padded)), v(c.take<bf16>(kKeyBlock * padded)), k_columns(c.take<bf16>(padded * kKeyBlock)),
        scores(c.take<float>(kStep * kStep)), dscores(c.take<float>(kStep * kStep)),
        p(c.take<bf16>(kKeyBlock * rows)), ds(c.take<bf16>(kKeyBlock * rows)),
        ds_pairs(c.take<Word>(kKeyBlock / 2 * rows)),
        dk(c.take<float>(kKeyBlock * padded)), dv(c.take<float>(kKeyBlock * padded)) {}
};

// Four sums of 16 x 16, two by two: += a (32, 32 steps) b (32 steps, 32). `a_row` and `b_row` are the bytes from one row of A (16
// lower down) and of B to the next; `a_step`, `b_step` those from one step to the next, `b_right` those to B's right half.
struct Square {
  const std::byte *a, *b;
  int64_t a_row, b_row, a_step, b_step, b_right;
};
inline void multiply_square(const Square& s, int64_t step) {
  const std::byte *a = s.a + step * s.a_step, *b = s.b + step * s.b_step;
  load<4>(a, s.a_row), load<6>(b, s.b_row), multiply_pairs<0, 4, 6>();
  load<7>(b + s.b_right, s.b_row), multiply_pairs<1, 4, 7>();
  load<5>(a + 16 * s.a_row, s.a_row), multiply_pairs<2, 5, 6>(), multiply_pairs<3, 5, 7>();
}
inline void zero_square() { zero<0>(), zero<1>(), zero<2>(), zero<3>(); }
inline void load_square(const std::byte* c, int64_t row) {
  load<0>(c, row), load<1>(c + kRowBytes, row), load<2>(c + 16 * row, row), load<3>(c + 16 * row + kRowBytes, row);
}
inline void store_square(std::byte* c, int64_t row) {
  store<0>(c, row), store<1>(c + kRowBytes, row), store<2>(c + 16 * row, row), store<3>(c + 16 * row + kRowBytes, row);
}

// The unit's q, dout, lse, delta and what each row sees.
void load_unit(const Scratch& s, const BackwardPass<bf16>& pass, const Task& task, int64_t rows) {
  const Unit& unit = pass.plan.units[task.unit];
  const int64_t D = pass.heads.head_size, padded = pass.padded, group = pass.group, width = pass.width();
  const int64_t first_head = task.kv_head * group;
  int64_t r = 0;
  for (int64_t i = unit.segments_begin; i < unit.segments_end; ++i) {
    const Segment& segment = pass.plan.segments[i];
    const int64_t row = pass.row_of(segment), position = pass.position_of(segment);
    for (int64_t p = 0; p < segment.count; ++p)
      for (int64_t g = 0; g < group; ++g, ++r) {
        s.at[r] = (row + p) * width + (first_head + g) * D;
        s.position[r] = static_cast<int32_t>(position + p);
        s.window[r] = static_cast<int32_t>(window_begin(position + p, pass.heads.window));
        s.lse[r] = pass.lse.f32()[(row + p) * pass.heads.num_heads + first_head + g] * kLog2e;
        const bf16 *dout = pass.dout.b16() + s.at[r], *out = pass.out.b16() + s.at[r];
        F16 sum = splat(0.0f);
        for (int64_t d = 0; d < D; d += kLanes)
          sum = fma(load_first(dout + d, lanes_left(D, d)), load_first(out + d, lanes_left(D, d)), sum);
        s.delta[r] = sum_lanes(sum);
      }
  }
  const int64_t count = r;
  for (; r < rows; ++r) s.position[r] = -1, s.window[r] = 0, s.lse[r] = s.delta[r] = 0;  // sees nothing

  const auto lay_out = [&](Word* lanes, Word* pairs, const bf16* from) {
    const int64_t group_words = padded / 2 * kLanes;
    if (D != padded) std::memset(lanes, 0, static_cast<size_t>(rows / kLanes * group_words) * sizeof(Word));
    for (int64_t begin = 0; begin < rows; begin += kLanes) {
      const void* of[kLanes] = {};
      const int64_t n = std::clamp<int64_t>(count - begin, 0, kLanes);
      for (int64_t j = 0; j < n; ++j) of[j] = from + s.at[begin + j];
      transpose_words(lanes + begin / kLanes * group_words, of, n, D * 2);
    }
    const auto row = [&](int64_t i) { return i < count ? from + s.at[i] : nullptr; };
    for (int64_t i = 0; i < rows; i += 2) interleave(pairs + i / 2 * padded, row(i), row(i + 1), D, padded);
  };
  lay_out(s.q_lanes, s.q_pairs, pass.q.b16());
  lay_out(s.dout_lanes, s.dout_pairs, pass.dout.b16());
}

// Keys and values of rows [begin, begin + count) of the pack, zeros after them.
void load_block(const Scratch& s, const BackwardPass<bf16>& pass, int64_t kv_head, int64_t begin, int64_t count) {
  const int64_t D = pass.heads.head_size, padded = pass.padded, stride = pass.heads.num_kv_heads * D;
  const auto copy = [&](bf16* to, Tensor from) {
    for (int64_t j = 0; j < kKeyBlock; ++j, to += padded) {
      const int64_t size = j < count ? D : 0;
      if (size > 0) std::memcpy(to, from.b16() + (begin + j) * stride + kv_head * D, static_cast<size_t>(size) * 2);
      std::memset(to + size, 0, static_cast<size_t>(padded - size) * 2);
    }
  };
  copy(s.k, pass.k), copy(s.v, pass.v);
  alignas(64) Word words[kMaxHeadSize / 2 * kLanes];
  for (int64_t j = 0; j < kKeyBlock; j += kLanes) {
    const void* of[kLanes];
    for (int64_t i = 0; i < kLanes; ++i) of[i] = s.k + (j + i) * padded;
    transpose_words(words, of, kLanes, padded * 2);
    for (int64_t i = 0; i < padded / 2; ++i) {  // two numbers of sixteen keys
      const __m512i pair = _mm512_load_si512(words + i * kLanes);
      const auto put = [&](int64_t d, __m512i numbers) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(s.k_columns + d * kKeyBlock + j), _mm512_cvtepi32_epi16(numbers));
      };
      put(2 * i, pair), put(2 * i + 1, _mm512_srli_epi32(pair, 16));
    }
  }
}

// A step's rows [32 step, 32 step + 32) and which of them are the stretch's.
struct Rows {
  int64_t step;
  __mmask16 own[2];
};

// Whether one of them sees a key of positions [begin, end).
bool sees(const Scratch& s, const Rows& rows, int64_t begin, int64_t end) {
  const __m512i first = _mm512_set1_epi32(static_cast<int>(begin)), last = _mm512_set1_epi32(static_cast<int>(end - 1));
  unsigned seen = 0;
  for (int half = 0; half < 2; ++half) {
    const int64_t r = rows.step * kStep + half * kLanes;
    seen |= _mm512_mask_cmpge_epi32_mask(_mm512_mask_cmple_epi32_mask(rows.own[half], _mm512_loadu_si512(s.window + r), last),
                                         _mm512_loadu_si512(s.position + r), first);
  }
  return seen != 0;
}

// s.scores, s.dscores of 32 keys, `count` of them real and the first at `position` -> p, ds and ds_pairs of keys from `key` on.
template <bool kCapped>
void softmax_backward(const Scratch& s, const Rows& rows, int64_t key, int64_t count, int64_t position, const ScoreScale& scale,
                      int64_t row_count) {
  const F16 queries = splat(scale.queries), factor = splat(scale.cap), one = splat(1.0f);
  const int64_t r = rows.step * kStep;
  F16 lse[2], delta[2];
  __m512i window[2], last[2];
  for (int half = 0; half < 2; ++half) {
    const int64_t at = r + half * kLanes;
    lse[half] = load(s.lse + at), delta[half] = load(s.delta + at);
    window[half] = _mm512_loadu_si512(s.window + at), last[half] = _mm512_loadu_si512(s.position + at);
  }
  for (int64_t j = 0; j < kStep; j += 2) {
    __m512bh ds_of[2];
    for (int odd = 0; odd < 2; ++odd) {
      F16 p[2], ds[2];
      const __m512i here = _mm512_set1_epi32(static_cast<int>(position + j + odd));
      for (int half = 0; half < 2; ++half) {
        const int64_t at = (j + odd) * kStep + half * kLanes;
        __mmask16 seen = j + odd < count ? rows.own[half] : 0;
        seen = _mm512_mask_cmpge_epi32_mask(_mm512_mask_cmple_epi32_mask(seen, window[half], here), last[half], here);
        F16 score = load(s.scores + at) * queries, slope = one;
        if constexpr (kCapped) {
          const F16 t = tanh(score);
          score = factor * t, slope = fma(splat(0.0f) - t, t, one);
        }
        const F16 weight = exp2_nonpositive(score - lse[half]);
        F16 change = weight * (load(s.dscores + at) - delta[half]);
        if constexpr (kCapped) change = change * slope;
        p[half] = select(seen, weight, splat(0.0f)), ds[half] = select(seen, change, splat(0.0f));
      }
      const int64_t to = (key + j + odd) * row_count + r;
      const __m512bh p_of = _mm512_cvtne2ps_pbh(p[1].v, p[0].v);
      ds_of[odd] = _mm512_cvtne2ps_pbh(ds[1].v, ds[0].v);
      std::memcpy(s.p + to, &p_of, sizeof p_of);
      std::memcpy(s.ds + to, &ds_of[odd], sizeof ds_of[odd]);
    }
    const __m512i even = std::bit_cast<__m512i>(ds_of[0]), odd = std::bit_cast<__m512i>(ds_of[1]);
    const auto pair = [&](__m256i low, __m256i high) {
      return _mm512_or_si512(_mm512_cvtepu16_epi32(low), _mm512_slli_epi32(_mm512_cvtepu16_epi32(high), 16));
    };
    Word* to = s.ds_pairs + (key + j) / 2 * row_count + r;
    _mm512_storeu_si512(to, pair(_mm512_castsi512_si256(even), _mm512_castsi512_si256(odd)));
    _mm512_storeu_si512(to + kLanes, pair(_mm512_extracti64x4_epi64(even, 1), _mm512_extracti64x4_epi64(odd, 1)));
  }
}

// The loaded block, `count` keys of which the first is at `position`, against those of `steps` whose rows see some of it:
// adds to dq, and leaves dk and dv in the scratch.
void block_backward(const Scratch& s, std::span<const Rows> steps, int64_t count, int64_t position, const ScoreScale& scale,
                    int64_t padded, int64_t row_count) {
  const int64_t group_bytes = padded / 2 * kRowBytes, row_bytes = row_count * 2, keys = round_up(count, kStep);
  for (const Rows& rows : steps) {
    const int64_t first_group = rows.step * 2;
    for (int64_t key = 0; key < keys; key += kStep) {
      const auto product = [&](float* to, const bf16* of_keys, const Word* of_rows) {
        const Square square{bytes(of_keys + key * padded), bytes(of_rows) + first_group * group_bytes, padded * 2, kRowBytes,
                            kRowBytes, kLanes * kRowBytes, group_bytes};
        zero_square();
        for (int64_t step = 0; step < padded / kStep; ++step) multiply_square(square, step);
        store_square(bytes(to), kStep * 4);
      };
      product(s.scores, s.k, s.q_lanes), product(s.dscores, s.v, s.dout_lanes);
      const auto softmax = scale.cap > 0 ? softmax_backward<true> : softmax_backward<false>;
      softmax(s, rows, key, count - key, position + key, scale, row_count);
    }
  }
  for (int64_t key = 0; key < keys; key += kStep)
    for (int64_t d = 0; d < padded; d += kStep) {
      const auto product = [&](float* to, const bf16* weights, const Word* of_rows) {
        const Square square{bytes(weights + key * row_count), bytes(of_rows + d), row_bytes, padded * 4,
                            kRowBytes, kLanes * padded * 4, kRowBytes};
        zero_square();
        for (const Rows& rows : steps) multiply_square(square, rows.step);
        store_square(bytes(to + key * padded + d), padded * 4);
      };
      product(s.dv, s.p, s.dout_pairs), product(s.dk, s.ds, s.q_pairs);
    }
  for (const Rows& rows : steps)
    for (int64_t d = 0; d < padded; d += kStep) {
      const int64_t r = rows.step * kStep;
      const Square square{bytes(s.k_columns + d * kKeyBlock), bytes(s.ds_pairs + r), kKeyBlock * 2, row_count * 4,
                          kRowBytes, kLanes * row_count * 4, kRowBytes};
      std::byte* sums = bytes(s.dq + d * row_count + r);
      load_square(sums, row_count * 4);
      for (int64_t step = 0; step < keys / kStep; ++step) multiply_square(square, step);
      store_square(sums, row_count * 4);
    }
}

// dk and dv of a block of keys: to their place, or to the unit's buffers.
void put_block(const Scratch& s, const BackwardPass<bf16>& pass, int64_t kv_head, const Stretch& stretch, int64_t base, int64_t count,
               int64_t gradient) {
  const int64_t D = pass.heads.head_size, padded = pass.padded, stride = pass.heads.num_kv_heads * D;
  if (!stretch.final) {
    const int64_t to = gradient + (stretch.offset + base) * padded;
    std::copy_n(s.dk, count * padded, pass.dk_units + to);
    std::copy_n(s.dv, count * padded, pass.dv_units + to);
    return;
  }
  const F16 scale = splat(pass.scale.scale);
  for (int64_t j = 0; j < count; ++j) {
    const int64_t to = (stretch.begin + base + j) * stride + kv_head * D, from = j * padded;
    for (int64_t d = 0; d < D; d += kLanes) {
      store_first(pass.dk.f32() + to + d, load(s.dk + from + d) * scale, lanes_left(D, d));
      store_first(pass.dv.f32() + to + d, load(s.dv + from + d), lanes_left(D, d));
    }
  }
}

void stretch_backward(const Scratch& s, const BackwardPass<bf16>& pass, int64_t kv_head, const Stretch& stretch, int64_t gradient,
                      int64_t row_count, Rows* steps) {
  for (int64_t base = 0; base < stretch.count; base += kKeyBlock) {
    const int64_t count = std::min(kKeyBlock, stretch.count - base), position = stretch.position + base;
    size_t seeing = 0;
    for (int64_t step = stretch.first / kStep; step * kStep < stretch.end; ++step) {
      const auto own = [&](int64_t r) {
        const auto before = [&](int64_t row) { return first_lanes(std::clamp<int64_t>(row - r, 0, kLanes)); };
        return static_cast<__mmask16>(before(stretch.end) & ~before(stretch.first));
      };
      const Rows rows{step, {own(step * kStep), own(step * kStep + kLanes)}};
      if (sees(s, rows, position, position + count)) steps[seeing++] = rows;
    }
    load_block(s, pass, kv_head, stretch.begin + base, count);
    block_backward(s, {steps, seeing}, count, position, pass.scale, pass.padded, row_count);
    put_block(s, pass, kv_head, stretch, base, count, gradient);
  }
}

void store_dq(const Scratch& s, const BackwardPass<bf16>& pass, int64_t count, int64_t row_count) {
  const int64_t D = pass.heads.head_size;
  const F16 scale = splat(pass.scale.scale);
  for (int64_t r = 0; r < count; r += kLanes)
    for (int64_t d = 0; d < D; d += kLanes) {
      __m512i columns[kLanes];
      for (int64_t i = 0; i < kLanes; ++i) columns[i] = _mm512_castps_si512((load(s.dq + (d + i) * row_count + r) * scale).v);
      transpose(columns);
      for (int64_t j = 0; j < lanes_left(count, r); ++j)
        store_first(pass.dq.f32() + s.at[r + j] + d, F16{_mm512_castsi512_ps(columns[j])}, lanes_left(D, d));
    }
}

int64_t most_rows(int64_t group) { return round_up(unit_positions(group) * group, kStep); }

}  // namespace

template <>
size_t unit_workspace<bf16>(int64_t group, int64_t head_size) {
  Carver carver(nullptr);
  Scratch(carver, most_rows(group), unit_head_size<bf16>(head_size));
  carver.take<Rows>(most_rows(group) / kStep);
  return carver.size();
}

template <>
void unit_backward(const BackwardPass<bf16>& pass, const Task& task, void* workspace) {
  const Unit& unit = pass.plan.units[task.unit];
  const int64_t count = unit.positions * pass.group, rows = round_up(count, kStep), gradient = pass.unit_keys_offset(task);
  Carver carver(workspace);
  const Scratch s(carver, rows, pass.padded);
  Rows* const steps = carver.take<Rows>(rows / kStep);
  const Session session({{kRows, kRows, kRows, kRows, kRows, kRows, kLanes, kLanes},
                         {kLanes, kLanes, kLanes, kLanes, kLanes, kLanes, kLanes, kLanes}});
  load_unit(s, pass, task, rows);
  std::memset(s.dq, 0, static_cast<size_t>(pass.padded * rows) * sizeof(float));
  for_stretches(pass, unit, [&](const Stretch& stretch) {
    stretch_backward(s, pass, task.kv_head, stretch, gradient, rows, steps);
  });
  store_dq(s, pass, count, rows);
}

}  // namespace cohort::attention

#endif
