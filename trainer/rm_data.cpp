#include "trainer/rm_data.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "core/hash.h"
#include "model/text/chat_template_input.h"
#include "model/transformer.h"
#include "trainer/jsonl_rows.h"
#include "trainer/row_texts.h"
#include "trainer/score_text.h"

namespace cohort {
namespace {

// The prompt's messages and the answer's.
Json conversation(const Json& prompt, const Json& answer, const char* column, const std::string& where) {
  Json messages = prompt.is_array() ? prompt : Json::array();
  if (answer.is_string()) {
    messages.push_back({{"role", "assistant"}, {"content", read_text(answer, column, where)}});
    return messages;
  }
  check_conversation(answer, column, where);
  for (const Json& message : answer) messages.push_back(message);
  CHECK_INPUT(messages.back()["role"] == "assistant", "{}: '{}' ends with a message of the assistant, found '{}'", where, column,
              messages.back()["role"].get<std::string>());
  return messages;
}

PairRow read_pair(const Json& row, const std::string& id, const std::string& where) {
  for (const char* column : {"chosen", "rejected"}) CHECK_INPUT(row.contains(column), "{}: the row has no '{}'", where, column);
  const Json prompt = row.value("prompt", Json()), &chosen = row["chosen"], &rejected = row["rejected"];
  PairRow pair{.id = id};
  if (prompt.is_array()) check_conversation(prompt, "prompt", where);
  if (prompt.is_array() || (prompt.is_null() && (chosen.is_array() || rejected.is_array()))) {
    pair.chosen_messages = conversation(prompt, chosen, "chosen", where);
    pair.rejected_messages = conversation(prompt, rejected, "rejected", where);
    CHECK_INPUT(!prompt.is_null() || (chosen.is_array() && rejected.is_array()),
                "{}: one of 'chosen' and 'rejected' is a text and the other a list of messages, without a 'prompt' that both answer", where);
  } else {
    if (!prompt.is_null()) pair.prompt = read_text(prompt, "prompt", where);
    for (const auto& [answer, column] : {std::pair{&chosen, "chosen"}, std::pair{&rejected, "rejected"}})
      CHECK_INPUT(!answer->is_array(), "{}: '{}' is a list of messages, but 'prompt' is a text; allowed: a text behind a text", where, column);
    pair.chosen = read_text(chosen, "chosen", where), pair.rejected = read_text(rejected, "rejected", where);
  }
  if (const auto margin = row.find("margin"); margin != row.end() && !margin->is_null()) {
    CHECK_INPUT(margin->is_number() && std::abs(margin->get<double>()) <= 1e6, "{}: 'margin' is a number, at most 1e6 of either sign; found {}", where,
                shown(margin->dump()));
    pair.margin = margin->get<double>();
  }
  if (row.contains("tools")) check_objects(row["tools"], "tools", where);
  if (row.contains("chat_template_kwargs")) check_template_kwargs(row["chat_template_kwargs"], "chat_template_kwargs", where);
  pair.tools = row.value("tools", Json());
  pair.kwargs = row.value("chat_template_kwargs", Json::object());
  return pair;
}

struct Encoded {
  PreferencePair pair;
  int64_t longest = 0;  // tokens of the longer conversation, as a whole
};

Encoded encode(const PairRow& row, const ScoreEncoder& encoder, const LoadedModel& model) {
  Encoded encoded{.pair = {.id = row.id, .chosen = {}, .rejected = {}, .margin = row.margin}};
  const bool texts = row.chosen_messages.empty();
  encoded.pair.chosen = texts ? encoder.text(row.prompt, row.chosen) : encoder.conversation(row.chosen_messages, row.tools, row.kwargs);
  encoded.pair.rejected = texts ? encoder.text(row.prompt, row.rejected) : encoder.conversation(row.rejected_messages, row.tools, row.kwargs);
  for (std::vector<int32_t>* tokens : {&encoded.pair.chosen, &encoded.pair.rejected}) {
    CHECK_INPUT(!tokens->empty(), "a conversation has no tokens");
    check_text_ids(*tokens, model.tokenizer, model.policy->config.vocab_size, "it");
    encoded.longest = std::max(encoded.longest, std::ssize(*tokens));
    tokens->resize(score_position(model.policy->config, *tokens) + 1);  // what follows is not looked at
  }
  return encoded;
}

std::string fingerprint_pairs(const std::vector<PreferencePair>& pairs) {
  std::string text;
  for (const PreferencePair& pair : pairs) {
    std::string one = fmt::format("{}\n{}\n", pair.id, pair.margin);
    for (const std::vector<int32_t>* tokens : {&pair.chosen, &pair.rejected})
      one += fmt::format("{}\n", tokens->size()), one.append(reinterpret_cast<const char*>(tokens->data()), tokens->size() * sizeof(int32_t));
    text += fingerprint(one);
  }
  return fingerprint(text);
}

}  // namespace

std::vector<PairRow> load_pair_rows(const std::filesystem::path& file, int64_t max_rows, const Json& columns) {
  std::vector<PairRow> rows;
  read_rows(file, max_rows, "'chosen' and 'rejected'", RowIds::any,
            [&](const Json& row, const std::string& id, const std::string& where) { rows.push_back(read_pair(row, id, where)); }, columns);
  return rows;
}

std::vector<PairRow> pair_rows(const Dataset& task) {
  const std::vector<Problem>& problems = task.problems;
  std::vector<PairRow> rows;
  for (size_t i = 0; i < problems.size(); ++i) {
    const Problem& problem = problems[i];
    CHECK_USAGE(!problem.solution.empty(), "problem '{}' of {} has no solution to learn from", problem.id, task.name);
    size_t other = 1;
    while (other < problems.size() && problems[(i + other) % problems.size()].solution == problem.solution) ++other;
    CHECK_USAGE(other < problems.size(), "all problems of {} have one solution, and none is worse", task.name);
    const std::string& worse = problems[(i + other) % problems.size()].solution;
    PairRow row{.id = problem.id};
    if (problem.messages.empty()) {
      row.prompt = problem.prompt, row.chosen = problem.solution, row.rejected = worse;
    } else {
      row.chosen_messages = row.rejected_messages = problem.messages;
      row.chosen_messages.push_back({{"role", "assistant"}, {"content", problem.solution}});
      row.rejected_messages.push_back({{"role", "assistant"}, {"content", worse}});
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

PairSet encode_pairs(const std::string& name, const std::vector<PairRow>& rows, const LoadedModel& model, const Config& config, const Exec& ex) {
  const int64_t longest = config.rm->max_length, positions = model.policy->config.max_positions;
  CHECK_USAGE(longest <= positions, "rm.max_length: found {}; the model has {} positions; allowed: at most that", longest, positions);
  PairSet set{.name = name};
  const ScoreEncoder encoder(model, config.data);
  std::vector<Encoded> encoded(rows.size());
  encode_rows(name, rows.size(), [&](size_t i) -> const std::string& { return rows[i].id; }, *ex.pool,
              [&](size_t i) { encoded[i] = encode(rows[i], encoder, model); },
              [&](size_t i) {
                if (encoded[i].longest > longest && config.rm->filter_overlong) {
                  set.filtered += 1;
                  return;
                }
                CHECK_INPUT(encoded[i].longest <= longest,
                            "a conversation has {} tokens; rm.max_length allows {}. Raise it, or set rm.filter_overlong: true to leave such pairs out",
                            encoded[i].longest, longest);
                set.pairs.push_back(std::move(encoded[i].pair));
              });
  CHECK_INPUT(!set.pairs.empty(), "{}: all {} rows are longer than rm.max_length {}", name, rows.size(), longest);
  set.equal = std::ranges::count_if(set.pairs, [](const PreferencePair& pair) { return pair.chosen == pair.rejected; });
  CHECK_INPUT(set.equal < std::ssize(set.pairs), "{}: 'chosen' and 'rejected' are the same in each of its {} pairs, which tells nothing of what is better", name,
              set.pairs.size());
  set.fingerprint = fingerprint_pairs(set.pairs);
  return set;
}

RmData load_rm_data(const Config& config, const LoadedModel& model, const Exec& ex) {
  const DataSection& data = config.data;
  RmData sets;
  if (data.task) {
    const TaskData task = load_data(data);
    sets.train = encode_pairs(task.train.name, pair_rows(task.train), model, config, ex);
    if (!task.eval.problems.empty()) sets.eval = encode_pairs(task.eval.name, pair_rows(task.eval), model, config, ex);
    return sets;
  }
  sets.train = encode_pairs(data.train.path, load_pair_rows(data.train.path, 0, data.columns), model, config, ex);
  if (!data.eval.empty()) sets.eval = encode_pairs(data.eval.path, load_pair_rows(data.eval.path, data.max_eval_samples, data.columns), model, config, ex);
  return sets;
}

}  // namespace cohort
