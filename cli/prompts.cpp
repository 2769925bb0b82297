#include "cli/prompts.h"

#include "core/check.h"
#include "model/text/chat_template_input.h"
#include "model/text/chat_template_time.h"

namespace cohort {

void ChatArguments::add_options(App& app) {
  app.add_option("--chat-template-kwargs", kwargs,
                 "more variables for the chat template, e.g. {\"enable_thinking\": false}")
      .type_name("JSON");
  app.add_flag("--allow-special-tokens", allow_special_tokens,
               "a special token spelled in a message is that token, and can forge a turn");
  app.add_option("--now", now, "the time that a chat template may print; default: the clock's")
      .type_name("ISO-TIME");
}

Json ChatArguments::template_kwargs() const {
  if (kwargs.empty()) return Json::object();
  try {
    Json object = parse_json(kwargs, "--chat-template-kwargs");
    check_template_kwargs(object, "--chat-template-kwargs", "command line");
    return object;
  } catch (const Error& error) {
    throw Error(ExitCode::kUsage, error.what());  // part of the command line, not of the input
  }
}

ChatSetting ChatArguments::setting(const Tokenizer& tokenizer) const {
  return chat_setting(tokenizer, allow_special_tokens,
                      now.empty() ? local_time_now() : parse_iso_time(now, "--now"));
}

ChatInput chat_of(const Json& record, const Json& messages, const ChatArguments& arguments,
                  bool add_generation_prompt) {
  constexpr const char* kWhere = "the record";
  ChatInput chat{.messages = messages,
                 .tools = record.value("tools", Json()),
                 .documents = record.value("documents", Json()),
                 .kwargs = arguments.template_kwargs(),
                 .add_generation_prompt = add_generation_prompt};
  check_messages(chat.messages, kWhere);
  check_objects(chat.tools, "tools", kWhere);
  check_objects(chat.documents, "documents", kWhere);
  const auto kwargs = record.find("chat_template_kwargs");
  if (kwargs != record.end() && !kwargs->is_null()) {
    check_template_kwargs(*kwargs, "chat_template_kwargs", kWhere);
    chat.kwargs.update(*kwargs);
  }
  return chat;
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

std::vector<int32_t> chat_tokens(const LoadedModel& model, const ChatInput& chat,
                                 const ChatArguments& arguments) {
  CHECK_INPUT(model.chat_template.has_template(),
              "{} has no chat template: give text in place of messages", model.source.string());
  std::vector<int32_t> tokens =
      encode_chat(model.chat_template, model.tokenizer, chat, arguments.setting(model.tokenizer)).tokens;
  check_text_ids(tokens, model.tokenizer, model.policy->config.vocab_size, "the text");
  return tokens;
}

std::vector<int32_t> text_tokens(const LoadedModel& model, const std::string& text) {
  std::vector<int32_t> tokens = model.tokenizer.encode(text, /*add_special_tokens=*/true);
  check_text_ids(tokens, model.tokenizer, model.policy->config.vocab_size, "the text");
  return tokens;
}

}  // namespace cohort
