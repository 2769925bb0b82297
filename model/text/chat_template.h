// Renders chat messages with a model's Jinja chat template, within bounds; unsupported constructs
// are refused by name.
#pragma once

#include <ctime>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/json.h"

namespace cohort {

// One conversation: the arguments of transformers' apply_chat_template.
struct ChatInput {
  Json messages = Json::array();  // [{"role", "content", ...}]; keys whose value is null are dropped
  Json tools, documents;          // lists of objects; null: none
  Json kwargs = Json::object();   // more variables of the template: {"enable_thinking": false}
  bool add_generation_prompt = true;
  bool continue_final_message = false;  // the text ends inside the last message, which goes on
};

// What belongs to the model and the command rather than to one conversation.
struct ChatSetting {
  std::string bos_token, eos_token;         // "": the model has none, and the template no such variable
  std::vector<std::string> special_tokens;  // guarded where the conversation spells one; none: allowed
  std::vector<std::string> markers;  // more of them, guarded only if the template's own text has them
  // Further variables of the template: {"pad_token", "<pad>"}.
  std::vector<std::pair<std::string, std::string>> named_tokens;
  std::optional<std::tm> now;  // what strftime_now prints; without it a template that asks is refused
};

// Each guard is a byte offset in `text` inside of what the conversation spelled and would read as a
// special token, in either case, or between a part of one and what the template wrote beside it: no
// token may reach across it (Tokenizer::encode). A special token of one character has no inside and
// is not guarded.
struct RenderedChat {
  std::string text;
  std::vector<size_t> guards;  // ascending
};

class ChatTemplate {
 public:
  // `where` leads messages. Syntax errors and unsupported constructs: exit code 3, with the line.
  static ChatTemplate parse(std::string_view source, std::string_view where);
  // From chat_template.jinja or tokenizer_config.json of the folder; `has_template` false when
  // there is none.
  static ChatTemplate load(const std::filesystem::path& model_dir);
  static ChatTemplate none();  // of a model that has none
  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;

  bool has_template() const;
  std::string_view source() const;  // its text, "" without one
  std::string_view where() const;   // the file it came from, for messages
  // Operations, output size and depth are bounded; beyond them, and for raise_exception: exit
  // code 3.
  RenderedChat render(const ChatInput& input, const ChatSetting& setting) const;

 private:
  struct Impl;
  explicit ChatTemplate(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Whether a rendered prompt ends with an open <think>, as DeepSeek-R1's and Qwen3-Thinking's do: the
// completion then lacks the tag that a format reward looks for.
bool opens_thinking(std::string_view prompt);

}  // namespace cohort
