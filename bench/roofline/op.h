// The ops of a step on a GPU as data: what each works on, and what it cannot do without of the device. The page of expected
// times (docs/gpu_roofline.md) and the measurements (gpu_kernels.cpp) come from the same table and the same formulas.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/ops/attention.h"
#include "model/tensor.h"

namespace cohort::roofline {

enum class Kind : uint8_t {
  forward, input, weight,  // products: y = x w^T, dx = dy w, dw = dy^T x
  embedding, embedding_backward, add_bias, bias_backward, cast, clear, gather_rows, scatter_add_rows,
  rmsnorm, rmsnorm_backward, qk_norm, qk_norm_backward, rope, rope_backward, gated, gated_backward,
  attention_pack, attention_pack_backward, store_cached, attention_cached,
  head_logprobs, head_backward, sample_head, sample_tokens,
  adamw, ordered_sum, sum_of_squares, find_non_finite,
};
const char* kind_name(Kind kind);

// `samples` completions behind each of `prompts` prompts. A decode step has a row for each completion, at position prompt +
// completion - 1; a training pass has all rows. `shared`: the completions' pages of the prompt are the same.
struct Sequences {
  int64_t prompts = 0, samples = 0, prompt = 0, completion = 0;
  bool shared = false;
  int64_t count() const { return prompts * samples; }
  int64_t context() const { return prompt + completion; }
};

struct Op {
  Kind kind;
  std::string name;        // of the op or, of a product, of its weight
  int64_t rows = 0;        // rows of activations; of the optimizer's ops: numbers
  int64_t n = 0, k = 0;    // of products: the weight (N, K); of the head and the embedding: V, C; else n columns; of ordered_sum: n terms
  HeadLayout heads{};      // of attention, rope and QK norm
  Sequences sequences{};   // of attention
  DType in = DType::bf16, out = DType::bf16;  // where an op has several versions
  bool accumulate = false;  // of products: y += x w^T
  bool training = false;    // of forward ops: what the backward pass needs is kept
  int64_t kept = 0;         // of the embedding's and the head's backward: rows of the table that tokens name
  int64_t times = 1;        // in one step
};

// One kernel, or several that do the same: what passes through each part of the device, each number once. A kernel takes at
// least as long as the slowest part.
struct Phase {
  double bytes = 0;         // from and to memory
  double chunk_bytes = 0;   // the same of what is written only to be read at once: `chunk` bytes of it exist at a time, and where
  double chunk = 0;         // those fit into the L2 cache it need not go to memory
  double flops = 0;         // of products in bf16
  double shared_bytes = 0;  // from shared memory into registers
  double instructions = 0;  // of threads
  int64_t launches = 0;     // kernels of cohort's own
  int64_t products = 0;     // calls of cuBLASLt
  int64_t clears = 0;       // of memory
};
// One after the other.
using Work = std::vector<Phase>;
Work work_of(const Op& op);

struct Sums {
  double bytes = 0, flops = 0;
  int64_t launches = 0, products = 0, clears = 0;
};
// bytes: all of them, as if no cache held any.
Sums sums_of(const Work& work);

// Pairs of a query and a key that it sees, in a training pass (each prompt once).
double pack_pairs(const Sequences& s);

}  // namespace cohort::roofline
