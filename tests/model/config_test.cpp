// config.json: both dialects, and what cohort cannot run exactly is refused by name.
#include "model/config.h"

#include <gtest/gtest.h>

#include "tests/core/expect_error.h"

namespace cohort {
namespace {

Json smollm2() {
  return parse_json(R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 49152, "hidden_size": 576,
    "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
    "max_position_embeddings": 8192, "rms_norm_eps": 1e-05, "rope_theta": 100000, "rope_scaling": null, "hidden_act": "silu",
    "tie_word_embeddings": true, "torch_dtype": "bfloat16", "bos_token_id": 1, "eos_token_id": 2, "attention_bias": false,
    "pretraining_tp": 1, "use_cache": true, "transformers_version": "4.42.3"})", "config.json");
}

TEST(ModelConfig, ReadsBothDialects) {
  const ModelConfig old = parse_model_config(smollm2(), "config.json");
  EXPECT_EQ(old.head_size, 64);
  EXPECT_EQ(old.num_kv_heads, 3);
  EXPECT_EQ(old.rope_theta, 100000.0f);
  EXPECT_EQ(old.dtype, DType::bf16);
  EXPECT_TRUE(old.tie_word_embeddings);
  EXPECT_EQ(old.eos_token_ids, std::vector<int32_t>{2});
  Json today = smollm2();
  today.erase("rope_theta"), today.erase("rope_scaling"), today.erase("torch_dtype");
  today["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 100000.0}};
  today["dtype"] = "bfloat16";
  today["eos_token_id"] = {2, 0};
  const ModelConfig now = parse_model_config(today, "config.json");
  EXPECT_EQ(now.rope_theta, old.rope_theta);
  EXPECT_EQ(now.dtype, old.dtype);
  EXPECT_EQ(now.eos_token_ids, (std::vector<int32_t>{2, 0}));
}

TEST(ModelConfig, WhatItWritesItReads) {
  ModelConfig config = parse_model_config(smollm2(), "config.json");
  config.rms_norm_eps = 1.3e-5f;
  const ModelConfig again = parse_model_config(model_config_json(config), "again");
  EXPECT_EQ(dump_json(model_config_json(again)), dump_json(model_config_json(config)));
  EXPECT_EQ(again.rms_norm_eps, config.rms_norm_eps);
}

TEST(ModelConfig, RefusesByName) {
  const auto refused = [](const char* key, const Json& value, const char* words) {
    Json config = smollm2();
    config[key] = value;
    EXPECT_ERROR(parse_model_config(config, "dir/config.json"), kInput, words);
    EXPECT_ERROR(parse_model_config(config, "dir/config.json"), kInput, "dir/config.json");
  };
  refused("model_type", "qwen2", "qwen2");
  refused("architectures", {"MistralForCausalLM"}, "MistralForCausalLM");
  refused("rope_scaling", {{"rope_type", "llama3"}, {"factor", 8.0}}, "rope_scaling");
  refused("rope_parameters", {{"rope_type", "yarn"}}, "rope_parameters");
  refused("attention_bias", true, "attention_bias");
  refused("mlp_bias", true, "mlp_bias");
  refused("hidden_act", "gelu", "hidden_act");
  refused("quantization_config", {{"bits", 4}}, "quantization_config");
  refused("auto_map", {{"AutoModel", "x.py"}}, "auto_map");
  refused("sliding_window", 4096, "sliding_window");
  refused("attention_dropout", 0.1, "attention_dropout");
  refused("partial_rotary_factor", 0.5, "partial_rotary_factor");
  refused("pretraining_tp", 2, "pretraining_tp");
  refused("vocab_size", 0, "vocab_size");
  refused("vocab_size", -5, "vocab_size");
  refused("hidden_size", 1e9, "hidden_size");
  refused("hidden_size", int64_t{1} << 40, "hidden_size");
  refused("hidden_size", 577, "hidden_size 577");
  refused("intermediate_size", 1530, "multiples of 16");
  refused("num_key_value_heads", 4, "9 attention heads");
  refused("head_dim", 63, "head size 63");
  refused("head_dim", 512, "head size 512");
  refused("torch_dtype", "int8", "int8");
  refused("rms_norm_eps", 0.0, "rms_norm_eps");
  refused("rope_theta", -1.0, "rope_theta");
  refused("eos_token_id", 49152, "eos_token_id");
  Json missing = smollm2();
  missing.erase("hidden_size");
  EXPECT_ERROR(parse_model_config(missing, "c"), kInput, "'hidden_size' is missing");
  EXPECT_ERROR(parse_model_config(Json::array(), "c"), kInput, "expected an object");
  EXPECT_ERROR(load_model_config("/nonexistent/model"), kInput, "no such model folder");
}

}  // namespace
}  // namespace cohort
