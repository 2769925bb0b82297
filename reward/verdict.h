// A score with its reason, or why there is none.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace cohort {

enum class Missing : uint8_t {
  row,      // the row cannot be judged: a column is missing or cannot be read
  timeout,  // the score was not there at its deadline
  error,    // the checker failed
};

struct Verdict {
  std::optional<double> score;  // nothing: left out of the group and counted, as `missing` says
  std::string reason;           // for people: what was found and why that gives the score; may be empty
  Missing missing = Missing::row;
  int outcome = -1;  // how it ended in the reward's own words, Reward::outcome_names; -1: it has none
};

}  // namespace cohort
