// Statistics of softmax(logits / temperature) over one row of the vocabulary, in chunks that may be computed apart.
//
// Private to model/cpu: the sampler and the trainer both go through these functions, so their log-probs are equal bits.
#pragma once

#include <cstdint>
#include <span>

#include "model/ops/head.h"

namespace cohort::head {

// Columns of a chunk: whole panels of every processor's products (48, 24 or 12 columns).
inline constexpr int64_t kChunk = 384;
inline constexpr int64_t kMaxVocab = 1024 * kChunk;
inline int64_t chunks_of(int64_t vocab) { return (vocab + kChunk - 1) / kChunk; }

// Soft-capping in place: l = softcap tanh(l / softcap), of logits in a row or in rows that follow each other.
void cap_logits(float* logits, int64_t count, float softcap);

// Of the scaled logits x of one chunk: m = max x, sum of e^(x - m), and sum of e^(x - m) (x - m).
struct ChunkStats {
  float max, sum, weighted;
};
ChunkStats chunk_stats(const float* logits, int64_t count, float inverse_temperature);

struct RowSummary {
  RowStats stats;
  float entropy;  // nats
};
// One row's chunks, `stride` apart.
RowSummary combine_chunks(const ChunkStats* chunks, int64_t count, int64_t stride);

}  // namespace cohort::head
