// What the tests of attention share: shapes, packs, and a slow twin in double.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "model/ops/attention.h"
#include "model/ops/instruction_sets.h"
#include "tests/ops/random_matrix.h"

namespace cohort {

struct Shape {
  HeadLayout heads;
  DType dtype = DType::f32;
  int64_t width() const { return heads.num_heads * heads.head_size; }
  int64_t kv_width() const { return heads.num_kv_heads * heads.head_size; }
  std::string name() const {
    return fmt::format("{} heads on {}, D {}, {}, scale {}, softcap {}, window {}", heads.num_heads, heads.num_kv_heads,
                       heads.head_size, dtype_name(dtype), heads.scale, heads.softcap, heads.window);
  }
};

inline const std::vector<Shape> kPlainShapes = {
    {{3, 1, 64}, DType::f32},  {{9, 3, 64}, DType::bf16}, {{2, 2, 16}, DType::f32},  {{8, 1, 128}, DType::bf16},
    {{4, 4, 80}, DType::bf16}, {{16, 2, 20}, DType::f32}, {{3, 3, 50}, DType::bf16}, {{60, 1, 16}, DType::f32}};

// Scales, soft-caps and windows of less than, exactly and more than a block of 64 keys.
inline const std::vector<Shape> kGemmaShapes = {{{3, 1, 64, 0.2f}, DType::f32},
                                                {{8, 1, 128, 0, 2.0f}, DType::bf16},
                                                {{16, 2, 20, 0, 0, 1}, DType::f32},
                                                {{3, 3, 50, 0, 0, 17}, DType::bf16},
                                                {{4, 4, 80, 0.07f, 5.0f, 40}, DType::bf16},
                                                {{6, 2, 32, 0.25f, 0, 63}, DType::f32},
                                                {{9, 3, 64, 0, 50.0f, 64}, DType::bf16},
                                                {{2, 1, 256, 0.0625f, 3.0f, 65}, DType::f32},
                                                {{60, 1, 16, 0.3f, 1.5f, 100}, DType::f32},
                                                {{2, 2, 16, 0, 0, 128}, DType::bf16}};
inline std::vector<Shape> all_shapes() {
  std::vector<Shape> shapes = kPlainShapes;
  shapes.insert(shapes.end(), kGemmaShapes.begin(), kGemmaShapes.end());
  return shapes;
}

// Pack rows of groups: a prompt and its completions, each completion's keys beginning with the prompt.
inline std::vector<PackRun> group_runs(std::initializer_list<std::vector<int64_t>> groups) {
  std::vector<PackRun> runs;
  int64_t at = 0;
  for (const std::vector<int64_t>& group : groups) {
    const int64_t prompt = at;
    for (size_t i = 0; i < group.size(); ++i) {
      runs.push_back({at, group[i], prompt, i == 0 ? 0 : group[0]});
      at += group[i];
    }
  }
  return runs;
}

inline int64_t rows_of(const std::vector<PackRun>& runs) {
  return runs.empty() ? 0 : runs.back().begin + runs.back().count;
}

struct Inputs {
  Matrix q, k, v, dout;
  Inputs(const Shape& s, int64_t rows, uint64_t seed)
      : q(Matrix::random(s.dtype, rows, s.width(), seed)),
        k(Matrix::random(s.dtype, rows, s.kv_width(), seed + 1)),
        v(Matrix::random(s.dtype, rows, s.kv_width(), seed + 2)),
        dout(Matrix::random(s.dtype, rows, s.width(), seed + 3)) {}
};

struct Forward {
  Matrix out, lse;
};
inline Forward forward(const Shape& s, const Inputs& in, const std::vector<PackRun>& runs, int threads = 1) {
  ExecOwner owner(threads);
  Forward f{Matrix(s.dtype, in.q.rows, s.width()), Matrix(DType::f32, in.q.rows, s.heads.num_heads)};
  attention_pack(f.out.t(), f.lse.t(), in.q.t(), in.k.t(), in.v.t(), runs, s.heads, owner.exec());
  return f;
}

struct Gradients {
  Matrix dq, dk, dv;
};
inline Gradients backward(const Shape& s, const Inputs& in, const Forward& f, const std::vector<PackRun>& runs,
                          int threads = 1) {
  ExecOwner owner(threads);
  const int64_t rows = in.q.rows;
  Gradients g{Matrix(DType::f32, rows, s.width()), Matrix(DType::f32, rows, s.kv_width()),
              Matrix(DType::f32, rows, s.kv_width())};
  for (Matrix* m : {&g.dq, &g.dk, &g.dv}) m->fill(std::numeric_limits<float>::quiet_NaN());  // must be overwritten
  attention_pack_backward(g.dq.t(), g.dk.t(), g.dv.t(), in.dout.t(), f.out.t(), f.lse.t(), in.q.t(), in.k.t(), in.v.t(),
                          runs, s.heads, owner.exec());
  return g;
}

// The keys and values of sequences in pages, handed out in a random order; what is not theirs is NaN.
struct Pages {
  Matrix keys, values;
  int64_t page_tokens, page_numbers;
  std::vector<std::vector<int32_t>> of;  // of each sequence

