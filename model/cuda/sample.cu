// Sampling on the GPU (sample.h): a block a row of each chunk of the vocabulary. The draw is argmax(scaled + gumbel); the
// better of two draws does not depend on the order in which they meet.
#include "model/cuda/sample.h"

#include <algorithm>
#include <cmath>

#include "model/cuda/head_sweep.cuh"
#include "model/cuda/noise.cuh"
#include "model/cuda/platform/launch.cuh"
#include "model/cuda/sample_cut.cuh"

namespace cohort::cuda {
namespace kernels {

constexpr int kThreads = 128;  // of the last kernel

struct Draw {
  float score, logit;  // the logit as the chunk's row holds it
  int32_t token;       // -1: none yet

  // Ties go to the lower id.
  __device__ __forceinline__ void offer(const Draw& other) {
    if (other.token < 0) return;
    if (token < 0 || other.score > score || (other.score == score && other.token < token)) *this = other;
  }
};

struct DrawSettings {
  LogitScale scale;
  bool greedy;
  int64_t vocab;
};

// Tokens [begin, begin + count) of row `logits`: every thread gets the best of them. begin is a multiple of kNoiseBlock.
template <bool kFiltered>
__device__ __forceinline__ Draw best_of_chunk(const float* logits, int64_t begin, int count, const DrawKey& key,
                                              const DeviceBan& ban, const Cut& cut, const DrawSettings& settings) {
  GPU_SHARED(Draw, bests, [kStatsThreads / 32]);
  Draw best{0, 0, -1};
  const int calls = (count + kNoiseBlock - 1) / kNoiseBlock * 16;  // of Philox: four tokens each, 16 apart
  for (int call = threadIdx.x; call < calls; call += kStatsThreads) {
    const int first = call / 16 * kNoiseBlock + call % 16;
    PhiloxWords words{};
    if (!settings.greedy) words = noise_words(key, static_cast<uint32_t>(begin / 4 + call));
#pragma unroll
    for (int w = 0; w < 4; ++w) {
      const int c = first + 16 * w;
      if (c >= count) continue;
      const int32_t token = static_cast<int32_t>(begin) + c;
      const float z = scaled(logits[c], settings.scale);
      // A token of probability 0, or a NaN, which the statistics report.
      if (!(z > minus_infinity()) || ban.holds(key.position, token)) continue;
      if constexpr (kFiltered) {
        if (!cut.keeps(z, token)) continue;
      }
      best.offer({settings.greedy ? z : z + gumbel_of(words.word[w]), logits[c], token});
    }
  }
#pragma unroll
  for (int apart = 16; apart > 0; apart /= 2) {
    const Draw other{__shfl_xor_sync(kWholeWarp, best.score, apart), __shfl_xor_sync(kWholeWarp, best.logit, apart),
                     __shfl_xor_sync(kWholeWarp, best.token, apart)};
    best.offer(other);
  }
  if (threadIdx.x % 32 == 0) bests[threadIdx.x / 32] = best;
  __syncthreads();
  for (int warp = 0; warp < kStatsThreads / 32; ++warp) best.offer(bests[warp]);
  return best;
}

// Block (r, i): tokens [begin + i kHeadChunk, ...) of row r, at most `count` of them; the row has `stride` numbers.
// stats, draws: of chunk i; draws are made where `draws` is there.
template <bool kFiltered>
__global__ void __launch_bounds__(kStatsThreads, 4)
    sample_chunk(ChunkStats* __restrict__ stats, Draw* __restrict__ draws, const float* __restrict__ logits,
                 const DrawKey* __restrict__ keys, const Cut* __restrict__ cuts, int64_t begin, int64_t stride,
                 int64_t count, DrawSettings settings, DeviceBan ban) {
  const int64_t r = blockIdx.x, chunk = blockIdx.y, first = chunk * kHeadChunk;
  const float* row = logits + r * stride + first;
  const int some = static_cast<int>(count - first < kHeadChunk ? count - first : kHeadChunk);
  if (stats != nullptr) {
    const ChunkStats of_chunk = chunk_stats(row, some, settings.scale);
    if (threadIdx.x == 0) stats[chunk * gridDim.x + r] = of_chunk;
  }
  if (draws == nullptr) return;
  const Cut cut = kFiltered ? cuts[r] : Cut{};
  const Draw best = best_of_chunk<kFiltered>(row, begin + first, some, keys[r], ban, cut, settings);
  if (threadIdx.x == 0) draws[chunk * gridDim.x + r] = best;
}

__global__ void __launch_bounds__(kThreads)
    row_lse(float* __restrict__ lse, const ChunkStats* __restrict__ stats, int rows, int chunks) {
  const int r = blockIdx.x * kThreads + threadIdx.x;
  if (r < rows) lse[r] = combine_chunks(stats + r, chunks, rows).lse;
}

__global__ void __launch_bounds__(kThreads)
    finish_draws(int32_t* __restrict__ token, float* __restrict__ logprob, float* __restrict__ kept_mass,
                 int32_t* __restrict__ problem, const ChunkStats* __restrict__ stats, const Draw* __restrict__ draws,
                 const float* __restrict__ filtered_mass, int rows, int chunks, DrawSettings settings) {
  const int r = blockIdx.x * kThreads + threadIdx.x;
  if (r >= rows) return;
  const float lse = combine_chunks(stats + r, chunks, rows).lse;
  Draw best{0, 0, -1};
  for (int chunk = 0; chunk < chunks; ++chunk) best.offer(draws[static_cast<int64_t>(chunk) * rows + r]);
  const bool finite = fabsf(lse) <= 3.402823466e+38f;
  const bool drawn = finite && best.token >= 0;
  token[r] = drawn ? best.token : -1;
  logprob[r] = drawn ? scaled(best.logit, settings.scale) - lse : not_a_number();
  kept_mass[r] = filtered_mass != nullptr ? filtered_mass[r] : 1.0f;
  problem[r] = !finite ? kNonFiniteLogits : best.token < 0 ? kNothingLeft : kDrawn;
}

}  // namespace kernels

namespace {

using kernels::Draw;
using kernels::DrawSettings;

DeviceBan device_ban(const Ban& ban) {
  DeviceBan device{static_cast<int>(ban.tokens.size()), ban.tokens.empty() ? 0 : ban.before, {}};
  std::ranges::copy(ban.tokens, device.tokens);
  return device;
}

void check_params(const char* op, const DrawnTokens& out, int64_t rows, int64_t vocab, const SamplingParams& params,
                  const DrawKey* keys, const Ban& ban) {
  check_sampling(params, ban, vocab);
  CHECK(ban.tokens.size() <= kMaxBanned, "{} banned tokens; at most {} on a GPU", ban.tokens.size(), kMaxBanned);
  CHECK(vocab > 0 && vocab <= (1 << 26), "{}: a vocabulary of {}; at most {}", op, vocab, 1 << 26);
  CHECK(rows == 0 || keys != nullptr, "{}: no keys", op);
  const auto check = [&](const char* name, Tensor t, DType dtype) {
    CHECK(t.size() == rows && t.dtype == dtype, "{}: {} holds {} numbers of {}, wanted {} of {}", op, name, t.size(),
          dtype_name(t.dtype), rows, dtype_name(dtype));
    check_on_device(op, name, t);
  };
  check("token", out.token, DType::i32);
  check("logprob", out.logprob, DType::f32);
  check("kept_mass", out.kept_mass, DType::f32);
  check("problem", out.problem, DType::i32);
}

DrawSettings draw_settings(const SamplingParams& params, int64_t vocab, float softcap) {
  const bool greedy = params.temperature == 0;
  return {{softcap, greedy ? 1.0f : 1.0f / params.temperature}, greedy, vocab};
}

void finish(const DrawnTokens& out, const ChunkStats* stats, const Draw* draws, const float* filtered_mass, int64_t rows,
            const DrawSettings& settings, Stream stream) {
  launch(kernels::finish_draws, blocks_for(rows, kernels::kThreads), kernels::kThreads, 0, stream, out.token.i32(),
         out.logprob.f32(), out.kept_mass.f32(), out.problem.i32(), stats, draws, filtered_mass, static_cast<int>(rows),
         static_cast<int>(head_chunks(settings.vocab)), settings);
}

// Statistics and draws, without the filters' pieces.
int64_t chunk_pieces(int64_t rows, int64_t vocab) {
  return Pieces::numbers_for<ChunkStats>(rows * head_chunks(vocab)) + Pieces::numbers_for<Draw>(rows * head_chunks(vocab));
}

}  // namespace

int64_t sample_scratch(int64_t rows, int64_t vocab) {
  return chunk_pieces(rows, vocab) + 2 * Pieces::numbers_for<float>(rows) + Pieces::numbers_for<Cut>(rows);
}
int64_t sample_head_scratch(int64_t rows, int64_t vocab) {
  return chunk_pieces(rows, vocab) + Pieces::numbers_for<float>(rows * std::min<int64_t>(kHeadChunk, vocab));
}

void sample_tokens(const DrawnTokens& out, Tensor logits, const SamplingParams& params, const DrawKey* keys, const Ban& ban,
                   Tensor scratch, Stream stream) {
  const char* op = "sample_tokens";
  const int64_t rows = out.token.size(), V = logits.cols();
  check_matrix(op, "logits", logits, rows, V);
  if (rows == 0) return;
  check_params(op, out, rows, V, params, keys, ban);
  const DrawSettings settings = draw_settings(params, V, 0);
  const DeviceBan banned = device_ban(ban);
  Pieces pieces(op, scratch, sample_scratch(rows, V));
  ChunkStats* stats = pieces.take<ChunkStats>(rows * head_chunks(V));
  Draw* draws = pieces.take<Draw>(rows * head_chunks(V));
  const dim3 grid(static_cast<unsigned>(rows), static_cast<unsigned>(head_chunks(V)));
  const Cut* no_cuts = nullptr;
  if (!filters_on(params, V)) {
    launch(kernels::sample_chunk<false>, grid, kStatsThreads, 0, stream, stats, draws, logits.f32(), keys, no_cuts, 0, V, V,
           settings, banned);
    return finish(out, stats, draws, nullptr, rows, settings, stream);
  }
  float *lse = pieces.take<float>(rows), *mass = pieces.take<float>(rows);
  Cut* cuts = pieces.take<Cut>(rows);
  launch(kernels::sample_chunk<false>, grid, kStatsThreads, 0, stream, stats, nullptr, logits.f32(), keys, no_cuts, 0, V, V,
         settings, banned);
  launch(kernels::row_lse, blocks_for(rows, kernels::kThreads), kernels::kThreads, 0, stream, lse, stats,
         static_cast<int>(rows), static_cast<int>(head_chunks(V)));
  const FilterSettings filters{params.top_k < V ? params.top_k : 0, params.top_p, params.min_p, settings.scale};
  filter_rows(cuts, mass, logits.f32(), lse, keys, rows, V, filters, banned, stream);
  launch(kernels::sample_chunk<true>, grid, kStatsThreads, 0, stream, nullptr, draws, logits.f32(), keys, cuts, 0, V, V,
         settings, banned);
  finish(out, stats, draws, mass, rows, settings, stream);
}

void sample_head(const DrawnTokens& out, Tensor h, Tensor w, float softcap, const SamplingParams& params,
                 const DrawKey* keys, const Ban& ban, Products& products, Tensor scratch, Stream stream) {
  const char* op = "sample_head";
  const int64_t rows = h.rows(), V = w.rows();
  check_head(op, h, w, softcap);
  check_params(op, out, rows, V, params, keys, ban);
  CHECK(!filters_on(params, V), "{}: filters need all logits of a row", op);
  if (rows == 0) return;
  const DrawSettings settings = draw_settings(params, V, softcap);
  const DeviceBan banned = device_ban(ban);
  Pieces pieces(op, scratch, sample_head_scratch(rows, V));
  ChunkStats* stats = pieces.take<ChunkStats>(rows * head_chunks(V));
  Draw* draws = pieces.take<Draw>(rows * head_chunks(V));
  const Cut* no_cuts = nullptr;
  sweep_head(h, w, pieces.take<float>(rows * std::min<int64_t>(kHeadChunk, V)), products, stream,
             [&](int64_t begin, int count, const float* logits) {
               const int64_t at = begin / kHeadChunk * rows;
               launch(kernels::sample_chunk<false>, dim3(static_cast<unsigned>(rows), 1), kStatsThreads, 0, stream, stats + at,
                      draws + at, logits, keys, no_cuts, begin, count, count, settings, banned);
             });
  finish(out, stats, draws, nullptr, rows, settings, stream);
}

}  // namespace cohort::cuda
