// One row of logits while it is sampled: what filters and draw work on. Private to model/cpu.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "model/ops/sample.h"

namespace cohort::sampling {

// Scaled logits in blocks of 64 tokens, -infinity for tokens that are out. A block whose largest is -infinity is dead:
// its tokens are not read again (and need not hold -infinity).
struct Row {
  int64_t blocks;
  float* scaled;     // (blocks, 64)
  float* block_max;  // (blocks), to a whole last vector, -infinity beyond
  float* weight;     // (blocks, 64): e^(scaled - largest), where filters are on
  struct Candidate {
    float scaled;
    int32_t token;
  };
  Candidate* candidates;  // (blocks * 64), where filters are on

  int64_t richest_block() const;  // the first that has the largest logit
  float largest() const { return block_max[richest_block()]; }
  int32_t first_largest() const;
};

size_t row_bytes(int64_t vocab, bool filters);
Row carve_row(void* block, int64_t vocab, bool filters);

// Fills scaled and block_max from the logits of tokens [begin, begin + count); banned tokens are out.
void load_row(const Row& row, const float* logits, int64_t begin, int64_t count, float inverse_temperature,
              std::span<const int32_t> banned);

// Takes out what top_k, top_p and min_p drop, in that order. Returns the kept part of the full softmax, whose
// log-sum-exp is `lse`.
float filter_row(const Row& row, const SamplingParams& params, float lse);

}  // namespace cohort::sampling
