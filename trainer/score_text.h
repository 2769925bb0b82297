// The tokens that a reward model reads of a prompt and what answers it: the same when it is trained and when it scores.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/json.h"
#include "trainer/guarded_text.h"
#include "trainer/model_setup.h"

namespace cohort {

class ScoreEncoder {
 public:
  // Of the data section: now, chat_template_kwargs, allow_special_tokens. `model` outlives the encoder.
  ScoreEncoder(const LoadedModel& model, const DataSection& data);

  // The conversation as the model's chat template prints it, without a generation prompt. What a message spells like a special token
  // stays text. Exit code 3 where the model has no template, and for what the template refuses.
  std::vector<int32_t> conversation(const Json& messages, const Json& tools = {}, const Json& kwargs = Json::object()) const;
  // The text of both, with the tokens that the tokenizer adds to a text, and its EOS behind it unless it is there. In `completion`, what
  // is spelled like a special token stays text.
  std::vector<int32_t> text(const std::string& prompt, const std::string& completion) const;

 private:
  const LoadedModel& model_;
  Json kwargs_;
  ChatSetting setting_;
  TextGuard guard_;
  int32_t eos_ = -1;  // none
};

}  // namespace cohort
