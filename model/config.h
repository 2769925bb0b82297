// ModelConfig: what config.json says of a model, checked, in terms that the transformer understands. It names no family:
// a family (model/families) is a reader that fills these fields.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/json.h"
#include "model/formats/stored_dtype.h"

namespace cohort {

enum class Activation : uint8_t { silu, gelu_tanh };

// Frequencies of the rotary embedding (ops/rope.h). `linear` divides them by factor (Chen et al. 2023); `llama3` divides
// the low ones and blends in between (Llama 3.1's recipe, as transformers computes it).
struct RopeConfig {
  enum class Type : uint8_t { standard, linear, llama3 };
  Type type = Type::standard;
  float theta = 10000.0f;
  float factor = 1, low_freq_factor = 1, high_freq_factor = 4;
  int64_t original_max_positions = 8192;
  bool operator==(const RopeConfig&) const = default;
};

struct ModelConfig {
  std::string architecture = "LlamaForCausalLM", model_type = "llama";
  int64_t vocab_size = 0, hidden_size = 0, intermediate_size = 0, num_layers = 0;
  int64_t num_heads = 0, num_kv_heads = 0, head_size = 0, max_positions = 0;
  float rms_norm_eps = 1e-5f;
  bool tie_word_embeddings = false;
  StoredDType dtype = StoredDType::bf16;  // as config.json says; each tensor of the files says its own
  int32_t bos_token_id = -1, pad_token_id = -1;
  std::vector<int32_t> eos_token_ids;

  // What families differ in.
  bool qkv_bias = false, out_bias = false;  // of the attention's projections
  bool qk_norm = false;         // RMS norm of each head's queries and keys, before the rotation
  bool unit_offset_norm = false;  // norms multiply by 1 + gain
  bool sandwich_norms = false;  // norms also after attention and after the MLP, before the residual is added
  Activation activation = Activation::silu;
  float embedding_scale = 1;     // embeddings are multiplied by it
  float attention_scale = 0;     // of q k; 0: 1 / sqrt(head_size)
  float attention_softcap = 0;   // scores become cap tanh(score / cap); 0: off
  float logit_softcap = 0;       // the same for the head's logits
  // Local layers see `window` keys (themselves among them) and rotate by local_rope; the others see all and use rope.
  int64_t window = 0;
  std::vector<bool> local_layers;  // empty: none
  RopeConfig rope, local_rope;

  // Language models have 0 labels. A classifier (reward model) has one score in place of a head.
  int64_t num_labels = 0;

  bool is_local(int64_t layer) const { return !local_layers.empty() && local_layers[static_cast<size_t>(layer)]; }
  bool is_classifier() const { return num_labels > 0; }
};

// Reads and checks config.json, in the dialects of transformers 4 and 5. What cohort cannot run exactly (unknown families,
// other rotary scalings, quantisation, remote code) is refused by name, exit code 3.
ModelConfig parse_model_config(const Json& config, std::string_view where);
// The same from a folder; generation_config.json may name more stop tokens.
ModelConfig load_model_config(const std::filesystem::path& model_dir);
// The other way, for models that cohort makes itself (the Llama family).
Json model_config_json(const ModelConfig& config);

}  // namespace cohort