  // Sequence i begins with `shared[i].second` keys of sequence `shared[i].first` < i: whole pages of them are the same.
  Pages(const Shape& s, const std::vector<const Inputs*>& sequences, int64_t page_tokens,
        const std::vector<std::pair<size_t, int64_t>>& shared = {})
      : keys(s.dtype, page_count(sequences, page_tokens) * s.heads.num_kv_heads,
             page_tokens * cached_head_size(s.heads.head_size)),
        values(keys), page_tokens(page_tokens), page_numbers(s.heads.num_kv_heads * keys.cols) {
    for (Matrix* m : {&keys, &values}) m->fill(std::numeric_limits<float>::quiet_NaN());
    std::vector<int32_t> free(static_cast<size_t>(keys.rows / s.heads.num_kv_heads));
    for (size_t i = 0; i < free.size(); ++i) free[i] = static_cast<int32_t>(i);
    Random random(static_cast<uint64_t>(page_tokens), Stream::kTest);
    for (size_t i = free.size(); i > 1; --i) std::swap(free[i - 1], free[random.below(i)]);
    ExecOwner owner(1);
    for (size_t i = 0; i < sequences.size(); ++i) {
      const int64_t count = sequences[i]->k.rows;
      std::vector<int32_t>& pages = of.emplace_back();
      if (i < shared.size()) {
        const std::vector<int32_t>& other = of[shared[i].first];
        pages.assign(other.begin(), other.begin() + shared[i].second / page_tokens);
      }
      const int64_t first = static_cast<int64_t>(pages.size()) * page_tokens;
      while (static_cast<int64_t>(pages.size()) * page_tokens < count) pages.push_back(free.back()), free.pop_back();
      const CachedRun rest{first, count - first, first, pages};
      store_cached(view(), sequences[i]->k.t(), sequences[i]->v.t(), {&rest, 1}, s.heads, owner.exec());
    }
  }
  KeyPages view() const { return {keys.t().data, values.t().data, page_tokens, page_numbers}; }

 private:
  static int64_t page_count(const std::vector<const Inputs*>& sequences, int64_t page_tokens) {
    int64_t count = 0;
    for (const Inputs* in : sequences) count += (in->k.rows + page_tokens - 1) / page_tokens;
    return count;
  }
};

// Attends all rows of one sequence whose keys lie in a cache of their own, chunk by chunk. `lse`, if given, is filled.
inline Matrix cached(const Shape& s, const Inputs& in, const std::vector<int64_t>& chunks, int threads = 1,
                     int64_t page_tokens = 64, Matrix* lse = nullptr) {
  ExecOwner owner(threads);
  Matrix out(s.dtype, in.q.rows, s.width());
  const Pages pages(s, {&in}, page_tokens);
  int64_t at = 0;
  for (int64_t count : chunks) {
    const CachedRun run{0, count, at, pages.of[0]};
    attention_cached(out.t().slice_rows(at, count), in.q.t().slice_rows(at, count), pages.view(), {&run, 1}, s.heads,
                     owner.exec(), lse != nullptr ? lse->t().slice_rows(at, count) : Tensor());
    at += count;
  }
  EXPECT_EQ(at, in.q.rows);
  return out;
}

// --- the slow twin, in double --------------------------------------------------------------------------------------
using Doubles = std::vector<double>;
inline Doubles doubles(const Matrix& m) {
  Doubles d(static_cast<size_t>(m.rows * m.cols));
  for (size_t i = 0; i < d.size(); ++i) d[i] = m.get(static_cast<int64_t>(i));
  return d;
}

struct Twin {
  int64_t H, D, group, kv_width, window;
  double scale, softcap;
  std::vector<PackRun> runs;
  Doubles q, k, v;
  Doubles out, lse, dq, dk, dv;
  double dq_size, dk_size;  // root mean square of what was added up, before dout v and delta cancel each other
  double dv_size;           // the largest root of the sum of the squares of what was added up

  Twin(const Shape& s, const Inputs& in, const std::vector<PackRun>& runs) : runs(runs) {
    H = s.heads.num_heads, D = s.heads.head_size, group = H / s.heads.num_kv_heads, kv_width = s.kv_width();
    window = s.heads.window, softcap = s.heads.softcap;
    scale = s.heads.scale > 0 ? s.heads.scale : 1 / std::sqrt(double(D));
    q = doubles(in.q), k = doubles(in.k), v = doubles(in.v);
    out.resize(q.size()), lse.resize(static_cast<size_t>(in.q.rows * H));
  }

