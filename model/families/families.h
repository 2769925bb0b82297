// The model families: which config.json belongs to which, and how it is read. docs/adding-a-model.md walks through it.
#pragma once

#include <span>
#include <string_view>

#include "model/config_reader.h"

namespace cohort {

struct Family {
  std::string_view model_type;    // of config.json
  std::string_view architecture;  // without the task: "Llama" of LlamaForCausalLM, LlamaForSequenceClassification
  // Fills what the family decides; sizes, dtype and token ids are there already.
  void (*read)(const ConfigReader& reader, ModelConfig& config);
  // transformers leaves out of config.json what equals its own default.
  bool tied_by_default = false;
  int64_t default_head_size = 0;  // 0: hidden_size / num_attention_heads
  int64_t default_kv_heads = 0;   // 0: num_attention_heads
  std::string_view classifier = "";  // the architecture's name for classifiers, where it is another one
};

std::span<const Family> families();

// One file each.
void read_llama(const ConfigReader& reader, ModelConfig& config);
void read_mistral(const ConfigReader& reader, ModelConfig& config);
void read_qwen2(const ConfigReader& reader, ModelConfig& config);
void read_qwen3(const ConfigReader& reader, ModelConfig& config);
void read_gemma(const ConfigReader& reader, ModelConfig& config);
void read_gemma2(const ConfigReader& reader, ModelConfig& config);
void read_gemma3(const ConfigReader& reader, ModelConfig& config);

}  // namespace cohort
