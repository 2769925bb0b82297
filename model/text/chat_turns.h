// A conversation to learn from: its tokens, and which of them the assistant says.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/text/chat_template.h"
#include "model/text/tokenizer.h"

namespace cohort {

struct TokenSpan {
  int64_t begin, end;  // tokens [begin, end)
  int64_t size() const { return end - begin; }
  bool operator==(const TokenSpan&) const = default;
};

struct EncodedTurns {
  std::vector<int32_t> tokens;   // up to the end of the last turn
  std::vector<TokenSpan> turns;  // of the assistant's messages, ascending
};

// The whole conversation as the template prints it, and in it each turn of the assistant from message `first` (0-based) on: what
// the model would have to sample, from where the template asks it to answer up to the token that ends the turn, the first of
// `stop_tokens` that the template writes. Nothing is searched for in the texts, which may repeat; refused (exit code 3, naming
// the message) is a conversation in which a turn cannot be told exactly:
//   - what comes before it is printed otherwise, or falls into other tokens, when the model is to answer there
//   - no stop token ends it
//   - its own text is not in it (templates drop reasoning), or another message's text is: found by printing the conversation
//     with that text replaced
//   - it is empty
// input.add_generation_prompt does not matter. One rendering a message, and two for each turn.
EncodedTurns encode_turns(const ChatTemplate& chat_template, const Tokenizer& tokenizer, const ChatInput& input,
                          const ChatSetting& setting, std::span<const int32_t> stop_tokens, size_t first = 0);

// The token that ends the answer to `input`, whose last message is to be answered: that of stop_tokens which the template writes
// behind the assistant's text. Refused where it writes none.
int32_t end_of_answer(const ChatTemplate& chat_template, const Tokenizer& tokenizer, const ChatInput& input,
                      const ChatSetting& setting, std::span<const int32_t> stop_tokens);

}  // namespace cohort
