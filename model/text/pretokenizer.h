// Cuts text into the pieces that byte-pair encoding works on: the steps of tokenizer.json's
// pre_tokenizer, one after another.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "model/text/split_pattern.h"

namespace cohort {

// What becomes of the stretches that a pattern matches: pieces of their own, dropped, joined to the
// piece before or after them, or one piece with their like neighbours.
enum class SplitBehavior { kIsolated, kRemoved, kMergedWithPrevious, kMergedWithNext, kContiguous };

struct PreTokenizerStep {
  enum class Kind {
    kSplit,       // by `pattern`, `behavior`, `invert`
    kDigits,      // kIsolated: each numeric character, kContiguous: each run of them
    kMetaspace,   // ' ' becomes `replacement`; a prefix by `scheme`; a piece begins at each of them
    kByteLevel,   // a space is put before each piece that has none (prefix_space); `pattern` cuts
    kWhitespace,  // runs of word characters, runs of others; white space is dropped
    kWhitespaceSplit,  // white space is dropped
  };
  enum class Scheme { kAlways, kFirst, kNever };

  Kind kind = Kind::kSplit;
  SplitBehavior behavior = SplitBehavior::kIsolated;
  bool invert = false;
  std::shared_ptr<const SplitPattern> pattern;
  std::string replacement;
  Scheme scheme = Scheme::kAlways;
  bool split = true;
  bool prefix_space = false;
};

struct PreTokenizer {
  std::vector<PreTokenizerStep> steps;
  bool byte_level = false;  // the pieces are spelled in GPT-2's byte alphabet (byte_level.h)
};

// Appends the pieces of `text` (valid UTF-8), in order, to `pieces`; they point into `text` or into
// strings added to `arena`. starts_text: the text to encode begins here. Linear time but for what
// patterns need.
void pre_tokenize(std::string_view text, bool starts_text, const PreTokenizer& how,
                  std::deque<std::string>& arena, std::vector<std::string_view>& pieces);

}  // namespace cohort
