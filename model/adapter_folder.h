// A LoRA adapter as PEFT stores it: a folder with adapter_config.json and adapter_model.safetensors, which names its base model.
#pragma once

#include <filesystem>
#include <string>

#include "model/lora.h"

namespace cohort {

struct AdapterConfig {
  LoraConfig lora;       // target_modules: those that it names plainly
  std::string base;      // base_model_name_or_path, perhaps empty
  bool partial = false;  // not each of its modules is in every layer
};

// It has an adapter_config.json and no config.json of a whole model.
bool is_adapter_folder(const std::filesystem::path& dir);
// Exit code 3, naming file, key and what is allowed, for all but plain LoRA: DoRA, trained biases or modules, ranks by pattern,
// an init that changes the base, ...; and for a key that is not known and not off.
AdapterConfig read_adapter_config(const std::filesystem::path& dir);
// The folder of the base model: `given`, or what the config names, relative to the working directory or, where that is not
// there, to the adapter's folder. Exit code 3 where it names none that is there.
std::filesystem::path adapter_base(const std::filesystem::path& dir, const AdapterConfig& config, const std::filesystem::path& given);

// What its tensors adapt in a base of that config. Exit code 3, naming the tensor, for what is missing, unknown or of another shape.
// Reads headers only.
LoraLayout check_adapter(const ModelConfig& base, const std::filesystem::path& dir, const AdapterConfig& config);
// Adds the adapter to the weights of its base, each rounded once (ops/merge.h): the very weights that a policy with this adapter
// computes with. Refuses what check_adapter does, and numbers that are not finite.
void merge_adapter(Policy& policy, const std::filesystem::path& dir, const AdapterConfig& config, const Exec& ex);

// Writes the two files in float32; `base`: base_model_name_or_path. Out of space: exit code 6; a number that is not finite: exit code 5.
void write_adapter(const LoraAdapter& lora, const std::string& base, const std::filesystem::path& dir);

}  // namespace cohort
