#include "trainer/sft_data.h"

#include <algorithm>
#include <optional>

#include "core/check.h"
#include "core/hash.h"
#include "model/text/chat_template_input.h"
#include "model/text/chat_template_time.h"
#include "model/text/chat_template_tokens.h"
#include "trainer/guarded_text.h"
#include "trainer/jsonl_rows.h"
#include "trainer/row_texts.h"

namespace cohort {
namespace {

// How rows become tokens with one model.
struct Encoder {
  const LoadedModel& model;
  const Config& config;
  ChatSetting setting;
  std::optional<TextGuard> guard;
  std::vector<int32_t> stops;

  Encoder(const LoadedModel& model, const Config& config) : model(model), config(config), stops(stop_tokens(model)) {
    std::optional<std::tm> now;
    if (!config.data.now.empty()) now = parse_iso_time(config.data.now, "data.now");
    setting = chat_setting(model.tokenizer, config.data.allow_special_tokens, now);
    guard.emplace(setting, model.chat_template.source());
    for (const int64_t id : config.sft->stop_token_ids) {
      CHECK_USAGE(id < model.policy->config.vocab_size, "sft.stop_token_ids: found {}; the model's tokens are 0 to {}", id,
                  model.policy->config.vocab_size - 1);
      stops.push_back(static_cast<int32_t>(id));
    }
  }

  ChatInput chat(const ExampleRow& row) const {
    CHECK_INPUT(model.chat_template.has_template(), "it has messages, but the model has no chat template; give 'prompt' and 'completion' as texts");
    ChatInput chat{.messages = row.messages, .tools = row.tools, .kwargs = config.data.chat_template_kwargs};
    chat.kwargs.update(row.kwargs);
    return chat;
  }

  // The tokens that spell `text` behind the prompt's. A tokenizer may put a space before a text of its own, or change it (SentencePiece,
  // NFC): then they are taken from prompt and text together.
  std::vector<int32_t> behind(const std::vector<int32_t>& prompt, const RenderedChat& before, const RenderedChat& text, bool add_special_tokens) const {
    const Tokenizer& tokenizer = model.tokenizer;
    std::vector<int32_t> alone = tokenizer.encode(text.text, false, text.guards), all = prompt;
    all.insert(all.end(), alone.begin(), alone.end());
    if (tokenizer.decode(all) == tokenizer.decode(prompt) + text.text) return alone;
    const RenderedChat both = joined(before, text);
    const std::vector<int32_t> together = tokenizer.encode(both.text, add_special_tokens, both.guards);
    CHECK_INPUT(together.size() > prompt.size() && std::equal(prompt.begin(), prompt.end(), together.begin()),
                "one token reaches across the end of 'prompt' and the beginning of 'completion', so that the model would see other tokens there; "
                "move white space from the one to the other");
    return {together.begin() + static_cast<std::ptrdiff_t>(prompt.size()), together.end()};
  }

