#include "model/params.h"

#include "core/check.h"

namespace cohort {

ParamTable make_param_table(const ModelConfig& c, int64_t shards) {
  CHECK(shards > 0, "a parameter table of {} shards", shards);
  ParamTable table;
  // Each parameter starts on a cache line of float32.
  constexpr int64_t kAlign = 16;
  const auto add = [&](std::string name, int64_t n, int64_t k, bool decay) {
    const int64_t offset = table.size;
    table.entries.push_back({std::move(name), {n, k}, offset, decay});
    table.count += n * k;
    table.size += (n * k + kAlign - 1) / kAlign * kAlign;
    return offset;
  };
  const int64_t C = c.hidden_size, F = c.intermediate_size, q = c.num_heads * c.head_size,
                kv = c.num_kv_heads * c.head_size;
  // q, k, v (and gate, up) are read as one matrix, so no gap may lie between them.
  CHECK(q * C % kAlign == 0 && kv * C % kAlign == 0 && F * C % kAlign == 0,
        "parameters of {} x {} and {} x {} leave gaps: sizes must be multiples of {}", q, C, kv, C, kAlign);

  table.embedding = add("model.embed_tokens.weight", c.vocab_size, C, true);
  for (int64_t layer = 0; layer < c.num_layers; ++layer) {
    const auto name = [&](const char* part) { return fmt::format("model.layers.{}.{}.weight", layer, part); };
    LayerParams at{};
    at.attention_norm = add(name("input_layernorm"), 1, C, false);
    at.qkv = add(name("self_attn.q_proj"), q, C, true);
    add(name("self_attn.k_proj"), kv, C, true);
    add(name("self_attn.v_proj"), kv, C, true);
    at.out = add(name("self_attn.o_proj"), C, q, true);
    at.mlp_norm = add(name("post_attention_layernorm"), 1, C, false);
    at.gate_up = add(name("mlp.gate_proj"), F, C, true);
    add(name("mlp.up_proj"), F, C, true);
    at.down = add(name("mlp.down_proj"), C, F, true);
    table.layers.push_back(at);
  }
  table.final_norm = add("model.norm.weight", 1, C, false);
  table.head = c.tie_word_embeddings ? table.embedding : add("lm_head.weight", c.vocab_size, C, true);
  const int64_t step = shards * kAlign;
  table.size = (table.size + step - 1) / step * step;
  return table;
}

}  // namespace cohort
