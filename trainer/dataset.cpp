#include "trainer/dataset.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "core/check.h"
#include "core/hash.h"
#include "core/rng.h"
#include "model/text/chat_template_input.h"
#include "model/text/chat_template_time.h"
#include "model/text/chat_template_tokens.h"
#include "trainer/data_columns.h"
#include "trainer/jsonl_rows.h"
#include "trainer/model_setup.h"

namespace cohort {
namespace {

// What a template reads beside the messages.
constexpr const char *kTools = "tools", *kKwargs = "chat_template_kwargs";

void check_conversation(const Json& messages, const Json& row, const std::string& where) {
  CHECK_INPUT(!messages.empty(), "{}: 'prompt' is an empty list of messages", where);
  check_messages(messages, where);
  for (size_t i = 0; i < messages.size(); ++i)
    check_no_nul_inside(messages[i], fmt::format("{}: message {}", where, i + 1));
  CHECK_INPUT(messages.back()["role"] != "assistant",
              "{}: the last message of 'prompt' is the assistant's; a prompt ends where the model "
              "is to answer",
              where);
  if (row.contains(kTools)) check_objects(row[kTools], kTools, where);
  if (row.contains(kKwargs)) check_template_kwargs(row[kKwargs], kKwargs, where);
}

Dataset first_problems(Dataset data, int64_t count) {
  if (count > 0 && count < static_cast<int64_t>(data.problems.size())) {
    data.problems.resize(count);
    data.fingerprint = fingerprint_problems(data.problems);
  }
  return data;
}

// Each source's problems behind the others'.
Dataset load_sources(const DataFiles& files, int64_t max_samples, const DataSection& data) {
  if (files.sources.empty()) return load_jsonl(files.path, max_samples, data.columns);
  Dataset all;
  std::string fingerprints;
  for (const DataSource& source : files.sources) {
    Dataset one = load_jsonl(source.path, max_samples, columns_of(source, data));
    DataPart part{.name = source.name, .file = source.path, .weight = source.weight, .begin = static_cast<int64_t>(all.problems.size())};
    for (Problem& problem : one.problems) {
      problem.id = source.name + "/" + problem.id;
      all.problems.push_back(std::move(problem));
    }
    part.end = static_cast<int64_t>(all.problems.size());
    all.name += (all.name.empty() ? "" : ", ") + one.name;
    fingerprints += source.name + " " + one.fingerprint + "\n";
    all.parts.push_back(std::move(part));
  }
  all.fingerprint = fingerprint(fingerprints);
  return all;
}

}  // namespace

std::vector<int64_t> epoch_order(int64_t epoch, int64_t size, uint64_t seed, uint32_t source) {
  CHECK(epoch >= 0 && size > 0 && size <= UINT32_MAX && source < 256, "epoch {} of source {} with {} problems", epoch, source, size);
  std::vector<int64_t> order(size);
  std::iota(order.begin(), order.end(), int64_t{0});
  // The upper half of an epoch's number leaves room for the source.
  Random random(seed, Stream::kShuffle, static_cast<uint32_t>(epoch),
                static_cast<uint32_t>(epoch >> 32) ^ source << 24);
  for (int64_t i = size - 1; i > 0; --i)
    std::swap(order[i], order[random.below(static_cast<uint32_t>(i + 1))]);
  return order;
}

std::string fingerprint_problems(const std::vector<Problem>& problems) {
  std::string text;
  for (const Problem& problem : problems) {
    Json messages = Json::array();
    for (const Json& message : problem.messages) {
      const bool plain = message.size() == 2 && message["content"].is_string();
      messages.push_back(plain ? Json::array({message["role"], message["content"]}) : message);
    }
    text += dump_json(Json::array(
        {problem.id, problem.prompt, std::move(messages), problem.columns, problem.solution}));
    text += '\n';
  }
  return fingerprint(text);
}

const Json& columns_of(const DataSource& source, const DataSection& data) { return source.columns.empty() ? data.columns : source.columns; }

Problem read_problem(Json row, const std::string& id, const std::string& where) {
  const auto prompt = row.find("prompt");
  CHECK_INPUT(prompt != row.end(), "{}: the row has no 'prompt'{}", where, columns_hint(row, "prompt"));
  CHECK_INPUT(prompt->is_string() || prompt->is_array(),
              "{}: 'prompt' is a text or a list of messages, found {}", where, prompt->type_name());
  Problem problem{.id = id};
  if (prompt->is_array()) {
    check_conversation(*prompt, row, where);
    problem.messages = std::move(*prompt);
  } else {
    problem.prompt = prompt->get<std::string>();
    CHECK_INPUT(!problem.prompt.empty(), "{}: 'prompt' is empty", where);
    check_no_nul(problem.prompt, where, "'prompt'");
  }
  row.erase("prompt");
  row.erase("id");
  problem.columns = std::move(row);
  return problem;
}

Dataset load_jsonl(const std::filesystem::path& file, int64_t max_samples, const Json& columns) {
  Dataset data{.name = file.string()};
  read_rows(file, max_samples, "'prompt'", RowIds::unique, [&](Json row, const std::string& id, const std::string& where) {
    data.problems.push_back(read_problem(std::move(row), id, where));
  }, columns);
  data.fingerprint = fingerprint_problems(data.problems);
  return data;
}

TaskData load_data(const DataSection& data) {
  if (data.task) {
    CHECK_USAGE(data.train.empty() && data.eval.empty(),
                "data.task makes training and evaluation problems itself: remove data.{}, or "
                "data.task",
                data.train.empty() ? "eval" : "train");
    TaskData task = make_task(*data.task);
    task.eval = first_problems(std::move(task.eval), data.max_eval_samples);
    return task;
  }
  CHECK_USAGE(!data.train.empty(),
              "the config names no training data: set data.train or data.task");
  TaskData files{.train = load_sources(data.train, 0, data)};
  if (!data.eval.empty()) files.eval = load_sources(data.eval, data.max_eval_samples, data);
  return files;
}

ChatSetting prompt_setting(const Tokenizer& tokenizer, const DataSection& config) {
  std::optional<std::tm> now;
  if (!config.now.empty()) now = parse_iso_time(config.now, "data.now");
  return chat_setting(tokenizer, config.allow_special_tokens, now);
}

void encode_prompt(Problem& problem, const Tokenizer& tokenizer, const ChatTemplate& chat_template, const DataSection& config,
                   const ChatSetting& setting, const std::string& where) {
  if (problem.messages.empty()) {
    problem.tokens = tokenizer.encode(problem.prompt, /*add_special_tokens=*/true);
    return;
  }
  CHECK_INPUT(chat_template.has_template(), "{} has messages as its prompt, but the model has no chat template; give prompts as text", where);
  ChatInput chat{.messages = problem.messages, .tools = problem.columns.value(kTools, Json()), .kwargs = config.chat_template_kwargs};
  if (problem.columns.contains(kKwargs)) chat.kwargs.update(problem.columns[kKwargs]);
  try {
    EncodedChat encoded = encode_chat(chat_template, tokenizer, chat, setting);
    problem.tokens = std::move(encoded.tokens);
    problem.opens_thinking = encoded.opens_thinking;
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("{}: {}", where, error.what()));
  }
}

