// A score with its reason.
#pragma once

#include <optional>
#include <string>

namespace cohort {

struct Verdict {
  std::optional<double> score;  // nothing when the row cannot be judged
  std::string reason;           // for people: what was found and why that gives the score; may be empty
};

}  // namespace cohort
