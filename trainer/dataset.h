// Problems from JSONL files or built-in generators, and the order in which training sees them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/json.h"
#include "model/text/chat_template.h"
#include "model/text/tokenizer.h"
#include "trainer/config.h"

namespace cohort {

struct Problem {
  std::string id;
  std::string prompt;              // plain text, or
  Json messages = Json::array();   // a conversation: rendered with the model's chat template
  Json columns = Json::object();   // the row's other columns, for the rewards
  std::string solution;  // what a perfect completion is; built-in tasks only, for the warm start
  std::vector<int32_t> tokens;  // of the prompt, after encode_prompts
  bool opens_thinking = false;  // the template ended the prompt with <think>; after encode_prompts
};

// The problems [begin, end) of a data set that come from one of several sources.
struct DataPart {
  std::string name, file;
  double weight = 1;
  int64_t begin = 0, end = 0;
  int64_t size() const { return end - begin; }
};

struct Dataset {
  std::string name;  // file or task, for messages
  std::vector<Problem> problems;
  std::vector<DataPart> parts;  // where the config lists sources, all problems in their order; else empty
  std::string fingerprint;  // of the content: resume refuses another data set
};

// Of ids, prompts, columns and solutions in their order; how a file writes the same JSON does not
// matter.
std::string fingerprint_problems(const std::vector<Problem>& problems);

// One problem a line: {"prompt": text or messages, "id"?: text or whole number ("line N"), any
// other columns}, with LF or CRLF, also packed with gzip; `columns`: names of columns (data_columns.h). The columns "tools" and "chat_template_kwargs" of a row with
// messages go to the template as well. Blank lines are skipped. max_samples > 0: only the first so
// many; lines behind them are not read. Errors have exit code 3 and the line's number: broken JSON,
// no prompt, no conversation (chat_template_input.h), a message of the assistant at the end,
// duplicate id, a BOM, NUL, a line of more than 16 MB; also an empty data set.
Dataset load_jsonl(const std::filesystem::path& file, int64_t max_samples = 0, const Json& columns = Json::object());
// A row of it, whose columns have our names.
Problem read_problem(Json row, const std::string& id, const std::string& where);

// Built-in tasks (tasks.cpp): a pure function of the config. Train and eval never share a problem,
// nor the same one turned round (a + b and b + a, a word and its reverse). Exit code 2: an unknown
// name, with the nearest; sizes beyond what the task has, with the maximum.
struct TaskData {
  Dataset train, eval;
};
TaskData make_task(const TaskConfig& task);
std::vector<std::string> task_names();

// The names of the columns of a source: its own, or those of all.
const Json& columns_of(const DataSource& source, const DataSection& data);

// What the config names: files or a task. `eval` has no problems when data.eval is not given;
// max_eval_samples > 0 keeps the first so many of each set. Of a list of sources a problem's id begins with the source's name:
// "math/line 3". Exit code 2 for neither files nor task, or both.
TaskData load_data(const DataSection& data);

// Fills `tokens` and `opens_thinking`: messages through the template with the config's
// chat_template_kwargs (a row's own go before them), plain text as it is with the tokenizer's special
// tokens. A prompt that is empty or longer than `max_prompt_length` is an error (exit code 3)
// naming data set, problem and both lengths; so is what the template refuses, messages for a model
// without a template, a template that asks for the time when `now` is not set, and a token that a model of `vocab_size`
// tokens does not have.
// One of them, of any length; `where` leads the messages.
void encode_prompt(Problem& problem, const Tokenizer& tokenizer, const ChatTemplate& chat_template, const DataSection& config,
                   const ChatSetting& setting, const std::string& where);
// What a template gets of the config beside a problem.
ChatSetting prompt_setting(const Tokenizer& tokenizer, const DataSection& config);
void encode_prompts(Dataset& data, const Tokenizer& tokenizer, const ChatTemplate& chat_template,
                    const DataSection& config, int64_t vocab_size);

// A permutation of [0, size) that is a pure function of (seed, epoch, source).
std::vector<int64_t> epoch_order(int64_t epoch, int64_t size, uint64_t seed, uint32_t source = 0);

// Indices of the problems of step `step` (1-based): consecutive pieces of an endless sequence of
// epochs, each a permutation that is a pure function of (seed, epoch). There is no cursor to save.
std::vector<int64_t> step_problems(int64_t step, int64_t prompts_per_step, int64_t dataset_size,
                                   uint64_t seed, bool shuffle);
// How many epochs are complete before `step` (1-based), as a fraction.
double epoch_at(int64_t step, int64_t prompts_per_step, int64_t dataset_size);

}  // namespace cohort
