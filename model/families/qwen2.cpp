// Qwen 2 and 2.5, DeepSeek-R1-Distill-Qwen: Llama's layers with a bias on the queries, keys and values.
#include "model/families/families.h"
#include "model/families/qwen.h"

namespace cohort {

void read_qwen_window(const ConfigReader& reader, ModelConfig& config) {
  config.local_rope = config.rope;
  const bool windows = reader.flag_or("use_sliding_window", false) && reader.has("sliding_window");
  const int64_t first_local = reader.integer_or("max_window_layers", 0, 4096, 28);
  const std::vector<bool> local =
      reader.local_layers(config.num_layers, [&](int64_t layer) { return windows && layer >= first_local; });
  for (const bool layer : local) {
    if (!layer) continue;
    if (!windows) reader.refuse("layer_types", "sliding_attention", "full_attention without use_sliding_window");
    config.window = reader.integer("sliding_window", 1, int64_t{1} << 24);
    config.local_layers = local;
  }
}

void read_qwen2(const ConfigReader& reader, ModelConfig& config) {
  reader.require_activation("hidden_act", "silu", {"silu", "swish"});
  config.qkv_bias = true;
  config.rope = reader.rope();
  read_qwen_window(reader, config);
}

}  // namespace cohort
