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
  EXPECT_EQ(old.rope.theta, 100000.0f);
  EXPECT_EQ(old.dtype, StoredDType::bf16);
  EXPECT_TRUE(old.tie_word_embeddings);
  EXPECT_EQ(old.eos_token_ids, std::vector<int32_t>{2});
  Json today = smollm2();
  today.erase("rope_theta"), today.erase("rope_scaling"), today.erase("torch_dtype");
  today["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 100000.0}};
  today["dtype"] = "bfloat16";
  today["eos_token_id"] = {2, 0};
  const ModelConfig now = parse_model_config(today, "config.json");
  EXPECT_EQ(now.rope.theta, old.rope.theta);
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
  refused("model_type", "gpt2", "allowed: llama, mistral, qwen2, qwen3, gemma, gemma2, gemma3_text");
  refused("model_type", "qwen2", "[Qwen2ForCausalLM] or [Qwen2ForSequenceClassification]");
  refused("architectures", {"MistralForCausalLM"}, "MistralForCausalLM");
  refused("architectures", {"LlamaForCausalLM", "LlamaForCausalLM"}, "allowed: [LlamaForCausalLM]");
  refused("architectures", "LlamaForCausalLM", "allowed: [LlamaForCausalLM]");
  refused("architectures", {"LlamaForSequenceClassification"}, "with 2 labels");
  refused("rope_scaling", {{"rope_type", "llama3"}, {"factor", 8.0}}, "low_freq_factor");
  refused("rope_scaling", {{"rope_type", "llama3"}, {"factor", 8.0}, {"low_freq_factor", 4.0}, {"high_freq_factor", 4.0}},
          "must exceed low_freq_factor");
  refused("rope_scaling", {{"type", "linear"}}, "factor");
  refused("rope_scaling", {{"type", "linear"}, {"factor", 0.0}}, "factor is 0, must be positive");
  refused("rope_scaling", {{"type", "dynamic"}, {"factor", 2.0}}, "default, linear, llama3");
  refused("rope_scaling", "linear", "rope_scaling must be an object");
  refused("rope_parameters", {{"rope_type", "yarn"}}, "rope_parameters");
  refused("attention_bias", 1, "attention_bias");
  refused("pad_token_id", 50000, "pad_token_id");
  refused("tie_word_embeddings", "yes", "tie_word_embeddings");
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
  refused("head_dim", 20, "multiple of 16");
  refused("max_position_embeddings", 0, "max_position_embeddings");
  Json missing = smollm2();
  missing.erase("hidden_size");
  EXPECT_ERROR(parse_model_config(missing, "c"), kInput, "'hidden_size' is missing");
  EXPECT_ERROR(parse_model_config(Json::array(), "c"), kInput, "expected an object");
  EXPECT_ERROR(load_model_config("/nonexistent/model"), kInput, "no such model folder");
}

