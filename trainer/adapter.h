// A run that trains a LoRA adapter (model.lora): what is trained, where it begins, what is saved of it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "model/lora.h"
#include "trainer/config.h"
#include "trainer/model_files.h"

namespace cohort {

LoraConfig lora_config(const LoraSection& section);

// Of what a run of the config trains: all weights, or the adapter's A and B, which are float32.
ParamTable trained_table(const ModelConfig& model, const Config& config);
DType trained_dtype(const Config& config, DType weights);

// With model.lora the policy is from now on a base with a new adapter; else nothing changes. Whoever trains a policy calls it before
// it makes the optimizer. Returns what there is to say of it, or nothing.
std::string start_adapter(Policy& policy, const Config& config, const Exec& ex);

// Writes an adapter folder that peft loads, with the tokenizer and templates of the model. `base`: the name of its base.
void save_adapter(const LoraAdapter& lora, const ModelFiles& files, const std::string& base, const std::filesystem::path& dir);

// What save_model writes where the policy's weights are roundings of what the files of `source` hold: those files' own numbers, but
// for the adapter's targets, which are as the policy has them.
std::vector<float> merged_masters(const Policy& policy, const std::filesystem::path& source);

}  // namespace cohort
