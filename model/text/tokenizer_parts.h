// What tokenizer.json says besides its vocabulary: which steps run. Anything else it could say is
// refused by name.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "model/text/added_tokens.h"
#include "model/text/pretokenizer.h"

namespace cohort {

// Four times the largest published vocabulary; bounds the tables.
constexpr int64_t kMaxTokenId = (1 << 20) - 1;

struct TokenizerParts {
  bool nfc = false;  // the normalizer
  PreTokenizer pre_tokenizer;
  std::vector<int32_t> prefix, suffix;  // what the post-processor adds
  std::vector<AddedToken> added_tokens;
  std::string unk_token;       // "" when there is none
  bool ignore_merges = false;  // a piece that is a token as a whole is not merged step by step
};

// `rest`: tokenizer.json without the vocabulary and merges. Errors: exit code 3, with the key and
// what is allowed.
TokenizerParts read_tokenizer_parts(const Json& rest, std::string_view where);

}  // namespace cohort
