// Sampling on the CPU (ops/sample.h): filters as cut-offs found by bisection, then Gumbel-max with noise computed only
// for tokens that can still win. Both shortcuts are exact, so a draw is a function of its row and key alone.
#include "model/ops/sample.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "model/cpu/sample_noise.h"
#include "model/cpu/sample_row.h"
#include "model/cpu/vector_math.h"
#include "model/ops/head.h"

namespace cohort {
namespace {

using namespace simd;
using namespace sampling;

struct Draw {
  float score = -kInfinity;
  int32_t token = -1;

  // Ties go to the lower id, in whatever order tokens come.
  void offer(float other, int32_t id) {
    if (other > score || (other == score && id < token)) *this = {other, id};
  }
};

// Offers the tokens of one block whose noise reaches `least` (a word, see noise_words).
void draw_block(Draw& best, const Row& row, int64_t block, const DrawKey& key, float least) {
  float words[kBlock];
  noise_words(words, key, static_cast<uint32_t>(block));
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
    best.offer(largest, static_cast<int32_t>(block * kBlock + i + lane));
  }
}

// argmax of scaled + gumbel over the row's live tokens.
//
// A token of a block whose largest logit is m can reach the best score b only if its gumbel is at least x = b - m, that
// is -log(u) <= e^-x. Since 1 - u <= -log(u), it is enough to look at tokens with 1 - u <= e^-x; `slack` covers
// rounding.
int32_t draw(const Row& row, const DrawKey& key) {
  Draw best;
  const int64_t richest = row.richest_block();
  draw_block(best, row, richest, key, 0.0f);
  for (int64_t first = 0; first < row.blocks; first += kLanes) {
    const F16 most = load(row.block_max + first), score = splat(best.score);
    const F16 slack = fma(max(most, splat(0.0f) - most) + splat(std::abs(best.score)), splat(1e-6f), splat(1e-3f));
    float reach[kLanes];
    store(reach, exp(most - score + slack));
    for (int64_t i = 0; i < kLanes && first + i < row.blocks; ++i) {
      // The largest u is 1 - 2^-24. A dead block's slack is infinite and its reach NaN.
      if (!(reach[i] >= 0x1p-24f) || first + i == richest) continue;
      draw_block(best, row, first + i, key, 0x1p23f - 2.0f - 0x1p23f * reach[i]);
    }
  }
  return best.token;
}

SampledToken sample_row(const Row& row, const float* logits, int64_t vocab, const SamplingParams& params,
                        const DrawKey& key, std::span<const int32_t> banned, int64_t index) {
  const bool greedy = params.temperature == 0.0f;
  const float inverse_temperature = greedy ? 1.0f : 1.0f / params.temperature;
  const RowStats stats = logit_row_stats(logits, vocab, inverse_temperature);
  if (!std::isfinite(stats.lse))
    throw NonFiniteLogits(key.sequence,
                          fmt::format("the logits of token {} of the completion are not finite at temperature {}: largest {}, "
                                      "log-sum-exp {}",
                                      key.position + 1, params.temperature, stats.max, stats.lse));
  load_row(row, logits, vocab, inverse_temperature, banned);
  CHECK(row.largest() > -kInfinity, "every token of row {} with a probability above 0 is banned", index);

  SampledToken out{0, 0.0f, 1.0f};
  if (greedy) {
    out.token = row.first_largest();
  } else {
    if (filters_on(params, vocab)) out.kept_mass = filter_row(row, params, stats.lse);
    out.token = draw(row, key);
  }
  out.logprob = token_logprob(logits, stats, out.token, inverse_temperature);
  return out;
}

}  // namespace

void sample_tokens(std::span<SampledToken> out, Tensor logits, const SamplingParams& params,
                   std::span<const DrawKey> keys, const Ban& ban, const Exec& ex) {
  const int64_t rows = static_cast<int64_t>(out.size()), vocab = logits.cols();
  CHECK(logits.rows() == rows && static_cast<int64_t>(keys.size()) == rows && (rows == 0 || vocab > 0),
        "sample: {} tokens from {} x {} logits with {} keys", rows, logits.rows(), vocab, keys.size());
  CHECK(vocab <= kMaxVocab, "sample: a vocabulary of {}; at most {}", vocab, kMaxVocab);
  CHECK(params.temperature >= 0 && std::isfinite(params.temperature), "temperature {}; allowed is 0 or more",
        params.temperature);
  CHECK(params.temperature == 0 || std::isfinite(1.0f / params.temperature), "temperature {} is too small; 0 is greedy",
        params.temperature);
  CHECK(params.top_k >= 0, "top_k {}; allowed is 0 (off) or more", params.top_k);
  CHECK(params.top_p > 0 && params.top_p <= 1, "top_p {}; allowed is above 0, up to 1", params.top_p);
  CHECK(params.min_p >= 0 && params.min_p <= 1, "min_p {}; allowed is 0 to 1", params.min_p);
  for (int32_t id : ban.tokens) CHECK(id >= 0 && id < vocab, "banned token {} of a vocabulary of {}", id, vocab);
  const float* data = logits.f32();
  ex.pool->run(rows, [&](int64_t r, int thread) {
    const bool filters = params.temperature > 0 && filters_on(params, vocab);
    const Row row = carve_row(ex.workspace->get(thread, row_bytes(vocab, filters)), vocab, filters);
    const DrawKey& key = keys[static_cast<size_t>(r)];
    const std::span<const int32_t> banned = key.position < ban.before ? ban.tokens : std::span<const int32_t>();
    out[static_cast<size_t>(r)] = sample_row(row, data + r * vocab, vocab, params, key, banned, r);
  });
}

}  // namespace cohort
