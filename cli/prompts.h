// What a record of `generate`, `logprobs` or `render` says, as tokens.
#pragma once

#include <vector>

#include "core/json.h"
#include "trainer/model_setup.h"

namespace cohort {

// [{"role", "content"}, ...]: at least one, both text. Exit code 3 otherwise.
std::vector<ChatMessage> messages_of(const Json& messages);

// {"ids"}: at least one, each a token of the model. Exit code 3 otherwise.
std::vector<int32_t> ids_of(const Json& ids, int64_t vocab_size);

// The tokens of messages, through the model's chat template (which writes special tokens itself).
std::vector<int32_t> chat_tokens(const LoadedModel& model, const std::vector<ChatMessage>& messages,
                                 bool add_generation_prompt);

// The tokens of plain text, with the special tokens that the tokenizer adds, as in training.
std::vector<int32_t> text_tokens(const LoadedModel& model, const std::string& text);

}  // namespace cohort
