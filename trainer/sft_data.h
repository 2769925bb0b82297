// Examples for supervised fine-tuning: rows of JSONL files or a built-in task, as tokens of which some are learnt.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "core/json.h"
#include "model/text/chat_turns.h"
#include "trainer/config.h"
#include "trainer/dataset.h"
#include "trainer/model_setup.h"

namespace cohort {

// A row before it is tokens. A conversation is `messages`, of which those from `first` on are learnt; else the texts.
struct ExampleRow {
  std::string id;
  std::string prompt;
  Json messages = Json::array();
  size_t first = 0;
  std::string completion;  // a text behind `prompt`, or what answers `messages`; "": the answers are messages
  Json tools, kwargs = Json::object();  // of the row, for the template
};

// {"prompt": text, "completion": text}, {"prompt": messages, "completion": messages or text} or {"messages": [...]}, and for messages
// "tools" and "chat_template_kwargs"; further columns are not read. Errors as of read_rows, with the line's number; also neither or
// both of 'completion' and 'messages', an empty text, no conversation, and completions that do not begin or end with the assistant.
std::vector<ExampleRow> load_example_rows(const std::filesystem::path& file, int64_t max_rows = 0, const Json& columns = Json::object());
// A row of it, whose columns have our names.
ExampleRow read_example(const Json& row, const std::string& id, const std::string& where);
// Prompts and solutions of a built-in task.
std::vector<ExampleRow> example_rows(const Dataset& task);

struct Example {
  std::string id;
  std::vector<int32_t> tokens;     // up to the last one that is learnt
  std::vector<TokenSpan> learnt;   // the assistant's, ascending, none empty; the first token of all is not among them
  int64_t targets() const;         // how many tokens they are
};

struct ExampleSet {
  std::string name;  // file or task, for messages
  std::vector<Example> examples;
  int64_t filtered = 0;     // rows that were too long (sft.filter_overlong)
  std::string fingerprint;  // of tokens and what is learnt of them
};

// A text behind a prompt: its tokens are those that spell it there, after the prompt's own, and the token that ends an answer follows
// (the tokenizer's EOS behind a text, what the template writes behind messages), unless it is spelled already. Messages: encode_turns.
// Exit code 3, naming data set and row: what cannot be told exactly, a token that the model does not have, a row longer than
// sft.max_length (with filter_overlong it is left out), and a data set of which nothing is left.
ExampleSet encode_examples(const std::string& name, const std::vector<ExampleRow>& rows, const LoadedModel& model, const Config& config, const Exec& ex);

// A prompt's tokens and what is to be learnt behind them, as the warm start has it.
Example make_example(std::string id, std::span<const int32_t> prompt, std::span<const int32_t> completion);

struct SftData {
  ExampleSet train, eval;  // eval: no examples when there are none in the config
};
SftData load_sft_data(const Config& config, const LoadedModel& model, const Exec& ex);

}  // namespace cohort
