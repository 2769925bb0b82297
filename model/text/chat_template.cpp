// Chat templates: where a model keeps its own, and the variables that transformers gives them.
#include "model/text/chat_template.h"

#include "core/check.h"
#include "core/files.h"
#include "core/text.h"
#include "model/text/byte_level.h"
#include "model/text/jinja_eval.h"
#include "model/text/jinja_parser.h"

namespace cohort {
namespace {

constexpr size_t kMaxTemplateBytes = size_t{1} << 20;
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

}  // namespace

struct ChatTemplate::Impl {
  bool present = false;
  std::string where;
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
  if (source.empty()) return ChatTemplate(std::make_unique<Impl>());
  return parse(source, config.string() + ": chat_template");
}

bool ChatTemplate::has_template() const { return impl_->present; }

std::string ChatTemplate::render(const std::vector<ChatMessage>& messages,
                                 bool add_generation_prompt, std::string_view bos_token,
                                 std::string_view eos_token) const {
  CHECK(impl_->present, "render without a chat template: ask has_template() first");
  using jinja::Value;
  std::vector<Value> list;
  for (const ChatMessage& message : messages)
    list.push_back(Value::dict({{"role", Value::text(lossy_utf8(message.role))},
                                {"content", Value::text(lossy_utf8(message.content))}}));
  return jinja::run_template(impl_->block,
                             {{"messages", Value::list(std::move(list))},
                              {"add_generation_prompt", Value::boolean(add_generation_prompt)},
                              {"tools", Value()},  // transformers passes both, as None
                              {"documents", Value()},
                              {"bos_token", Value::text(std::string(bos_token))},
                              {"eos_token", Value::text(std::string(eos_token))}},
                             impl_->where);
}

}  // namespace cohort
