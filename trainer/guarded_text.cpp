#include "trainer/guarded_text.h"

namespace cohort {

TextGuard::TextGuard(ChatSetting setting, std::string_view source)
    : setting_(std::move(setting)), alone_(ChatTemplate::parse("{{ messages[0].content }}", "text")) {
  for (const std::string& marker : setting_.markers)
    if (source.find(marker) != std::string_view::npos) setting_.special_tokens.push_back(marker);
}

RenderedChat TextGuard::operator()(const std::string& text) const {
  const ChatInput chat{.messages = Json::array({{{"role", "assistant"}, {"content", text}}})};
  return alone_.render(chat, setting_);
}

RenderedChat joined(const RenderedChat& before, const RenderedChat& text) {
  RenderedChat both = before;
  for (const size_t guard : text.guards) both.guards.push_back(before.text.size() + guard);
  both.text += text.text;
  return both;
}

}  // namespace cohort
