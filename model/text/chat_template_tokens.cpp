#include "model/text/chat_template_tokens.h"

namespace cohort {

ChatSetting chat_setting(const Tokenizer& tokenizer, bool allow_special_tokens,
                         std::optional<std::tm> now) {
  return {.bos_token = tokenizer.bos_token(),
          .eos_token = tokenizer.eos_token(),
          .special_tokens =
              allow_special_tokens ? std::vector<std::string>() : tokenizer.special_token_texts(),
          .markers = allow_special_tokens ? std::vector<std::string>() : tokenizer.marker_texts(),
          .named_tokens = tokenizer.named_tokens(),
          .now = now};
}

EncodedChat encode_chat(const ChatTemplate& chat_template, const Tokenizer& tokenizer,
                        const ChatInput& input, const ChatSetting& setting) {
  const RenderedChat chat = chat_template.render(input, setting);
  return {tokenizer.encode(chat.text, /*add_special_tokens=*/false, chat.guards),
          opens_thinking(chat.text)};
}

}  // namespace cohort
