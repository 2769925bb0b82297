// Weights of tokens by what they are: algorithm.token_weight_pattern and token_weight.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "model/exec.h"
#include "model/text/tokenizer.h"
#include "reward/pattern.h"
#include "trainer/config.h"
#include "trainer/packs.h"

namespace cohort {

// Of each token its bytes [begin, end) of decode(tokens, skip_special_tokens = true). Tokens that make one character together
// have its bytes each, and so have those of a run of byte tokens; a token without text, such as a special one, has none
// (begin = end). Where a tokenizer knows no part of a text before its end, all tokens have all of it.
struct TokenBytes {
  size_t begin = 0, end = 0;
};
std::vector<TokenBytes> bytes_of_tokens(std::span<const int32_t> tokens, const Tokenizer& tokenizer);

class TokenWeights {
 public:
  // Throws (exit code 2) where the pattern does not compile.
  explicit TokenWeights(const AlgorithmSection& algorithm);

  struct Shares {
    double within = 0;      // of all tokens, those within a match
    double unfinished = 0;  // of all completions, those whose matching was given up
  };
  // Sets Group::token_weights: token_weight where a byte of a token is within a match of the pattern in the completion's text,
  // else 1. Matches that are not empty are looked for one behind the other, within kMaxPatternSteps a completion: what is behind
  // those weighs 1.
  Shares set(std::span<Group> groups, const Tokenizer& tokenizer, const Exec& ex) const;

 private:
  struct Of {
    std::vector<float> weights;
    int64_t within = 0;
    bool finished = true;
  };
  Of of(const std::string& text, std::span<const int32_t> tokens, const Tokenizer& tokenizer) const;

  Pattern pattern_;
  float weight_;
};

}  // namespace cohort