  // The score of a query and a key, and its derivative by their dot product.
  double score(int64_t row, int64_t h, int64_t key, double* slope = nullptr) const {
    double dot = 0;
    for (int64_t d = 0; d < D; ++d) dot += q[row * H * D + h * D + d] * k[key * kv_width + h / group * D + d];
    const double t = softcap > 0 ? std::tanh(dot * scale / softcap) : 0;
    if (slope != nullptr) *slope = scale * (1 - t * t);
    return softcap > 0 ? softcap * t : dot * scale;
  }

  // Calls visit(row, head, keys, p) for every row and head with its attention probabilities.
  template <typename Visit>
  void each_row(const Visit& visit) {
    for (const PackRun& run : runs) {
      for (int64_t row = run.begin; row < run.begin + run.count; ++row) {
        std::vector<int64_t> keys;
        for (int64_t j = 0; j < run.prefix_count; ++j) keys.push_back(run.prefix_begin + j);
        for (int64_t j = run.begin; j <= row; ++j) keys.push_back(j);
        if (window > 0 && std::ssize(keys) > window) keys.erase(keys.begin(), keys.end() - window);
        for (int64_t h = 0; h < H; ++h) {
          Doubles p(keys.size());
          double largest = -1e300, total = 0;
          for (size_t j = 0; j < keys.size(); ++j) {
            p[j] = score(row, h, keys[j]);
            largest = std::max(largest, p[j]);
          }
          for (double& x : p) total += x = std::exp(x - largest);
          for (double& x : p) x /= total;
          lse[row * H + h] = largest + std::log(total);
          visit(row, h, keys, p);
        }
      }
    }
  }

  void run_forward() {
    std::fill(out.begin(), out.end(), 0.0);
    each_row([&](int64_t row, int64_t h, const std::vector<int64_t>& keys, const Doubles& p) {
      for (size_t j = 0; j < keys.size(); ++j)
        for (int64_t d = 0; d < D; ++d)
          out[row * H * D + h * D + d] += p[j] * v[keys[j] * kv_width + h / group * D + d];
    });
  }

  void run_backward(const Doubles& dout) {
    dq.assign(q.size(), 0), dk.assign(k.size(), 0), dv.assign(v.size(), 0);
    dq_size = dk_size = 0;
    Doubles dv_squares(v.size());
    each_row([&](int64_t row, int64_t h, const std::vector<int64_t>& keys, const Doubles& p) {
      const int64_t at = row * H * D + h * D;
      Doubles dp(keys.size()), terms(keys.size());
      double delta = 0;
      for (size_t j = 0; j < keys.size(); ++j) {
        for (int64_t d = 0; d < D; ++d) {
          const double term = dout[at + d] * v[keys[j] * kv_width + h / group * D + d];
          dp[j] += term, terms[j] += term * term;
        }
        delta += p[j] * dp[j];
      }
      for (size_t j = 0; j < keys.size(); ++j) {
        const int64_t key = keys[j] * kv_width + h / group * D;
        double slope;
        score(row, h, keys[j], &slope);
        const double ds = p[j] * (dp[j] - delta) * slope;
        const double size = p[j] * (std::sqrt(terms[j]) + std::abs(delta)) * slope;
        for (int64_t d = 0; d < D; ++d) {
          dq[at + d] += ds * k[key + d];
          dk[key + d] += ds * q[at + d];
          dv[key + d] += p[j] * dout[at + d];
          dv_squares[key + d] += p[j] * p[j] * dout[at + d] * dout[at + d];
          dq_size += size * size * k[key + d] * k[key + d], dk_size += size * size * q[at + d] * q[at + d];
        }
      }
    });
    dq_size = std::sqrt(dq_size / static_cast<double>(dq.size()));
    dk_size = std::sqrt(dk_size / static_cast<double>(dk.size()));
    dv_size = std::sqrt(*std::ranges::max_element(dv_squares));
  }
};

inline double rms(const Doubles& x) {
  double sum = 0;
  for (double v : x) sum += v * v;
  return std::sqrt(sum / static_cast<double>(std::max<size_t>(1, x.size())));
}

// In tile registers the backward pass rounds the weights that make dv to bf16.
inline double dv_rounding(const Shape& s) {
  const bool tiles = kKernelInstructionSets.amx_bf16 || kKernelInstructionSets.emulated_amx_bf16;
  return s.dtype == DType::bf16 && tiles ? kEps16 : 0;
}

// Largest difference, against `tolerance` times (the size of the element + the root mean square of all, or `size`).
inline void expect_near(const Matrix& m, const Doubles& wanted, double tolerance, const std::string& what,
                        double size = 0) {
  size = std::max(size, rms(wanted));
  for (size_t i = 0; i < wanted.size(); ++i) {
    const double got = m.get(static_cast<int64_t>(i));
    ASSERT_LE(std::abs(got - wanted[i]), tolerance * (std::abs(wanted[i]) + size))
        << what << " element " << i << ": " << got << " for " << wanted[i];
  }
}

}  // namespace cohort
