#include "model/params.h"

#include "core/check.h"

namespace cohort {

ParamTable make_param_table(const ModelConfig& c, int64_t shards) {
  CHECK(shards > 0, "a parameter table of {} shards", shards);
  ParamTable table;
  // Each parameter starts on a cache line of float32.
  constexpr int64_t kAlign = 16;
  const auto add = [&](std::string name, ParamKind kind, int64_t n, int64_t k) {
    const int64_t offset = table.size;
    table.entries.push_back({std::move(name), {n, k}, offset, kind});
    table.count += n * k;
    table.size += (n * k + kAlign - 1) / kAlign * kAlign;
    return offset;
  };
  const int64_t C = c.hidden_size, F = c.intermediate_size, q = c.num_heads * c.head_size,
                kv = c.num_kv_heads * c.head_size;
  // q, k, v (and gate, up, and biases) are read as one matrix, so no gap may lie between them.
  CHECK(C % kAlign == 0 && F % kAlign == 0 && q % kAlign == 0 && kv % kAlign == 0,
        "widths {}, {}, {}, {} leave gaps between parameters: they must be multiples of {}", C, F, q, kv, kAlign);

  table.embedding = add("model.embed_tokens.weight", ParamKind::matrix, c.vocab_size, C);
  for (int64_t layer = 0; layer < c.num_layers; ++layer) {
    const auto name = [&](const char* part) { return fmt::format("model.layers.{}.{}", layer, part); };
    const auto matrix = [&](const char* part, int64_t n, int64_t k) { return add(name(part), ParamKind::matrix, n, k); };
    const auto gain = [&](const char* part, int64_t n) { return add(name(part), ParamKind::gain, 1, n); };
    const auto bias = [&](const char* part, int64_t n) { return add(name(part), ParamKind::bias, 1, n); };
    LayerParams at{};
    at.span.begin = table.size;
    at.attention_norm = gain("input_layernorm.weight", C);
    at.qkv = matrix("self_attn.q_proj.weight", q, C);
    matrix("self_attn.k_proj.weight", kv, C);
    matrix("self_attn.v_proj.weight", kv, C);
    if (c.qkv_bias) {
      at.qkv_bias = bias("self_attn.q_proj.bias", q);
      bias("self_attn.k_proj.bias", kv);
      bias("self_attn.v_proj.bias", kv);
    }
    if (c.qk_norm) {
      at.q_norm = gain("self_attn.q_norm.weight", c.head_size);
      at.k_norm = gain("self_attn.k_norm.weight", c.head_size);
    }
    at.out = matrix("self_attn.o_proj.weight", C, q);
    if (c.out_bias) at.out_bias = bias("self_attn.o_proj.bias", C);
    // With sandwich norms, Gemma's name for the norm after attention is Llama's for the one before the MLP.
    if (c.sandwich_norms) at.attention_out_norm = gain("post_attention_layernorm.weight", C);
    at.mlp_norm = gain(c.sandwich_norms ? "pre_feedforward_layernorm.weight" : "post_attention_layernorm.weight", C);
    at.gate_up = matrix("mlp.gate_proj.weight", F, C);
    matrix("mlp.up_proj.weight", F, C);
    at.down = matrix("mlp.down_proj.weight", C, F);
    if (c.sandwich_norms) at.mlp_out_norm = gain("post_feedforward_layernorm.weight", C);
    at.span.end = table.size;
    table.layers.push_back(at);
  }
  table.final_norm = add("model.norm.weight", ParamKind::gain, 1, C);
  if (c.is_classifier()) {
    table.head_rows = c.num_labels;
    table.head = add("score.weight", ParamKind::matrix, c.num_labels, C);
  } else {
    table.head_rows = c.vocab_size;
    table.head = c.tie_word_embeddings ? table.embedding : add("lm_head.weight", ParamKind::matrix, c.vocab_size, C);
  }
  const int64_t step = shards * kAlign;
  table.size = (table.size + step - 1) / step * step;
  return table;
}

}  // namespace cohort
