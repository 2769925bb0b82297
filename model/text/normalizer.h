// The normalizer of tokenizer.json: steps that rewrite the text before it is cut into pieces.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/text/added_tokens.h"
#include "model/text/split_pattern.h"
#include "model/text/unicode.h"

namespace cohort {

struct NormalizerStep {
  enum class Kind { kForm, kPrepend, kReplace, kStrip, kLowercase };
  Kind kind = Kind::kForm;
  NormalForm form = NormalForm::kNfc;
  std::string text;                             // kPrepend: put before a text that is not empty
  std::shared_ptr<const SplitPattern> pattern;  // kReplace: each match becomes `text`
  bool left = false, right = false;             // kStrip: white space at the ends
};

struct NormalizedText {
  std::string text;
  std::vector<Guard> guards;  // ascending
  bool keeps_first = true;    // false: characters at the very start were removed
};

// text: valid UTF-8; guards: ascending, inside it; a step may spread one over what it rewrote. A
// text that the steps make more than 64 times as long is refused (exit code 3).
NormalizedText normalize(std::string_view text, std::span<const NormalizerStep> steps,
                         std::vector<Guard> guards);

}  // namespace cohort
