// Chat templates: where a model keeps its own, and the variables that transformers gives them.
#include "model/text/chat_template.h"

#include "core/check.h"
#include "core/files.h"
#include "core/text.h"
#include "model/text/chat_template_input.h"
#include "model/text/jinja_eval.h"
#include "model/text/jinja_parser.h"
#include "model/text/jinja_strings.h"

namespace cohort {
namespace {

constexpr size_t kMaxTemplateBytes = size_t{256} << 10;  // the longest published ones have 20 KB
constexpr size_t kMaxConfigBytes = size_t{64} << 20;

// tokenizer_config.json's chat_template: a text, or a list of {name, template} of which "default"
// counts.
std::string template_of_config(const Json& config, const std::string& where) {
  const auto it = config.find("chat_template");
  if (it == config.end() || it->is_null()) return "";
  if (it->is_string()) return it->get<std::string>();
  CHECK_INPUT(it->is_array(), "{}: chat_template must be a text or a list of named templates",
              where);
  for (const Json& named : *it)
    if (get_string(named, "name", where) == "default") return get_string(named, "template", where);
  fail(ExitCode::kInput, "{}: none of the {} chat templates is named 'default'", where, it->size());
}

RenderedChat without_guards(const std::string& marked) {
  RenderedChat chat;
  chat.text.reserve(marked.size());
  for (const char c : marked) {
    if (c != jinja::kGuard) {
      chat.text.push_back(c);
    } else if (chat.guards.empty() || chat.guards.back() != chat.text.size()) {
      chat.guards.push_back(chat.text.size());
    }
  }
  return chat;
}

// transformers' way to end a prompt inside the last message: a tag at the end of its text says where
// the rendering is to be cut.
constexpr std::string_view kContinueTag = "CONTINUE_FINAL_MESSAGE_TAG ";

// The text of the last message that goes on: its content, or the last of its parts.
std::string& text_to_continue(ChatInput& chat, const std::string& where) {
  CHECK_INPUT(!chat.add_generation_prompt,
              "{}: continue_final_message and add_generation_prompt exclude each other", where);
  CHECK_INPUT(!chat.messages.empty() && chat.messages.back().contains("content"),
              "{}: continue_final_message needs a last message with content", where);
  Json& content = chat.messages.back()["content"];
  if (content.is_string()) return content.get_ref<std::string&>();
  if (content.is_array())
    for (size_t i = content.size(); i-- > 0;)
      if (content[i].contains("text")) return content[i]["text"].get_ref<std::string&>();
  fail(ExitCode::kInput, "{}: continue_final_message found no text in the last message", where);
}

std::string cut_at_tag(const std::string& text, const std::string& end, const std::string& where) {
  const std::string_view tag = jinja::strip(kContinueTag);
  const size_t at = text.rfind(tag);
  CHECK_INPUT(at != text.npos && without_guards(text).text.find(end) != text.npos,
              "{}: continue_final_message: the template changes or drops the last message", where);
  if (text.compare(at, kContinueTag.size(), kContinueTag) == 0) return text.substr(0, at);
  return std::string(jinja::rstrip(std::string_view(text).substr(0, at)));
}

}  // namespace

struct ChatTemplate::Impl {
  bool present = false;
  std::string where, source;
  jinja::Block block;
};

ChatTemplate::ChatTemplate(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;

ChatTemplate ChatTemplate::parse(std::string_view source, std::string_view where) {
  CHECK_INPUT(source.size() <= kMaxTemplateBytes, "{}: a chat template of {} bytes; allowed are {}",
              where, source.size(), kMaxTemplateBytes);
  CHECK_INPUT(is_utf8(source), "{}: the chat template is not valid UTF-8", where);
  auto impl = std::make_unique<Impl>();
  impl->present = true;
  impl->where = where;
  impl->source = source;
  impl->block = jinja::parse_template(source, where);
  return ChatTemplate(std::move(impl));
}

ChatTemplate ChatTemplate::load(const std::filesystem::path& model_dir) {
  const std::filesystem::path file = model_dir / "chat_template.jinja";
  if (std::filesystem::exists(file))
    return parse(read_file(file, kMaxTemplateBytes), file.string());
  const std::filesystem::path config = model_dir / "tokenizer_config.json";
  std::string source;
  if (std::filesystem::exists(config))
    source = template_of_config(parse_json(read_file(config, kMaxConfigBytes), config.string()),
                                config.string());
  if (source.empty()) return none();
  return parse(source, config.string() + ": chat_template");
}

ChatTemplate ChatTemplate::none() { return ChatTemplate(std::make_unique<Impl>()); }

bool ChatTemplate::has_template() const { return impl_->present; }
std::string_view ChatTemplate::source() const { return impl_->source; }
std::string_view ChatTemplate::where() const { return impl_->where; }

RenderedChat ChatTemplate::render(const ChatInput& input, const ChatSetting& setting) const {
  CHECK(impl_->present, "render without a chat template: ask has_template() first");
  const auto run = [&](const ChatInput& chat) {
    return jinja::run_template(impl_->block, template_variables(chat, setting, impl_->source),
                               impl_->where, setting.now ? &*setting.now : nullptr);
  };
  if (!input.continue_final_message) return without_guards(run(input));
  ChatInput tagged = input;
  std::string& last = text_to_continue(tagged, impl_->where);
  const std::string end(jinja::strip(last));
  last += kContinueTag;
  return without_guards(cut_at_tag(run(tagged), end, impl_->where));
}

bool opens_thinking(std::string_view prompt) { return jinja::rstrip(prompt).ends_with("<think>"); }

}  // namespace cohort
