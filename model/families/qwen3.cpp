// Qwen 3 (dense): no bias, an RMS norm on each head's queries and keys, head_dim apart from hidden_size / heads.
#include "model/families/families.h"
#include "model/families/qwen.h"

namespace cohort {

void read_qwen3(const ConfigReader& reader, ModelConfig& config) {
  reader.require_activation("hidden_act", "silu", {"silu", "swish"});
  config.qkv_bias = config.out_bias = reader.flag_or("attention_bias", false);
  config.qk_norm = true;
  config.rope = reader.rope();
  read_qwen_window(reader, config);
}

}  // namespace cohort
