// What the words directly before a value in running text make of it.
#pragma once

#include <cstddef>
#include <string_view>

namespace cohort::math {

enum class Lead {
  kPlain,
  kNear,    // "roughly", "about": it is near to the answer
  kDenied,  // "is not", "cannot be", "less than", "between 11 and", "twice": it is not the answer, and nothing says what is
  kPassed,  // ", not", "instead of", "rather than": what stands before these words is the answer
};

struct WordsBefore {
  Lead lead = Lead::kPlain;
  size_t begin = 0;  // where the words begin
};

// Of the value that begins at text[at].
WordsBefore words_before(std::string_view text, size_t at);

// Of the box that begins at text[at], whose value may well be what something is not ("x \ne \boxed{3}") or is near to: kDenied only where that
// is said of the answer ("it is not", "the answer cannot be"), and never kNear.
WordsBefore words_before_box(std::string_view text, size_t at);

}  // namespace cohort::math
