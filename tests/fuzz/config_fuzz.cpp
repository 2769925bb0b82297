// Any bytes are either refused with exit code 3 or give a config whose parameters can be laid out.
#include <cstdlib>
#include <string_view>

#include "core/check.h"
#include "model/config.h"
#include "model/params.h"
#include "tests/fuzz/seeds.h"

using namespace cohort;

namespace {

// `type` and `name`: model_type and the architecture without the task; `more`: further keys.
std::string config_text(const std::string& type, const std::string& name, const std::string& more = "") {
  return R"({"model_type": ")" + type + R"(", "architectures": [")" + name +
         R"(ForCausalLM"], "vocab_size": 320, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 128,
            "rms_norm_eps": 1e-6, "bos_token_id": 1, "eos_token_id": [2, 3], "pad_token_id": null, "dtype": "bfloat16")" +
         more + "}";
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  write_seeds({config_text("llama", "Llama",
                           R"(, "rope_theta": 500000.0, "torch_dtype": "float16", "rope_scaling": {"rope_type": "llama3",
                              "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                              "original_max_position_embeddings": 64}, "tie_word_embeddings": true)"),
               config_text("llama", "Llama", R"(, "attention_bias": true, "mlp_bias": false, "pretraining_tp": 1)"),
               config_text("mistral", "Mistral", R"(, "sliding_window": null, "hidden_act": "silu")"),
               config_text("qwen2", "Qwen2", R"(, "use_sliding_window": false, "sliding_window": 64, "max_window_layers": 2)"),
               config_text("qwen3", "Qwen3", R"(, "rope_parameters": {"rope_type": "default", "rope_theta": 1000000})"),
               config_text("gemma2", "Gemma2",
                           R"(, "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0, "sliding_window": 16,
                              "query_pre_attn_scalar": 16, "hidden_activation": "gelu_pytorch_tanh")"),
               config_text("gemma3_text", "Gemma3",
                           R"(, "rope_local_base_freq": 10000.0, "sliding_window": 16, "sliding_window_pattern": 2,
                              "layer_types": ["sliding_attention", "full_attention"])"),
               R"({"model_type": "llama", "quantization_config": {"bits": 4}, "auto_map": {"AutoModel": "x.Y"}})"});
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const ModelConfig config = parse_model_config(parse_json(text, "fuzz"), "fuzz");
    if (config.num_layers > 64) return 0;  // the table of thousands of layers is slow, not wrong
    const ParamTable table = make_param_table(config, 8);
    int64_t end = 0;
    for (const ParamEntry& entry : table.entries) {
      if (entry.size() <= 0 || entry.offset < end) std::abort();
      end = entry.offset + entry.size();
    }
    if (end > table.size || table.size % 8 != 0) std::abort();
  } catch (const Error& error) {
    if (error.code() != ExitCode::kInput) std::abort();
  }
  return 0;
}
