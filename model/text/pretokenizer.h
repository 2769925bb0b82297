// Cuts text into the pieces that byte-pair encoding works on, by hand-written scanners over Unicode
// categories.
//
// The categories are utf8proc's (2.8: Unicode 15.0). A letter or number that Unicode added later
// counts as neither; around it the pieces can differ from those of a newer `tokenizers` package.
#pragma once

#include <string_view>
#include <vector>

namespace cohort {

struct PreTokenizer {
  // The Digits step: numeric characters (categories Nd, Nl, No) are cut out one by one, or run by
  // run.
  enum class Digits { kNone, kIndividual, kRuns };
  // The pattern that cuts what lies between.
  //   kGpt2: 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
  enum class Pattern { kNone, kGpt2 };
  Digits digits = Digits::kNone;
  Pattern pattern = Pattern::kNone;
};

// Appends the pieces of `text` (valid UTF-8), in order and without gaps, to `pieces`. Linear time,
// no recursion.
void pre_tokenize(std::string_view text, const PreTokenizer& how,
                  std::vector<std::string_view>& pieces);

}  // namespace cohort