  Example encode(const ExampleRow& row) const {
    const Tokenizer& tokenizer = model.tokenizer;
    if (row.completion.empty()) {
      EncodedTurns turns = encode_turns(model.chat_template, tokenizer, chat(row), setting, stops, row.first);
      return {row.id, std::move(turns.tokens), std::move(turns.turns)};
    }
    RenderedChat before{.text = row.prompt, .guards = {}}, text{.text = row.completion, .guards = {}};
    int32_t stop = stops.front();
    const bool plain = row.messages.empty();
    if (plain) {
      stop = tokenizer.id_of(tokenizer.eos_token()).value_or(stop);
    } else {
      const ChatInput asked = chat(row);
      before = model.chat_template.render(asked, setting);
      text = (*guard)(row.completion);
      stop = end_of_answer(model.chat_template, tokenizer, asked, setting, stops);
    }
    const std::vector<int32_t> prompt = tokenizer.encode(before.text, /*add_special_tokens=*/plain, before.guards);
    std::vector<int32_t> completion = behind(prompt, before, text, plain);
    if (std::ranges::find(stops, completion.back()) == stops.end()) completion.push_back(stop);
    return make_example(row.id, prompt, completion);
  }
};

void check_example(const Example& example, const LoadedModel& model) {
  CHECK_INPUT(!example.learnt.empty() && example.learnt.front().begin > 0, "nothing comes before what is to be learnt");
  check_text_ids(example.tokens, model.tokenizer, model.policy->config.vocab_size, "it");
}

std::string fingerprint_examples(const std::vector<Example>& examples) {
  std::string text;
  for (const Example& example : examples) {
    std::string one = example.id + "\n";
    one.append(reinterpret_cast<const char*>(example.tokens.data()), example.tokens.size() * sizeof(int32_t));
    one.append(reinterpret_cast<const char*>(example.learnt.data()), example.learnt.size() * sizeof(TokenSpan));
    text += fingerprint(one);
  }
  return fingerprint(text);
}

}  // namespace

int64_t Example::targets() const {
  int64_t count = 0;
  for (const TokenSpan& span : learnt) count += span.size();
  return count;
}

ExampleRow read_example(const Json& row, const std::string& id, const std::string& where) {
  const bool conversation = row.contains("messages"), pair = row.contains("prompt") || row.contains("completion");
  CHECK_INPUT(conversation != pair, "{}: the row has {} 'prompt' and 'completion' {} 'messages'; allowed: one of the two", where,
              pair ? "both" : "neither", pair ? "and" : "nor");
  ExampleRow example{.id = id};
  if (conversation) {
    CHECK_INPUT(row["messages"].is_array(), "{}: 'messages' is a list of messages, found {}", where, row["messages"].type_name());
    check_conversation(row["messages"], "messages", where);
    example.messages = row["messages"];
    CHECK_INPUT(std::ranges::any_of(example.messages, [](const Json& message) { return message["role"] == "assistant"; }),
                "{}: 'messages' has no message of the assistant, and there is nothing to learn", where);
  } else {
    for (const char* column : {"prompt", "completion"}) CHECK_INPUT(row.contains(column), "{}: the row has no '{}'", where, column);
    const Json &prompt = row["prompt"], &completion = row["completion"];
    if (prompt.is_array()) {
      check_conversation(prompt, "prompt", where);
      CHECK_INPUT(prompt.back()["role"] != "assistant", "{}: the last message of 'prompt' is the assistant's; what is to be learnt is 'completion'", where);
      example.messages = prompt;
    } else {
      example.prompt = read_text(prompt, "prompt", where);
    }
    if (completion.is_array()) {
      CHECK_INPUT(prompt.is_array(), "{}: 'completion' is a list of messages, but 'prompt' is a text; allowed: a text behind a text", where);
      check_conversation(completion, "completion", where);
      CHECK_INPUT(completion.front()["role"] == "assistant" && completion.back()["role"] == "assistant",
                  "{}: 'completion' begins and ends with a message of the assistant, found '{}' and '{}'", where,
                  completion.front()["role"].get<std::string>(), completion.back()["role"].get<std::string>());
      example.first = example.messages.size();
      for (const Json& message : completion) example.messages.push_back(message);
    } else {
      example.completion = read_text(completion, "completion", where);
    }
  }
  if (row.contains("tools")) check_objects(row["tools"], "tools", where);
  if (row.contains("chat_template_kwargs")) check_template_kwargs(row["chat_template_kwargs"], "chat_template_kwargs", where);
  example.tools = row.value("tools", Json());
  example.kwargs = row.value("chat_template_kwargs", Json::object());
  return example;
}

std::vector<ExampleRow> load_example_rows(const std::filesystem::path& file, int64_t max_rows, const Json& columns) {
  std::vector<ExampleRow> rows;
  read_rows(file, max_rows, "'prompt' and 'completion', or 'messages'", RowIds::any, [&](const Json& row, const std::string& id, const std::string& where) {
    rows.push_back(read_example(row, id, where));
  }, columns);
  return rows;
}

std::vector<ExampleRow> example_rows(const Dataset& task) {
  std::vector<ExampleRow> rows;
  for (const Problem& problem : task.problems) {
    CHECK_USAGE(!problem.solution.empty(), "problem '{}' of {} has no solution to learn from", problem.id, task.name);
    rows.push_back({.id = problem.id, .prompt = problem.prompt, .messages = problem.messages, .completion = problem.solution});
  }
  return rows;
}

Example make_example(std::string id, std::span<const int32_t> prompt, std::span<const int32_t> completion) {
  Example example{.id = std::move(id), .tokens = {prompt.begin(), prompt.end()}};
  example.tokens.insert(example.tokens.end(), completion.begin(), completion.end());
  if (!completion.empty()) example.learnt.push_back({std::ssize(prompt), std::ssize(example.tokens)});
  return example;
}

ExampleSet encode_examples(const std::string& name, const std::vector<ExampleRow>& rows, const LoadedModel& model, const Config& config, const Exec& ex) {
  const int64_t longest = config.sft->max_length, positions = model.policy->config.max_positions;
  CHECK_USAGE(longest <= positions, "sft.max_length: found {}; the model has {} positions; allowed: at most that", longest, positions);
  ExampleSet set{.name = name};
  const Encoder encoder(model, config);
  std::vector<Example> examples(rows.size());
  encode_rows(name, rows.size(), [&](size_t i) -> const std::string& { return rows[i].id; }, *ex.pool,
              [&](size_t i) {
                examples[i] = encoder.encode(rows[i]);
                check_example(examples[i], model);
              },
              [&](size_t i) {
                const auto length = static_cast<int64_t>(examples[i].tokens.size());
                if (length > longest && config.sft->filter_overlong) {
                  set.filtered += 1;
                  return;
                }
                CHECK_INPUT(length <= longest,
                            "it has {} tokens; sft.max_length allows {}. Raise it, or set sft.filter_overlong: true to leave such rows out", length, longest);
                set.examples.push_back(std::move(examples[i]));
              });
  CHECK_INPUT(!set.examples.empty(), "{}: all {} rows are longer than sft.max_length {}", name, rows.size(), longest);
  set.fingerprint = fingerprint_examples(set.examples);
  return set;
}

SftData load_sft_data(const Config& config, const LoadedModel& model, const Exec& ex) {
  const DataSection& data = config.data;
  SftData sets;
  if (data.task) {
    const TaskData task = load_data(data);
    sets.train = encode_examples(task.train.name, example_rows(task.train), model, config, ex);
    if (!task.eval.problems.empty()) sets.eval = encode_examples(task.eval.name, example_rows(task.eval), model, config, ex);
    return sets;
  }
  sets.train = encode_examples(data.train.path, load_example_rows(data.train.path, 0, data.columns), model, config, ex);
  if (!data.eval.empty()) sets.eval = encode_examples(data.eval.path, load_example_rows(data.eval.path, data.max_eval_samples, data.columns), model, config, ex);
  return sets;
}

}  // namespace cohort
