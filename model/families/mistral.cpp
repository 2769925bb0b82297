// Mistral and Ministral: Llama's layers, in some versions with a sliding window in every layer.
#include "model/families/families.h"

namespace cohort {

void read_mistral(const ConfigReader& reader, ModelConfig& config) {
  reader.require_activation("hidden_act", "silu", {"silu", "swish"});
  config.rope = config.local_rope = reader.rope();
  // An absent key means transformers' default, 4096; null means no window.
  // transformers' Mistral gives every layer the window, whatever layer_types says.
  reader.refuse_if_set("layer_types");
  const bool off = reader.json().contains("sliding_window") && !reader.has("sliding_window");
  if (off) return;
  config.window = reader.integer_or("sliding_window", 1, int64_t{1} << 24, 4096);
  config.local_layers = std::vector<bool>(static_cast<size_t>(config.num_layers), true);
}

}  // namespace cohort
