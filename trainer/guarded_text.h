// A text of its own, outside a chat template, in which what is spelled like a special token stays text.
#pragma once

#include <string>

#include "model/text/chat_template.h"
#include "model/text/chat_template_tokens.h"

namespace cohort {

class TextGuard {
 public:
  // What `setting` guards in a conversation; its markers where the model's template, whose text is `source`, has them.
  TextGuard(ChatSetting setting, std::string_view source);
  // The text, valid UTF-8, with guards for Tokenizer::encode: none where special tokens are allowed.
  RenderedChat operator()(const std::string& text) const;

 private:
  ChatSetting setting_;
  ChatTemplate alone_;
};

// `text` behind `before`: as one, in which no token that is guarded reaches from the one into the other.
RenderedChat joined(const RenderedChat& before, const RenderedChat& text);

}  // namespace cohort
