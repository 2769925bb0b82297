// A GGUF file of the llama architecture, as a Hugging Face model: its config, and which tensor
// becomes which.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/json.h"
#include "model/formats/gguf_file.h"
#include "model/formats/gguf_tokenizer.h"
#include "model/tensor.h"

namespace cohort {

struct LlamaWeight {
  std::string name;  // Hugging Face's
  std::string_view gguf_name;
  const GgufTensor* tensor;
  // Of a weight whose rows llama.cpp reordered for its rotary embedding (attn_q, attn_k), else 0.
  int64_t heads = 0;
};

struct LlamaImport {
  Json config, generation_config;
  std::vector<LlamaWeight> weights;  // every tensor of the file, once
};

// Refused with exit code 3: other architectures, split files, adapters, llama.* keys that cohort
// does not know or does not compute (rope scaling, experts), tensors missing, left over or of other
// shapes than the keys say.
LlamaImport plan_llama_import(const GgufFile& file, const GgufTokenizer& tokenizer);

// Decodes the weight row by row, in Hugging Face's order of rows, into bf16 (round to nearest
// even), and hands over pieces of whole rows. A value that is not finite, or not in bf16, is
// refused with exit code 3.
void decode_weight(const LlamaWeight& weight, std::string_view where,
                   const std::function<void(std::span<const bf16>)>& take);

}  // namespace cohort
