// ModelConfig: what config.json says of a model of the Llama family, checked.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/json.h"
#include "model/tensor.h"

namespace cohort {

struct ModelConfig {
  std::string architecture = "LlamaForCausalLM", model_type = "llama";
  int64_t vocab_size = 0, hidden_size = 0, intermediate_size = 0, num_layers = 0;
  int64_t num_heads = 0, num_kv_heads = 0, head_size = 0, max_positions = 0;
  float rope_theta = 10000.0f, rms_norm_eps = 1e-5f;
  bool tie_word_embeddings = false;
  DType dtype = DType::bf16;  // the checkpoint's
  int32_t bos_token_id = -1;
  std::vector<int32_t> eos_token_ids;
};

// Reads and checks config.json (both dialects of key names). What cohort cannot run exactly (rope scaling, attention
// bias, other architectures, quantisation, remote code) is refused by name, exit code 3.
ModelConfig parse_model_config(const Json& config, std::string_view where);
ModelConfig load_model_config(const std::filesystem::path& model_dir);
// The other way, for models that cohort makes itself.
Json model_config_json(const ModelConfig& config);

}  // namespace cohort
