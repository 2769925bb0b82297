// StopText: whether a completion's text has come to hold a stop string, token by token.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "model/text/tokenizer.h"

namespace cohort {

// The text is what decode(tokens, skip_special_tokens = true) gives, up to the last whole character: special tokens are not
// in it, and a character that is spelled by several tokens comes with the last of them. A stop string may begin in one
// token and end inside another. Each token costs its own text and the length of the stop strings, however long the
// completion is (for a tokenizer that spells characters by runs of <0xNN>: and the run that is open).
class StopText {
 public:
  // None of `stop` is empty; both arguments outlive this.
  StopText(const Tokenizer& tokenizer, std::span<const std::string> stop);
  // The next token. True when a stop string ends in the text that came with it.
  bool add(int32_t token);

 private:
  std::span<const std::string> stop_;
  TextStream stream_;
  size_t keep_ = 0;   // bytes in which a stop string may have begun: one less than the longest
  std::string tail_;  // the last of them
  size_t ahead_ = 0;  // bytes behind the tail that were looked at before the stream gave them away
};

}  // namespace cohort