TEST(ModelConfig, TwoRotationsInOneFileMustAgree) {
  Json config = smollm2();
  config["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 1e6}};
  EXPECT_EQ(parse_model_config(config, "c").rope.theta, 1e6f) << "rope_scaling is null";
  config["rope_scaling"] = {{"rope_type", "yarn"}, {"factor", 4.0}};
  EXPECT_ERROR(parse_model_config(config, "c"), kInput, "rope_scaling and rope_parameters say different things");
  Json long_context = smollm2();
  long_context["rope_scaling"] = {{"rope_type", "llama3"}, {"factor", 8.0}, {"low_freq_factor", 1.0},
                                  {"high_freq_factor", 4.0}, {"original_max_position_embeddings", 4096}};
  EXPECT_EQ(parse_model_config(long_context, "c").rope.original_max_positions, 4096);
  long_context["original_max_position_embeddings"] = 2048;  // as transformers reads it
  EXPECT_EQ(parse_model_config(long_context, "c").rope.original_max_positions, 2048);
}

TEST(ModelConfig, WithoutArchitecturesItIsTheFamilysLanguageModel) {
  Json config = smollm2();
  config["architectures"] = Json::array();
  EXPECT_ERROR(parse_model_config(config, "c"), kInput, "c: architectures: [] is not supported; allowed: [LlamaForCausalLM]");
  config["architectures"] = nullptr;
  EXPECT_EQ(parse_model_config(config, "c").architecture, "LlamaForCausalLM");
  config.erase("architectures");
  EXPECT_EQ(parse_model_config(config, "c").architecture, "LlamaForCausalLM");
}

// A config.json of each family as its model publishes it, reduced to what differs from Llama's.
Json family(const char* model_type, const char* architecture, const Json& keys) {
  Json config = smollm2();
  config["model_type"] = model_type;
  config["architectures"] = {architecture};
  config.erase("rope_scaling"), config.erase("attention_bias"), config.erase("pretraining_tp");
  for (const auto& [key, value] : keys.items()) config[key] = value;
  return config;
}

TEST(ModelConfig, QwenWindowsOnlyWhereItSaysSo) {
  const Json keys = {{"use_sliding_window", false}, {"sliding_window", 32768}, {"max_window_layers", 21}};
  const ModelConfig off = parse_model_config(family("qwen2", "Qwen2ForCausalLM", keys), "c");
  EXPECT_TRUE(off.qkv_bias && !off.out_bias && off.local_layers.empty());
  Json on = keys;
  on["use_sliding_window"] = true;
  const ModelConfig some = parse_model_config(family("qwen3", "Qwen3ForCausalLM", on), "c");
  EXPECT_TRUE(some.qk_norm && !some.qkv_bias && !some.is_local(20) && some.is_local(21));
  EXPECT_EQ(some.window, 32768);
  Json contradiction = keys;
  contradiction["layer_types"] = Json::array();
  for (int i = 0; i < 30; ++i) contradiction["layer_types"].push_back("sliding_attention");
  EXPECT_ERROR(parse_model_config(family("qwen2", "Qwen2ForCausalLM", contradiction), "c"), kInput, "layer_types");
  contradiction["layer_types"] = {"full_attention"};
  EXPECT_ERROR(parse_model_config(family("qwen2", "Qwen2ForCausalLM", contradiction), "c"), kInput,
               "layer_types must list the 30 layers, found 1 entries");
}

TEST(ModelConfig, MistralsWindowIsOffWhenNull) {
  const Json null = {{"sliding_window", nullptr}};
  EXPECT_TRUE(parse_model_config(family("mistral", "MistralForCausalLM", null), "c").local_layers.empty());
  const ModelConfig by_default = parse_model_config(family("mistral", "MistralForCausalLM", Json::object()), "c");
  EXPECT_TRUE(by_default.window == 4096 && by_default.is_local(0) && by_default.is_local(29));
  EXPECT_ERROR(parse_model_config(family("mistral", "MistralForCausalLM", {{"layer_types", {"full_attention"}}}), "c"),
               kInput, "layer_types");
}

TEST(ModelConfig, GemmaIsTiedAndCappedByDefault) {
  Json keys = {{"hidden_activation", "gelu_pytorch_tanh"}, {"hidden_act", "gelu_pytorch_tanh"}, {"head_dim", 256}};
  Json two = family("gemma2", "Gemma2ForCausalLM", keys);
  two.erase("tie_word_embeddings");
  const ModelConfig m = parse_model_config(two, "c");
  EXPECT_TRUE(m.tie_word_embeddings && m.sandwich_norms && m.unit_offset_norm && !m.qk_norm);
  EXPECT_EQ(m.attention_softcap, 50.0f);
  EXPECT_EQ(m.logit_softcap, 30.0f);
  EXPECT_EQ(m.attention_scale, 1.0f / 16);
  EXPECT_TRUE(m.is_local(0) && !m.is_local(1));
  two["attn_logit_softcapping"] = nullptr;
  EXPECT_EQ(parse_model_config(two, "c").attention_softcap, 0.0f);
  two["attn_logit_softcapping"] = -1.0;
  EXPECT_ERROR(parse_model_config(two, "c"), kInput, "attn_logit_softcapping is -1, must be positive");
  const auto refused = [&](const char* key, const Json& value, const char* words) {
    Json config = family("gemma3_text", "Gemma3ForCausalLM", keys);
    config[key] = value;
    EXPECT_ERROR(parse_model_config(config, "c"), kInput, words);
  };
  refused("attn_logit_softcapping", 50.0, "attn_logit_softcapping");
  refused("use_bidirectional_attention", true, "use_bidirectional_attention");
  refused("hidden_activation", "gelu", "gelu_pytorch_tanh");
  refused("query_pre_attn_scalar", 0, "query_pre_attn_scalar");
  refused("rope_parameters", {{"rope_type", "default"}}, "full_attention and sliding_attention");
  refused("rope_scaling", {{"type", "linear"}, {"factor", 8.0}}, "rope_type in place of type");
}

}  // namespace
}  // namespace cohort
