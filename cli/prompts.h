// What a record of `generate`, `logprobs` or `render` says, as tokens.
#pragma once

#include <string>
#include <vector>

#include "cli/app.h"
#include "core/json.h"
#include "model/text/chat_template_tokens.h"
#include "trainer/model_setup.h"

namespace cohort {

// How chats are rendered: --chat-template-kwargs, --allow-special-tokens and --now.
struct ChatArguments {
  std::string kwargs, now;
  bool allow_special_tokens = false;
  void add_options(App& app);
  // Exit code 2 for kwargs that are no JSON object, or a time that is none.
  ChatSetting setting(const Tokenizer& tokenizer) const;
  Json template_kwargs() const;
};

// A record's chat: `messages` (of the record or made by the caller), and of the record "tools",
// "documents" and "chat_template_kwargs", which go before those of the command line. Exit code 3 for
// what is no conversation.
ChatInput chat_of(const Json& record, const Json& messages, const ChatArguments& arguments,
                  bool add_generation_prompt);

// {"ids"}: at least one, each a token of the model. Exit code 3 otherwise.
std::vector<int32_t> ids_of(const Json& ids, int64_t vocab_size);

// The tokens of a chat, through the model's chat template (which writes special tokens itself).
std::vector<int32_t> chat_tokens(const LoadedModel& model, const ChatInput& chat,
                                 const ChatArguments& arguments);

// The tokens of plain text, with the special tokens that the tokenizer adds, as in training.
std::vector<int32_t> text_tokens(const LoadedModel& model, const std::string& text);

}  // namespace cohort
