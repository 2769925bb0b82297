// Bytes, FLOPs and launches of each op, by formula. Letters as in model/tensor.h; T rows, f32 4 bytes, bf16 2.
#include <algorithm>

#include "bench/roofline/op.h"
#include "core/check.h"

namespace cohort::roofline {
namespace {

// As in model/cuda (head.h, attention.h, attention_tiles.cuh, update.cu), whose headers are not for every build.
constexpr int64_t kHeadChunk = 4096, kSplitKeys = 256, kWarpRows = 16, kKeyBlock = 64, kSumChunk = 4096, kPairs = 512;

// Instructions of a thread for one logit, counted in sm_90's code of the loops (nvcc 13.0; no cap, no ban): two passes with an
// exponential for the statistics; those, a quarter of a Philox call, two logarithms and the choice for a draw; the gradient.
constexpr double kStatsInstructions = 23, kDrawInstructions = 105, kGradientInstructions = 30;

constexpr double kF32 = 4, kBf16 = 2;
double size_of(DType dtype) { return static_cast<double>(dtype_size(dtype)); }
double d(int64_t n) { return static_cast<double>(n); }
int64_t ceil_of(int64_t n, int64_t by) { return (n + by - 1) / by; }

Phase memory(double bytes, int64_t launches = 1) { return {.bytes = bytes, .launches = launches}; }

Work product(const Op& op) {
  const double T = d(op.rows), N = d(op.n), K = d(op.k), in = size_of(op.in), out = size_of(op.out);
  const double weight = N * K * (op.kind == Kind::weight ? kF32 : in), x = T * K, y = T * N;
  double bytes = weight;
  if (op.kind == Kind::forward) bytes += x * in + y * out * (op.accumulate ? 2 : 1);
  if (op.kind == Kind::input) bytes += y * in + x * out * (op.accumulate ? 2 : 1);
  if (op.kind == Kind::weight) bytes += (x + y) * in;
  return {{.bytes = bytes, .flops = 2 * T * N * K, .products = 1}};
}

// --- attention: a block of 64 keys costs a warp, for its 16 rows, 4096 D flops and 288 D bytes of shared memory -------------
constexpr double kForwardFlopsOfByte = 4096.0 / 288.0;
constexpr double kRowsFlopsOfByte = 12, kKeysFlopsOfByte = 12.8;  // backward: of the kernel for dq, and of that for dk and dv

// dq: s, dp, dq; dk and dv: s, dp, dv, dk.
constexpr double kRowsProducts = 3, kKeysProducts = 4;

Work attention_pack(const Op& op) {
  const double T = d(op.rows), H = d(op.heads.num_heads), K = d(op.heads.num_kv_heads), D = d(op.heads.head_size);
  const double one_product = 2 * D * H * pack_pairs(op.sequences);
  if (op.kind == Kind::attention_pack)
    return {{.bytes = T * D * (2 * H + 2 * K) * kBf16 + T * H * kF32,
             .flops = 2 * one_product,
             .shared_bytes = 2 * one_product / kForwardFlopsOfByte,
             .launches = 1}};
  // Inputs q, k, v, dout (and out for delta); each kernel reads them.
  const double inputs = T * D * (2 * H + 2 * K) * kBf16 + T * H * kF32;
  return {{.bytes = inputs + T * D * H * (kBf16 + kF32) + T * H * kF32,
           .flops = kRowsProducts * one_product,
           .shared_bytes = kRowsProducts * one_product / kRowsFlopsOfByte,
           .launches = 1},
          {.bytes = inputs + T * H * kF32 + 2 * T * D * K * kF32,
           .flops = kKeysProducts * one_product,
           .shared_bytes = kKeysProducts * one_product / kKeysFlopsOfByte,
           .launches = 1}};
}

// Whole splits that lie within a shared prompt are read once for all of its samples; the rest once for each.
Work attention_cached(const Op& op) {
  const Sequences& s = op.sequences;
  const int64_t context = s.context(), group = op.heads.num_heads / op.heads.num_kv_heads;
  const int64_t splits = ceil_of(context, kSplitKeys);
  const int64_t shared = s.shared && splits > 1 ? std::min(s.prompt, context - 1) / kSplitKeys * kSplitKeys : 0;
  const double B = d(s.count()), H = d(op.heads.num_heads), K = d(op.heads.num_kv_heads), D = d(op.heads.head_size);
  const double positions = d(s.prompts) * d(shared) + B * d(context - shared);
  const auto warps = [&](int64_t queries) { return d(ceil_of(queries * group, kWarpRows)); };
  const double blocks = d(s.prompts) * d(ceil_of(shared, kKeyBlock)) * warps(s.samples) + B * d(ceil_of(context - shared, kKeyBlock)) * warps(1);
  const double partials = splits > 1 ? B * H * d(splits) * (D + 2) * kF32 : 0;
  Work work{{.bytes = 2 * positions * K * D * kBf16 + B * H * D * kBf16 + (splits > 1 ? partials : B * H * D * kBf16),
             .flops = 4 * D * H * B * d(context),
             .shared_bytes = 288 * D * K * blocks,
             .launches = 1}};
  if (splits > 1) work.push_back(memory(partials + B * H * D * kBf16));
  return work;
}

// --- the head: for each chunk of the vocabulary a product, and a kernel over its logits -------------------------------------
Work head(const Op& op) {
  const double T = d(op.rows), V = d(op.n), C = d(op.k), logits = T * V * kF32;
  const int64_t chunks = ceil_of(op.n, kHeadChunk);
  const double chunk = T * d(std::min(op.n, kHeadChunk)) * kF32;
  const Phase product{.bytes = (V * C + T * C) * kBf16, .chunk_bytes = logits, .chunk = chunk, .flops = 2 * T * V * C, .products = chunks};
  const auto over_logits = [&](double bytes, double instructions) {
    return Phase{.chunk_bytes = bytes, .chunk = chunk, .instructions = instructions * T * V, .launches = chunks};
  };
  if (op.kind == Kind::head_logprobs)
    return {product, over_logits(logits, kStatsInstructions), memory(T * 12 * (1 + d(chunks)))};
  if (op.kind == Kind::sample_head)
    return {product, over_logits(logits, kDrawInstructions), memory(T * 24 * d(chunks))};
  const double dlogits = T * V * kBf16, dh = T * C * kF32;
  const Phase input{.bytes = V * C * kBf16, .chunk_bytes = dlogits + dh * (2 * d(chunks) - 1), .chunk = chunk * 1.5 + dh,
                    .flops = 2 * T * V * C, .products = chunks};
  const Phase weight{.bytes = T * C * kBf16 + V * C * kF32, .chunk_bytes = dlogits, .chunk = chunk * 1.5, .flops = 2 * T * V * C, .products = chunks};
  Work work{product, over_logits(logits + dlogits, kGradientInstructions), input, weight};
  // Of a tied head, rows that are embeddings too: a chunk of them at a time. Chunks without any are not looked at.
  if (op.kept > 0) work.push_back(memory(2 * d(op.kept) * C * kF32, std::min(op.kept, chunks)));
  return work;
}

int64_t tree_levels(int64_t n) {
  int64_t count = std::max<int64_t>(1, ceil_of(n, kSumChunk)), levels = 0;
  for (; count > 1; ++levels) count = ceil_of(count, kPairs);
  return levels;
}

}  // namespace

double pack_pairs(const Sequences& s) {
  const double P = d(s.prompt), N = d(s.completion);
  return d(s.prompts) * P * (P + 1) / 2 + d(s.count()) * (N * P + N * (N + 1) / 2);
}

Work work_of(const Op& op) {
  const double T = d(op.rows), N = d(op.n), C = d(op.k);
  const double H = d(op.heads.num_heads), K = d(op.heads.num_kv_heads), D = d(op.heads.head_size);
  const double in = size_of(op.in), out = size_of(op.out), kept = d(op.kept);
  switch (op.kind) {
    case Kind::forward:
    case Kind::input:
    case Kind::weight: return product(op);
    case Kind::embedding: return {memory(T * C * (kBf16 + kF32) + T * kF32)};
    case Kind::embedding_backward:  // rows are added to sums, which then become the table's
      return {memory(T * C * kF32 + 2 * kept * C * kF32), memory(2 * kept * C * kF32)};
    case Kind::add_bias: return {memory(2 * T * N * kF32 + N * kBf16)};
    case Kind::bias_backward: return {memory(T * N * in), memory(N * kF32)};
    case Kind::cast: return {memory(T * N * (in + out))};
    case Kind::clear: return {{.bytes = T * N * out, .clears = 1}};
    case Kind::gather_rows: return {memory(2 * T * N * in)};
    case Kind::scatter_add_rows: return {memory(3 * T * N * kF32)};
    case Kind::rmsnorm: return {memory(T * N * (kF32 + kBf16) + N * kBf16)};
    case Kind::rmsnorm_backward: return {memory(T * N * 4 * kF32 + N * kBf16), memory(N * kF32)};  // x, dy, dx twice
    case Kind::qk_norm: return {memory(T * (H + K) * D * kF32 * (op.training ? 3 : 2))};
    case Kind::qk_norm_backward: return {memory(T * (H + K) * D * 3 * kF32), memory(2 * D * kF32, 2)};
    case Kind::rope:
    case Kind::rope_backward: return {memory(T * (H + 2 * K) * D * (in + out))};
    case Kind::gated: return {memory(T * N * 3 * kBf16)};
    case Kind::gated_backward: return {memory(T * N * 6 * kBf16)};  // gate, up, dy, both gradients, y
    case Kind::attention_pack:
    case Kind::attention_pack_backward: return attention_pack(op);
    case Kind::store_cached: return {memory(4 * T * K * D * kBf16)};
    case Kind::attention_cached: return attention_cached(op);
    case Kind::head_logprobs:
    case Kind::head_backward:
    case Kind::sample_head: return head(op);
    case Kind::sample_tokens:
      return {{.bytes = T * N * kF32, .instructions = kDrawInstructions * T * N, .launches = 1}, memory(T * 24 * d(ceil_of(op.n, kHeadChunk)))};
    case Kind::adamw: return {memory(T * 28)};  // weight, lower half, m, v read and written; gradient read
    case Kind::ordered_sum: return {memory(T * kF32 * (N + 1))};
    case Kind::sum_of_squares: return {memory(T * kF32, 1 + tree_levels(op.rows))};
    case Kind::find_non_finite: return {memory(T * kF32), memory(T / 16384 * 8)};
  }
  CHECK(false, "an op of kind {}", static_cast<int>(op.kind));
}

Sums sums_of(const Work& work) {
  Sums sums;
  for (const Phase& phase : work) {
    sums.bytes += phase.bytes + phase.chunk_bytes, sums.flops += phase.flops;
    sums.launches += phase.launches, sums.products += phase.products, sums.clears += phase.clears;
  }
  return sums;
}

const char* kind_name(Kind kind) {
  constexpr const char* kNames[] = {
      "product forward", "product input", "product weight", "embedding", "embedding backward", "add bias", "bias backward", "cast", "clear",
      "gather rows", "scatter add rows", "rmsnorm", "rmsnorm backward", "qk norm", "qk norm backward", "rope", "rope backward", "swiglu",
      "swiglu backward", "attention", "attention backward", "store cached", "attention cached", "head log-probs", "head backward",
      "sample head", "sample tokens", "adamw", "ordered sum", "sum of squares", "find non-finite"};
  static_assert(std::size(kNames) == static_cast<size_t>(Kind::find_non_finite) + 1);
  return kNames[static_cast<size_t>(kind)];
}

}  // namespace cohort::roofline
