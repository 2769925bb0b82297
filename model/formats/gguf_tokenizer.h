// The tokenizer inside a GGUF file, as the files that Hugging Face keeps it in.
#pragma once

#include <string>

#include "model/formats/gguf_file.h"

namespace cohort {

struct GgufTokenizer {
  int64_t vocab_size = 0;
  std::string tokenizer_json, tokenizer_config_json;
  // Ids, -1 where the file names none.
  int64_t bos = -1, eos = -1, unk = -1, pad = -1;
};

// Byte-level BPE only. Refused with exit code 3: other models, pre-tokenizers that are not known
// exactly (by name), kinds of tokens that BPE does not have, tokens or merges that stand twice,
// merges of parts outside the vocabulary.
GgufTokenizer convert_gguf_tokenizer(const GgufFile& file);

}  // namespace cohort