void encode_prompts(Dataset& data, const Tokenizer& tokenizer, const ChatTemplate& chat_template,
                    const DataSection& config, int64_t vocab_size) {
  const int64_t max_prompt_length = config.max_prompt_length;
  CHECK(max_prompt_length > 0, "encode_prompts of at most {} tokens", max_prompt_length);
  const ChatSetting setting = prompt_setting(tokenizer, config);
  for (Problem& problem : data.problems) {
    encode_prompt(problem, tokenizer, chat_template, config, setting, fmt::format("{}: problem {}", data.name, shown(problem.id)));
    check_text_ids(problem.tokens, tokenizer, vocab_size,
                   fmt::format("{}: the prompt of problem {}", data.name, shown(problem.id)));
    const auto length = static_cast<int64_t>(problem.tokens.size());
    CHECK_INPUT(length > 0, "{}: the prompt of problem {} has 0 tokens; needed are 1 to {}",
                data.name, shown(problem.id), max_prompt_length);
    CHECK_INPUT(length <= max_prompt_length,
                "{}: the prompt of problem {} has {} tokens; data.max_prompt_length allows {}",
                data.name, shown(problem.id), length, max_prompt_length);
  }
}

std::vector<int64_t> step_problems(int64_t step, int64_t prompts_per_step, int64_t dataset_size,
                                   uint64_t seed, bool shuffle) {
  CHECK(step > 0 && prompts_per_step > 0 && dataset_size > 0 && dataset_size <= UINT32_MAX,
        "step {}, {} prompts, {} problems", step, prompts_per_step, dataset_size);
  CHECK(step <= INT64_MAX / prompts_per_step, "step {} of {} prompts", step, prompts_per_step);
  std::vector<int64_t> problems, order;
  int64_t order_epoch = -1;
  for (int64_t i = 0; i < prompts_per_step; ++i) {
    const int64_t position = (step - 1) * prompts_per_step + i;
    const int64_t epoch = position / dataset_size, place = position % dataset_size;
    if (shuffle && epoch != order_epoch) {
      order = epoch_order(epoch, dataset_size, seed);
      order_epoch = epoch;
    }
    problems.push_back(shuffle ? order[place] : place);
  }
  return problems;
}

double epoch_at(int64_t step, int64_t prompts_per_step, int64_t dataset_size) {
  CHECK(step > 0 && prompts_per_step > 0 && dataset_size > 0, "step {}, {} prompts, {} problems",
        step, prompts_per_step, dataset_size);
  return static_cast<double>(step - 1) * static_cast<double>(prompts_per_step) /
         static_cast<double>(dataset_size);
}

}  // namespace cohort
