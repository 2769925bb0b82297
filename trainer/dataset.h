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
  std::string prompt;                 // plain text, or
  std::vector<ChatMessage> messages;  // a conversation: rendered with the model's chat template
  Json columns;                       // the row's other columns, for the rewards
  std::string solution;               // what a perfect completion is; built-in tasks only, for the warm start
  std::vector<int32_t> tokens;        // of the prompt, after encode_prompts
};

struct Dataset {
  std::string name;  // file or task, for messages
  std::vector<Problem> problems;
  std::string fingerprint;  // of the content: resume refuses another data set
};

// One problem a line: {"prompt": text or messages, "id"?: ..., any other columns}. Empty lines are skipped. Errors have
// exit code 3 and the line's number: broken JSON, no prompt, unknown role, duplicate id, an empty data set, a BOM, NUL.
Dataset load_jsonl(const std::filesystem::path& file, int64_t max_samples = 0);

// Built-in tasks. Train and eval never share a problem.
struct TaskData {
  Dataset train, eval;
};
TaskData make_task(const TaskConfig& task);
std::vector<std::string> task_names();

// What the config names: files or a task. `eval` may be empty when data.eval is not given.
TaskData load_data(const DataSection& data);

// Fills `tokens`: messages through the template, plain text as it is with the tokenizer's special tokens. A prompt that is
// empty or longer than `max_prompt_length` is an error (exit code 3) naming data set, problem and both lengths.
void encode_prompts(Dataset& data, const Tokenizer& tokenizer, const ChatTemplate& chat_template,
                    int64_t max_prompt_length);

// Indices of the problems of step `step` (1-based): consecutive pieces of an endless sequence of epochs, each a permutation
// that is a pure function of (seed, epoch). There is no cursor to save.
std::vector<int64_t> step_problems(int64_t step, int64_t prompts_per_step, int64_t dataset_size, uint64_t seed,
                                   bool shuffle);
// How many epochs are complete before `step`, as a fraction.
double epoch_at(int64_t step, int64_t prompts_per_step, int64_t dataset_size);

}  // namespace cohort
