// What tokenizer.json says besides its vocabulary: which steps run. Anything else it could say is
// refused by name.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "model/text/added_tokens.h"
#include "model/text/bpe.h"
#include "model/text/decoder.h"
#include "model/text/normalizer.h"
#include "model/text/pretokenizer.h"

namespace cohort {

// Four times the largest published vocabulary; bounds the tables.
constexpr int64_t kMaxTokenId = (1 << 20) - 1;

struct TokenizerParts {
  std::vector<NormalizerStep> normalizer;
  PreTokenizer pre_tokenizer;
  BpeOptions model;
  std::vector<int32_t> prefix, suffix;  // what the post-processor adds
  DecoderSteps decoder;
  std::vector<AddedToken> added_tokens;
};

// `rest`: tokenizer.json without the vocabulary and merges. Errors: exit code 3, with the key and
// what is allowed.
TokenizerParts read_tokenizer_parts(const Json& rest, std::string_view where);

}  // namespace cohort
