#include "trainer/score_text.h"

#include "core/check.h"
#include "model/text/chat_template_input.h"
#include "model/text/chat_template_time.h"

namespace cohort {
namespace {

ChatSetting setting_of(const LoadedModel& model, const DataSection& data) {
  std::optional<std::tm> now;
  if (!data.now.empty()) now = parse_iso_time(data.now, "data.now");
  return chat_setting(model.tokenizer, data.allow_special_tokens, now);
}

}  // namespace

ScoreEncoder::ScoreEncoder(const LoadedModel& model, const DataSection& data)
    : model_(model), kwargs_(data.chat_template_kwargs), setting_(setting_of(model, data)), guard_(setting_, model.chat_template.source()) {
  const std::vector<int32_t> stops = stop_tokens(model);
  eos_ = model.tokenizer.id_of(model.tokenizer.eos_token()).value_or(stops.empty() ? -1 : stops.front());
}

std::vector<int32_t> ScoreEncoder::conversation(const Json& messages, const Json& tools, const Json& kwargs) const {
  CHECK_INPUT(model_.chat_template.has_template(), "{}: it has messages, but the reward model has no chat template; give prompts as texts",
              model_.source.string());
  ChatInput chat{.messages = messages, .tools = tools, .kwargs = kwargs_, .add_generation_prompt = false};
  chat.kwargs.update(kwargs);
  return encode_chat(model_.chat_template, model_.tokenizer, chat, setting_).tokens;
}

std::vector<int32_t> ScoreEncoder::text(const std::string& prompt, const std::string& completion) const {
  const RenderedChat both = joined({.text = prompt, .guards = {}}, guard_(completion));
  std::vector<int32_t> tokens = model_.tokenizer.encode(both.text, /*add_special_tokens=*/true, both.guards);
  if (eos_ >= 0 && (tokens.empty() || tokens.back() != eos_)) tokens.push_back(eos_);
  return tokens;
}

}  // namespace cohort
