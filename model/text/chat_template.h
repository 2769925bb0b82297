// Renders chat messages with a model's Jinja chat template, within bounds; unsupported constructs
// are refused by name.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace cohort {

struct ChatMessage {
  std::string role, content;
};

class ChatTemplate {
 public:
  // `where` leads messages. Syntax errors and unsupported constructs: exit code 3, with the line.
  static ChatTemplate parse(std::string_view source, std::string_view where);
  // From chat_template.jinja or tokenizer_config.json of the folder; `has_template` false when
  // there is none.
  static ChatTemplate load(const std::filesystem::path& model_dir);
  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;

  bool has_template() const;
  // Operations, output size and depth are bounded; beyond them, and for raise_exception: exit
  // code 3.
  std::string render(const std::vector<ChatMessage>& messages, bool add_generation_prompt,
                     std::string_view bos_token, std::string_view eos_token) const;

 private:
  struct Impl;
  explicit ChatTemplate(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace cohort
