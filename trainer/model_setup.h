// Everything a command needs of a model: policy, tokenizer, template; from a Hugging Face folder or made from the config.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "model/policy.h"
#include "model/text/chat_template.h"
#include "model/text/tokenizer.h"
#include "trainer/config.h"

namespace cohort {

struct LoadedModel {
  std::unique_ptr<Policy> policy;
  Tokenizer tokenizer;
  ChatTemplate chat_template;
  std::filesystem::path source;  // the folder its config and tokenizer files came from
};

// dtype: auto (the checkpoint's) | float32 | bfloat16.    shards: logical ranks (1 for inference)
LoadedModel load_model(const std::filesystem::path& model_dir, const std::string& dtype, int64_t shards, const Exec& ex);

// Writes config.json and the tokenizer's files of a from-scratch model into `dir` (a byte-level tokenizer with the special
// token <|endoftext|> as EOS), so that it is a model folder like any other, but for its weights.
void write_initial_model(const ModelInitConfig& init, const std::string& dtype, const std::filesystem::path& dir);

// A fresh policy for a folder written by write_initial_model; weights are a function of `seed`.
LoadedModel init_model(const std::filesystem::path& dir, const std::string& dtype, int64_t shards, uint64_t seed,
                       const Exec& ex);

// Writes a Hugging Face folder: config and tokenizer files byte for byte as they stand in `source`, the weights as
// model.safetensors in the checkpoint's dtype. Out of space: exit code 6.
void save_model(const Policy& policy, const std::filesystem::path& source, const std::filesystem::path& dir);

// What ends a completion: the EOS tokens of the model's config, and the tokenizer's.
std::vector<int32_t> stop_tokens(const LoadedModel& model);

}  // namespace cohort
