// A conversation as the tokens that a model reads.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "model/text/chat_template.h"
#include "model/text/tokenizer.h"

namespace cohort {

// The template's setting for a model. allow_special_tokens: what a conversation spells like a special
// token becomes that token, so that it can forge turns.
ChatSetting chat_setting(const Tokenizer& tokenizer, bool allow_special_tokens,
                         std::optional<std::tm> now);

struct EncodedChat {
  std::vector<int32_t> tokens;
  bool opens_thinking;  // of the rendered text
};
// The template writes special tokens itself, so the tokenizer adds none.
EncodedChat encode_chat(const ChatTemplate& chat_template, const Tokenizer& tokenizer,
                        const ChatInput& input, const ChatSetting& setting);

}  // namespace cohort
