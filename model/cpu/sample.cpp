// Sampling on the CPU (ops/sample.h): filters as cut-offs found by bisection, then Gumbel-max with noise computed only
// for tokens that can still win. Both shortcuts are exact, so a draw is a function of its row and key alone.
#include "model/ops/sample.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/check.h"
#include "model/cpu/gemm.h"
#include "model/cpu/head_sweep.h"
#include "model/cpu/sample_noise.h"
#include "model/cpu/sample_row.h"
#include "model/cpu/vector_math.h"
#include "model/ops/gpu.h"
#include "model/ops/head.h"

namespace cohort {
namespace {

using namespace simd;
using namespace sampling;

struct Draw {
  float score = -kInfinity, logit = 0;
  int32_t token = -1;

  // Ties go to the lower id, in whatever order tokens come.
  void offer(const Draw& other) {
    if (other.score > score || (other.score == score && other.token < token)) *this = other;
  }
};

// Offers the tokens of one block whose noise reaches `least` (a word, see noise_words). The row begins at block `begin`
// of its vocabulary.
void draw_block(Draw& best, const Row& row, int64_t begin, int64_t block, const DrawKey& key, float least) {
  float words[kBlock];
  noise_words(words, key, static_cast<uint32_t>(begin + block));
  for (int64_t i = 0; i < kBlock; i += kLanes) {
    const F16 word = load(words + i);
    if (greater_equal(word, splat(least)) == 0) continue;
    const F16 u = (word + splat(0.5f)) * splat(0x1p-23f);
    const F16 gumbel = splat(0.0f) - log(splat(0.0f) - log(u));
    float score[kLanes];
    store(score, load(row.scaled + block * kBlock + i) + gumbel);
    const float largest = max_lanes(load(score));
    if (largest < best.score) continue;
    const int64_t lane = std::find(score, score + kLanes, largest) - score;
    best.offer({largest, 0, static_cast<int32_t>((begin + block) * kBlock + i + lane)});
  }
}

// The better of `best` and the argmax of scaled + gumbel over the row's live tokens.
//
// A token of a block whose largest logit is m can reach the best score b only if its gumbel is at least x = b - m, that
// is -log(u) <= e^-x. Since 1 - u <= -log(u), it is enough to look at tokens with 1 - u <= e^-x; `slack` covers
// rounding.
void draw(Draw& best, const Row& row, int64_t begin, const DrawKey& key) {
  int64_t richest = -1;
  if (best.token < 0) {
    richest = row.richest_block();
    draw_block(best, row, begin, richest, key, 0.0f);
  }
  for (int64_t first = 0; first < row.blocks; first += kLanes) {
    const F16 most = load(row.block_max + first), score = splat(best.score);
    const F16 slack = fma(max(most, splat(0.0f) - most) + splat(std::abs(best.score)), splat(1e-6f), splat(1e-3f));
    float reach[kLanes];
    store(reach, exp(most - score + slack));
    for (int64_t i = 0; i < kLanes && first + i < row.blocks; ++i) {
      // The largest u is 1 - 2^-24. A dead block's slack is infinite and its reach NaN.
      if (!(reach[i] >= 0x1p-24f) || first + i == richest) continue;
      draw_block(best, row, begin, first + i, key, 0x1p23f - 2.0f - 0x1p23f * reach[i]);
    }
  }
}

float inverse_temperature_of(const SamplingParams& params) {
  return params.temperature == 0.0f ? 1.0f : 1.0f / params.temperature;
}

void check_stats(const RowStats& stats, const SamplingParams& params, const DrawKey& key) {
  if (std::isfinite(stats.lse)) return;
  throw NonFiniteLogits(key.sequence,
                        fmt::format("the logits of token {} of the completion are not finite at temperature {}: largest {}, "
                                    "log-sum-exp {}",
                                    key.position + 1, params.temperature, stats.max, stats.lse));
}

void check_live(bool live, int64_t index) {
  CHECK(live, "every token of row {} with a probability above 0 is banned", index);
}

std::span<const int32_t> banned_at(const Ban& ban, const DrawKey& key) {
  return key.position < ban.before ? ban.tokens : std::span<const int32_t>();
}

SampledToken sample_row(const Row& row, const float* logits, int64_t vocab, const SamplingParams& params,
                        const DrawKey& key, std::span<const int32_t> banned, int64_t index) {
  const float inverse_temperature = inverse_temperature_of(params);
  const RowStats stats = logit_row_stats(logits, vocab, inverse_temperature);
  check_stats(stats, params, key);
  load_row(row, logits, 0, vocab, inverse_temperature, banned);
  check_live(row.largest() > -kInfinity, index);

  SampledToken out{0, 0.0f, 1.0f};
  if (params.temperature == 0) {
    out.token = row.first_largest();
  } else {
    if (filters_on(params, vocab)) out.kept_mass = filter_row(row, params, stats.lse);
    Draw best;
    draw(best, row, 0, key);
    out.token = best.token;
  }
  out.logprob = token_logprob(logits, stats, out.token, inverse_temperature);
  return out;
}

void check_params(const SamplingParams& params, const Ban& ban, int64_t vocab) {
  CHECK(vocab <= kMaxVocab, "sample: a vocabulary of {}; at most {}", vocab, kMaxVocab);
  check_sampling(params, ban, vocab);
}

}  // namespace

void sample_tokens(std::span<SampledToken> out, Tensor logits, const SamplingParams& params,
                   std::span<const DrawKey> keys, const Ban& ban, const Exec& ex) {
  if (ex.gpu != nullptr) return gpu::sample_tokens(out, logits, params, keys, ban, *ex.gpu);
  const int64_t rows = static_cast<int64_t>(out.size()), vocab = logits.cols();
  CHECK(logits.rows() == rows && static_cast<int64_t>(keys.size()) == rows && (rows == 0 || vocab > 0),
        "sample: {} tokens from {} x {} logits with {} keys", rows, logits.rows(), vocab, keys.size());
  check_params(params, ban, vocab);
  const float* data = logits.f32();
  ex.pool->run(rows, [&](int64_t r, int thread) {
    const bool filters = filters_on(params, vocab);
    const Row row = carve_row(ex.workspace->get(thread, row_bytes(vocab, filters)), vocab, filters);
    const DrawKey& key = keys[static_cast<size_t>(r)];
    out[static_cast<size_t>(r)] = sample_row(row, data + r * vocab, vocab, params, key, banned_at(ban, key), r);
  });
}

void sample_head(std::span<SampledToken> out, Tensor h, const PackedWeight& w, float softcap,
                 const SamplingParams& params, std::span<const DrawKey> keys, const Ban& ban, const Exec& ex) {
  if (ex.gpu != nullptr) return gpu::sample_head(out, h, w, softcap, params, keys, ban, *ex.gpu);
  const int64_t rows = static_cast<int64_t>(out.size()), vocab = w.n, chunks = head::chunks_of(vocab);
  CHECK(h.rows() == rows && static_cast<int64_t>(keys.size()) == rows && h.dtype == w.dtype && h.cols() == w.k,
        "sample_head: {} tokens from {} ({}, {}) with {} keys and a weight {} ({}, {})", rows, dtype_name(h.dtype),
        h.rows(), h.cols(), keys.size(), dtype_name(w.dtype), w.n, w.k);
  CHECK(vocab <= head::kMaxVocab && !filters_on(params, vocab), "sample_head: a vocabulary of {}, or filters", vocab);
  check_params(params, ban, vocab);
  const float inverse_temperature = inverse_temperature_of(params);
  const int threads = ex.pool->size();
  std::vector<head::ChunkStats> stats(static_cast<size_t>(chunks * rows));
  std::vector<Draw> best(static_cast<size_t>(threads * rows));  // of the chunks that a thread has seen
  const auto lines = [](size_t bytes) { return (bytes + 63) / 64 * 64; };
  const size_t wide = lines(gemm::widened_bytes(h)), row_size = lines(row_bytes(head::kChunk, false));
  std::byte* space = static_cast<std::byte*>(
      ex.workspace->get(0, wide + static_cast<size_t>(threads) * row_size + head::passing_bytes(threads)));
  std::byte* const row_space = space + wide;
  float* const scratch = reinterpret_cast<float*>(row_space + static_cast<size_t>(threads) * row_size);
  head::sweep({nullptr, 0, scratch}, {gemm::in_lane_dtype(h, space, ex), w, softcap}, ex,
              [&](int64_t c, int64_t r, const float* logits, int thread) {
    const int64_t begin = c * head::kChunk, count = std::min(head::kChunk, vocab - begin);
    stats[static_cast<size_t>(c * rows + r)] = head::chunk_stats(logits, count, inverse_temperature);
    const Row row = carve_row(row_space + static_cast<size_t>(thread) * row_size, count, false);
    const DrawKey& key = keys[static_cast<size_t>(r)];
    load_row(row, logits, begin, count, inverse_temperature, banned_at(ban, key));
    Draw& mine = best[static_cast<size_t>(thread * rows + r)];
    const int32_t before = mine.token;
    if (params.temperature > 0) {
      draw(mine, row, begin / kBlock, key);
    } else {
      mine.offer({row.largest(), 0, static_cast<int32_t>(begin) + row.first_largest()});
    }
    if (mine.token != before) mine.logit = logits[mine.token - begin];
  });
  for (int64_t r = 0; r < rows; ++r) {
    const RowStats row = head::combine_chunks(stats.data() + r, chunks, rows).stats;
    check_stats(row, params, keys[static_cast<size_t>(r)]);
    Draw drawn;
    for (int thread = 0; thread < threads; ++thread) drawn.offer(best[static_cast<size_t>(thread * rows + r)]);
    check_live(drawn.token >= 0, r);
    out[static_cast<size_t>(r)] = {drawn.token, token_logprob(&drawn.logit, row, 0, inverse_temperature), 1.0f};
  }
}

}  // namespace cohort
