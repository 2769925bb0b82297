#include "bench/roofline/steps.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "core/check.h"

namespace cohort::roofline {
namespace {

constexpr int64_t kOptimizerNumbers = int64_t{1} << 26;  // of one measurement at most: 1.9 GB of state

ModelConfig config_of(int64_t V, int64_t C, int64_t F, int64_t L, int64_t H, int64_t K, int64_t D, bool qkv_bias) {
  ModelConfig c;
  c.vocab_size = V, c.hidden_size = C, c.intermediate_size = F, c.num_layers = L;
  c.num_heads = H, c.num_kv_heads = K, c.head_size = D, c.max_positions = 4096;
  c.qkv_bias = qkv_bias, c.tie_word_embeddings = true;
  return c;
}

// 256 sequences that share nothing, at position 511; passes of 8 completions of 512 tokens behind a prompt of 64; an update of
// 64 such groups.
constexpr Sequences kDecode{256, 1, 256, 256, false};
constexpr Sequences kPass{1, 8, 64, 512, true};
constexpr int64_t kPasses = 64;

HeadLayout heads_of(const ModelConfig& c) { return {.num_heads = c.num_heads, .num_kv_heads = c.num_kv_heads, .head_size = c.head_size}; }

int64_t qkv_width(const ModelConfig& c) { return (c.num_heads + 2 * c.num_kv_heads) * c.head_size; }

// Builds the list; `layer(op)`: in every layer.
struct List {
  const ModelConfig& c;
  std::vector<Op> ops;
  void add(Op op) { ops.push_back(std::move(op)); }
  void layer(Op op) {
    op.times *= c.num_layers;
    ops.push_back(std::move(op));
  }
};

// The products of a layer: name, N, K.
struct Weight {
  const char* name;
  int64_t n, k;
};
struct Weights {
  Weight qkv, out, gate_up, down;
};
Weights weights_of(const ModelConfig& c) {
  const int64_t C = c.hidden_size, F = c.intermediate_size, width = c.num_heads * c.head_size;
  return {{"qkv", qkv_width(c), C}, {"out", C, width}, {"gate_up", 2 * F, C}, {"down", C, F}};
}
Op product(Kind kind, const Weight& w, int64_t rows, DType out, bool accumulate = false) {
  return {.kind = kind, .name = w.name, .rows = rows, .n = w.n, .k = w.k, .out = out, .accumulate = accumulate};
}

void attention_in(List& list, int64_t rows, bool training) {
  const ModelConfig& c = list.c;
  const Weights w = weights_of(c);
  list.layer({.kind = Kind::rmsnorm, .name = "rmsnorm", .rows = rows, .n = c.hidden_size, .training = training});
  list.layer(product(Kind::forward, w.qkv, rows, DType::f32));
  if (c.qkv_bias) list.layer({.kind = Kind::add_bias, .name = "qkv bias", .rows = rows, .n = qkv_width(c)});
  if (c.qk_norm) list.layer({.kind = Kind::qk_norm, .name = "qk norm", .rows = rows, .heads = heads_of(c), .training = training});
  list.layer({.kind = Kind::rope, .name = "rope", .rows = rows, .heads = heads_of(c), .in = DType::f32, .out = DType::bf16});
}
void attention_out(List& list, int64_t rows) {
  list.layer(product(Kind::forward, weights_of(list.c).out, rows, DType::f32, true));
  if (list.c.out_bias) list.layer({.kind = Kind::add_bias, .name = "out bias", .rows = rows, .n = list.c.hidden_size});
}
void mlp(List& list, int64_t rows, bool training) {
  const ModelConfig& c = list.c;
  const Weights w = weights_of(c);
  list.layer({.kind = Kind::rmsnorm, .name = "rmsnorm", .rows = rows, .n = c.hidden_size, .training = training});
  list.layer(product(Kind::forward, w.gate_up, rows, DType::bf16));
  list.layer({.kind = Kind::gated, .name = "swiglu", .rows = rows, .n = c.intermediate_size});
  list.layer(product(Kind::forward, w.down, rows, DType::f32, true));
}

void check_fits(const ModelConfig& c) {
  CHECK(!c.sandwich_norms && c.window == 0 && !c.is_classifier(), "the table of a step knows no sandwich norms, windows or scores");
}

}  // namespace

Shape find_shape(const std::string& name) {
  if (name == kPublished[0])  // Qwen/Qwen2.5-0.5B
    return {name, config_of(151936, 896, 4864, 24, 14, 2, 64, true), kDecode, kPass, kPasses};
  if (name == kPublished[1])  // meta-llama/Llama-3.2-1B
    return {name, config_of(128256, 2048, 8192, 16, 32, 8, 64, false), kDecode, kPass, kPasses};
  if (name == "tiny")  // two chunks of the vocabulary, two splits of keys
    return {name, config_of(4096 + 40, 64, 96, 2, 4, 2, 16, true), {2, 2, 272, 5, false}, {2, 2, 9, 4, true}, 2};
  std::error_code ignored;
  CHECK_USAGE(std::filesystem::is_directory(name, ignored), "the shape '{}' is unknown; allowed: {}, {}, tiny, or a folder with a config.json",
              name, kPublished[0], kPublished[1]);
  return {name, load_model_config(name), kDecode, kPass, kPasses};
}

int64_t parameters(const ModelConfig& c) {
  const Weights w = weights_of(c);
  int64_t layer = 2 * c.hidden_size + (c.qkv_bias ? qkv_width(c) : 0) + (c.out_bias ? c.hidden_size : 0) + (c.qk_norm ? 2 * c.head_size : 0);
  for (const Weight& weight : {w.qkv, w.out, w.gate_up, w.down}) layer += weight.n * weight.k;
  return c.vocab_size * c.hidden_size * (c.tie_word_embeddings ? 1 : 2) + c.num_layers * layer + c.hidden_size;
}

std::vector<Op> decode_step(const Shape& shape) {
  const ModelConfig& c = shape.config;
  check_fits(c);
  const int64_t B = shape.decode.count(), C = c.hidden_size, V = c.vocab_size;
  List list{c, {}};
  list.add({.kind = Kind::embedding, .name = "embedding", .rows = B, .n = V, .k = C});
  attention_in(list, B, false);
  list.layer({.kind = Kind::store_cached, .name = "store cached", .rows = B, .heads = heads_of(c), .sequences = shape.decode});
  list.layer({.kind = Kind::attention_cached, .name = "attention", .rows = B, .heads = heads_of(c), .sequences = shape.decode});
  attention_out(list, B);
  mlp(list, B, false);
  list.add({.kind = Kind::rmsnorm, .name = "rmsnorm", .rows = B, .n = C});
  list.add({.kind = Kind::sample_head, .name = "head and draw", .rows = B, .n = V, .k = C});
  return list.ops;
}

std::vector<Op> update_pass(const Shape& shape) {
  const ModelConfig& c = shape.config;
  check_fits(c);
  const Sequences& s = shape.pass;
  const int64_t n = s.count() * s.completion, T = s.prompts * s.prompt + n, C = c.hidden_size, F = c.intermediate_size, V = c.vocab_size;
  const int64_t kept = std::min(T, V);
  const Weights w = weights_of(c);
  const Op residual{.kind = Kind::cast, .name = "residual stream", .rows = T, .n = C, .in = DType::f32, .out = DType::f32};
  const Op to_bf16{.kind = Kind::cast, .name = "gradient", .rows = T, .n = C, .in = DType::f32, .out = DType::bf16};
  const Op norm_backward{.kind = Kind::rmsnorm_backward, .name = "rmsnorm", .rows = T, .n = C};
  const Op zeros{.kind = Kind::clear, .name = "gradient", .rows = T, .n = C, .out = DType::f32};
  List list{c, {}};
  list.add({.kind = Kind::embedding, .name = "embedding", .rows = T, .n = V, .k = C});
  attention_in(list, T, true);
  list.layer({.kind = Kind::attention_pack, .name = "attention", .rows = T, .heads = heads_of(c), .sequences = s});
  list.layer(residual);
  attention_out(list, T);
  list.layer(residual);
  mlp(list, T, true);
  list.add({.kind = Kind::rmsnorm, .name = "rmsnorm", .rows = T, .n = C, .training = true});
  list.add({.kind = Kind::gather_rows, .name = "rows with targets", .rows = n, .n = C});
  list.add({.kind = Kind::head_logprobs, .name = "head", .rows = n, .n = V, .k = C});
  list.add({.kind = Kind::head_backward, .name = "head", .rows = n, .n = V, .k = C, .kept = c.tie_word_embeddings ? kept : 0});
  if (!c.tie_word_embeddings) {
    list.add({.kind = Kind::clear, .name = "gradient of the embedding", .rows = V, .n = C, .out = DType::f32});
    list.add({.kind = Kind::clear, .name = "sums of embedding rows", .rows = kept, .n = C, .out = DType::f32});
  }

  list.add(zeros);
  list.add({.kind = Kind::scatter_add_rows, .name = "rows with targets", .rows = n, .n = C});
  list.add(zeros);
  list.add(norm_backward);
  list.layer(to_bf16);
  list.layer(product(Kind::input, w.down, T, DType::bf16));
  list.layer({.kind = Kind::gated_backward, .name = "swiglu", .rows = T, .n = F});
  list.layer(product(Kind::weight, w.down, T, DType::f32));
  list.layer(product(Kind::weight, w.gate_up, T, DType::f32));
  list.layer(product(Kind::input, w.gate_up, T, DType::f32));
  list.layer(norm_backward);
  if (c.out_bias) list.layer({.kind = Kind::bias_backward, .name = "out bias", .rows = T, .n = C, .in = DType::f32});
  list.layer(to_bf16);
  list.layer(product(Kind::weight, w.out, T, DType::f32));
  list.layer(product(Kind::input, w.out, T, DType::bf16));
  list.layer({.kind = Kind::attention_pack_backward, .name = "attention", .rows = T, .heads = heads_of(c), .sequences = s});
  const DType unrotated = c.qk_norm ? DType::f32 : DType::bf16;
  list.layer({.kind = Kind::rope_backward, .name = "rope", .rows = T, .heads = heads_of(c), .in = DType::f32, .out = unrotated});
  if (c.qk_norm) {
    list.layer({.kind = Kind::qk_norm_backward, .name = "qk norm", .rows = T, .heads = heads_of(c)});
    list.layer({.kind = Kind::cast, .name = "gradient", .rows = T, .n = qkv_width(c), .in = DType::f32, .out = DType::bf16});
  }
  if (c.qkv_bias) list.layer({.kind = Kind::bias_backward, .name = "qkv bias", .rows = T, .n = qkv_width(c), .in = unrotated});
  list.layer(product(Kind::weight, w.qkv, T, DType::f32));
  list.layer(product(Kind::input, w.qkv, T, DType::f32));
  list.layer(norm_backward);
  list.add({.kind = Kind::embedding_backward, .name = "embedding", .rows = T, .n = V, .k = C, .kept = kept});
  return list.ops;
}

std::vector<Op> optimizer_step(const Shape& shape) {
  const int64_t P = parameters(shape.config), times = (P + kOptimizerNumbers - 1) / kOptimizerNumbers, each = P / times / 4 * 4;
  return {{.kind = Kind::sum_of_squares, .name = "gradient norm", .rows = each, .times = times},
          {.kind = Kind::adamw, .name = "adamw", .rows = each, .times = times}};
}

std::vector<Op> other_ops(const Shape& shape) {
  const ModelConfig& c = shape.config;
  const int64_t n = shape.pass.count() * shape.pass.completion, T = shape.pass.prompts * shape.pass.prompt + n;
  const int64_t numbers = std::min<int64_t>(kOptimizerNumbers / 4, parameters(c) / 4 * 4);
  const HeadLayout many{.num_heads = c.num_heads, .num_kv_heads = c.num_kv_heads, .head_size = c.head_size};
  Sequences shared = shape.decode;  // the same rows, 16 to a prompt
  if (shared.samples == 1) shared.samples = 16, shared.prompts /= 16;
  shared.shared = true;
  const int64_t B = shape.decode.count();
  return {{.kind = Kind::attention_cached, .name = "attention, shared prompts", .rows = B, .heads = many, .sequences = shared},
          {.kind = Kind::sample_tokens, .name = "draw from logits", .rows = B, .n = c.vocab_size},
          {.kind = Kind::qk_norm, .name = "qk norm", .rows = T, .heads = many, .training = true},
          {.kind = Kind::qk_norm_backward, .name = "qk norm", .rows = T, .heads = many},
          {.kind = Kind::ordered_sum, .name = "sum of 8 ranks", .rows = numbers, .n = 8},
          {.kind = Kind::find_non_finite, .name = "find non-finite", .rows = numbers}};
}

}  // namespace cohort::roofline
