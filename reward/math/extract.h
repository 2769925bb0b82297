// Finds the answer in a completion, and in the text of a gold column.
#pragma once

#include <string>
#include <string_view>

namespace cohort::math {

enum class Source {
  kNone,
  kBox,      // the last \boxed or \fbox; boxes with only "and", "or" or a comma between them are one list
  kHashes,   // "#### 42", as GSM8K writes it
  kTags,     // the last <answer>...</answer>
  kPhrase,   // "the answer is ...", "Answer: ..."
  kFormula,  // flexible: the last formula in $...$, \(...\) or \[...\], or what its last line says
  kLast,     // flexible: the last number or expression in the text
  kWhole,    // gold only: all of it
};

struct Extracted {
  std::string text;  // "" when there is none
  Source source = Source::kNone;
  bool formula = false;  // it stood between signs of a formula ($...$), which `text` lacks
};

const char* source_name(Source source);

// Only what follows the last </think> is looked at, when there is such a tag. Linear in the text. Strict: boxes,
// hashes, tags and phrases. Flexible: also the last formula or number, whichever comes later. One candidate is chosen
// by these rules alone, before anything is compared: a completion that names many numbers gains nothing.
Extracted extract_answer(std::string_view completion, bool flexible);

// A gold column may hold the bare answer, or a whole solution with a box or "####".
Extracted extract_gold(std::string_view gold);

}  // namespace cohort::math
