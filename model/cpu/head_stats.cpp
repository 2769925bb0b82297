#include "model/cpu/head_stats.h"

#include <cmath>

#include "model/cpu/vector_math.h"

namespace cohort {
namespace head {
namespace {

// Below this, e^x is 0: keeps 0 * -inf out of the sums. Second, so that NaN stays NaN.
simd::F16 bounded(simd::F16 x) { return simd::max(simd::splat(-104.0f), x); }

// As scaled_logit.
simd::F16 scaled(simd::F16 logits, simd::F16 inverse_temperature) {
  return simd::fma(logits, inverse_temperature, simd::splat(-0.0f));
}

}  // namespace

void cap_logits(float* logits, int64_t count, float softcap) {
  using namespace simd;
  const F16 cap = splat(softcap);
  for (int64_t i = 0; i < count; i += kLanes) {
    const int64_t left = lanes_left(count, i);
    store_first(logits + i, cap * tanh(load_first(logits + i, left) / cap), left);
  }
}

ChunkStats chunk_stats(const float* logits, int64_t count, float inverse_temperature) {
  using namespace simd;
  const auto at = [&](int64_t i) {
    const int64_t left = lanes_left(count, i);
    return left == kLanes ? load(logits + i)
                          : select(first_lanes(left), load_first(logits + i, left), splat(-kInfinity));
  };
  F16 largest = splat(-kInfinity);
  for (int64_t i = 0; i < count; i += kLanes) largest = max(largest, at(i));
  const float max_logit = scaled_logit(max_lanes(largest), inverse_temperature);
  if (max_logit == -kInfinity) return {max_logit, 0, 0};
  const F16 scale = splat(inverse_temperature), most = splat(max_logit);
  F16 sum = splat(0), weighted = splat(0);
  for (int64_t i = 0; i < count; i += kLanes) {
    const F16 below = bounded(scaled(at(i), scale) - most), e = exp(below);
    sum = sum + e;
    weighted = fma(e, below, weighted);
  }
  return {max_logit, sum_lanes(sum), sum_lanes(weighted)};
}

RowSummary combine_chunks(const ChunkStats* chunks, int64_t count, int64_t stride) {
  using namespace simd;
  float largest = -kInfinity;
  for (int64_t c = 0; c < count; ++c) largest = std::max(largest, chunks[c * stride].max);
  // Sixteen chunks at a time: lane i adds up chunks i, i + 16, ..., and the lanes are added in a tree.
  F16 sum = splat(0), weighted = splat(0);
  for (int64_t c = 0; c < count; c += kLanes) {
    float below[kLanes], part[kLanes], part_weighted[kLanes];
    for (int64_t i = 0; i < kLanes; ++i) {
      const ChunkStats none{-kInfinity, 0, 0}, &chunk = c + i < count ? chunks[(c + i) * stride] : none;
      below[i] = chunk.max - largest, part[i] = chunk.sum, part_weighted[i] = chunk.weighted;
    }
    const F16 d = bounded(load(below)), scale = exp(d);
    sum = fma(load(part), scale, sum);
    weighted = fma(fma(load(part), d, load(part_weighted)), scale, weighted);
  }
  const float total = sum_lanes(sum), log_total = std::log(total);
  // No rounding takes lse below the largest logit or the entropy below 0: total >= 1, since e^0 is 1, and weighted <=
  // 0.
  return {{largest, largest + log_total}, log_total - sum_lanes(weighted) / total};
}

}  // namespace head

RowStats logit_row_stats(const float* logits, int64_t vocab, float inverse_temperature) {
  CHECK(vocab > 0 && vocab <= head::kMaxVocab, "a vocabulary of {}, at most {}", vocab, head::kMaxVocab);
  head::ChunkStats chunks[head::kMaxVocab / head::kChunk];
  const int64_t count = head::chunks_of(vocab);
  for (int64_t c = 0; c < count; ++c) {
    const int64_t begin = c * head::kChunk;
    chunks[c] = head::chunk_stats(logits + begin, std::min(head::kChunk, vocab - begin), inverse_temperature);
  }
  return head::combine_chunks(chunks, count, 1).stats;
}

}  // namespace cohort
