// Gemma 1, 2 and 3 (text): embeddings scaled by sqrt(C), norms with 1 + gain, GeGLU; 2 and 3 add norms after attention
// and MLP and local layers, 2 soft-caps scores and logits, 3 norms queries and keys and rotates local layers otherwise.
#include <cmath>

#include "core/check.h"
#include "model/families/families.h"

namespace cohort {
namespace {

void read_common(const ConfigReader& reader, ModelConfig& config) {
  reader.refuse_if_set("use_bidirectional_attention", "false");
  config.qkv_bias = config.out_bias = reader.flag_or("attention_bias", false);
  config.unit_offset_norm = true;
  config.activation = Activation::gelu_tanh;
  config.embedding_scale = std::sqrt(static_cast<float>(config.hidden_size));
}

void read_sandwich(const ConfigReader& reader, ModelConfig& config) {
  read_common(reader, config);
  reader.require_activation("hidden_activation", "gelu_pytorch_tanh", {"gelu_pytorch_tanh"});
  config.sandwich_norms = true;
  const double scalar = reader.number_or("query_pre_attn_scalar", 256);
  CHECK_INPUT(scalar > 0 && scalar < 1e9, "{}: query_pre_attn_scalar is {}, must be positive", reader.where(), scalar);
  config.attention_scale = static_cast<float>(1.0 / std::sqrt(scalar));
}

}  // namespace

void read_gemma(const ConfigReader& reader, ModelConfig& config) {
  read_common(reader, config);
  // Early files say "gelu" and mean the tanh approximation, as transformers reads them.
  reader.require_activation("hidden_act", "gelu_pytorch_tanh", {"gelu_pytorch_tanh", "gelu"});
  if (reader.has("hidden_activation"))
    reader.require_activation("hidden_activation", "gelu_pytorch_tanh", {"gelu_pytorch_tanh"});
  config.rope = reader.rope();
}

void read_gemma2(const ConfigReader& reader, ModelConfig& config) {
  read_sandwich(reader, config);
  config.attention_softcap = reader.positive_or_off("attn_logit_softcapping", 50.0);
  config.logit_softcap = reader.positive_or_off("final_logit_softcapping", 30.0);
  config.rope = config.local_rope = reader.rope();
  config.window = reader.integer_or("sliding_window", 1, int64_t{1} << 24, 4096);
  config.local_layers = reader.local_layers(config.num_layers, [](int64_t layer) { return layer % 2 == 0; });
}

void read_gemma3(const ConfigReader& reader, ModelConfig& config) {
  read_sandwich(reader, config);
  // transformers has the key but never applies it.
  reader.refuse_if_set("attn_logit_softcapping", "null");
  config.logit_softcap = reader.positive_or_off("final_logit_softcapping", 0);
  config.qk_norm = true;
  const int64_t pattern = reader.integer_or("sliding_window_pattern", 1, 4096, 6);
  config.window = reader.integer_or("sliding_window", 1, int64_t{1} << 24, 4096);
  config.local_layers =
      reader.local_layers(config.num_layers, [&](int64_t layer) { return (layer + 1) % pattern != 0; });

  // transformers 5 nests one rotation for each type of layer; before, only the global one could be scaled.
  const double theta = reader.number_or("rope_theta", 1e6), local_theta = reader.number_or("rope_local_base_freq", 1e4);
  reader.refuse_two_ropes();
  if (reader.has("rope_parameters")) {
    const Json& parameters = reader.json()["rope_parameters"];
    CHECK_INPUT(parameters.is_object() && parameters.contains("full_attention") &&
                    parameters.contains("sliding_attention"),
                "{}: rope_parameters must have full_attention and sliding_attention", reader.where());
    config.rope = reader.rope_of(parameters["full_attention"], "rope_parameters.full_attention", theta);
    config.local_rope = reader.rope_of(parameters["sliding_attention"], "rope_parameters.sliding_attention", local_theta);
    return;
  }
  const Json scaling = reader.has("rope_scaling") ? reader.json()["rope_scaling"] : Json::object();
  // transformers looks for rope_type alone here, and would not scale.
  if (scaling.contains("type") && !scaling.contains("rope_type")) reader.refuse("rope_scaling", scaling, "rope_type in place of type");
  config.rope = reader.rope_of(scaling, "rope_scaling", theta);
  config.local_rope = reader.rope_of(Json::object(), "rope_local_base_freq", local_theta);
}

}  // namespace cohort
