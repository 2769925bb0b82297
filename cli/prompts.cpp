#include "cli/prompts.h"

namespace cohort {

std::vector<ChatMessage> messages_of(const Json& messages) {
  CHECK_INPUT(messages.is_array() && !messages.empty(),
              "'messages' is a list of at least one {{\"role\", \"content\"}}, found {}",
              messages.is_array() ? "an empty list" : messages.type_name());
  std::vector<ChatMessage> result;
  for (const Json& message : messages) {
    CHECK_INPUT(message.is_object(), "a message is an object, found {}", message.type_name());
    for (const auto& [key, value] : message.items()) {
      CHECK_INPUT(key == "role" || key == "content",
                  "unknown key '{}' in a message: it has 'role' and 'content'", key);
    }
    result.push_back({.role = get_string(message, "role", "a message"),
                      .content = get_string(message, "content", "a message")});
  }
  return result;
}

std::vector<int32_t> ids_of(const Json& ids, int64_t vocab_size) {
  CHECK_INPUT(ids.is_array() && !ids.empty(), "'ids' is a list of at least one token id, found {}",
              ids.is_array() ? "an empty list" : ids.type_name());
  std::vector<int32_t> result;
  result.reserve(ids.size());
  for (const Json& id : ids) {
    CHECK_INPUT(id.is_number_integer(), "a token id is a whole number, found {}", dump_json(id));
    const bool fits =
        id.is_number_unsigned() && id.get<uint64_t>() < static_cast<uint64_t>(vocab_size);
    CHECK_INPUT(fits, "token id {} is not in the vocabulary (0 to {})", dump_json(id),
                vocab_size - 1);
    result.push_back(id.get<int32_t>());
  }
  return result;
}

std::vector<int32_t> chat_tokens(const LoadedModel& model, const std::vector<ChatMessage>& messages,
                                 bool add_generation_prompt) {
  CHECK_INPUT(model.chat_template.has_template(),
              "{} has no chat template: give text in place of messages", model.source.string());
  const Tokenizer& tokenizer = model.tokenizer;
  return tokenizer.encode(model.chat_template.render(messages, add_generation_prompt,
                                                     tokenizer.bos_token(), tokenizer.eos_token()));
}

std::vector<int32_t> text_tokens(const LoadedModel& model, const std::string& text) {
  return model.tokenizer.encode(text, /*add_special_tokens=*/true);
}

}  // namespace cohort
