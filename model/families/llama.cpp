// Llama 1 to 3.2, SmolLM2, DeepSeek-R1-Distill-Llama.
#include "model/families/families.h"

namespace cohort {

void read_llama(const ConfigReader& reader, ModelConfig& config) {
  reader.require_activation("hidden_act", "silu", {"silu", "swish"});
  reader.refuse_if_set("mlp_bias", "false");
  if (reader.integer_or("pretraining_tp", 1, 1024, 1) != 1)
    reader.refuse("pretraining_tp", reader.json()["pretraining_tp"], "1");
  reader.refuse_if_set("sliding_window");
  config.qkv_bias = config.out_bias = reader.flag_or("attention_bias", false);
  config.rope = reader.rope();
}

}  // namespace cohort
