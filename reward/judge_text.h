// What a judge is asked, and what its answer says: texts alone, without the model (docs/reward-models.md).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reward/reward.h"

namespace cohort {

// A text with places for what is judged: {prompt}, {completion} and {NAME} of a data column; {{ and }} are braces.
class JudgeTemplate {
 public:
  // Exit code 2, led by `where`, for a brace that is none of these, and for a text without {completion}.
  static JudgeTemplate parse(std::string_view text, std::string_view where);
  // Filled in once: what is put in is not looked at again. A column is a text or a number in its shortest form; a prompt of messages is
  // "ROLE: CONTENT", one message behind the other, with an empty line between. Nothing where the row lacks a column; `missing` is then its name.
  std::optional<std::string> fill(const RewardInput& input, std::string& missing) const;

 private:
  struct Part {
    std::string text, place;  // text, and then the place behind it; "": none
  };
  std::vector<Part> parts_;
};

// The number between the last <tag> and the </tag> that follows it, with white space around it and nothing else, where it lies in [min, max]:
// from 0 for min to 1 for max. Nothing for any other text: a verdict is never guessed.
std::optional<double> read_verdict(std::string_view text, std::string_view tag, double min, double max);

}  // namespace cohort
