// cohort logprobs: the log-probability of each token of given texts, with the forward pass that
// training uses; of a reward model, the text's score.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/prompts.h"
#include "cli/records.h"
#include "model/transformer.h"

namespace cohort {
namespace {

constexpr size_t kPackTokens = 1024;  // rows of a forward pass, unless one text alone is longer

struct Options {
  ModelArguments model;
  RecordFiles files;
  ChatArguments chat;
  float temperature = 1;
};

struct Text {
  std::vector<int32_t> ids;
  std::string error;
};

std::vector<int32_t> record_ids(const Json& record, const LoadedModel& model,
                                const ChatArguments& arguments) {
  const int given = static_cast<int>(record.contains("ids")) +
                    static_cast<int>(record.contains("text")) +
                    static_cast<int>(record.contains("messages"));
  CHECK_INPUT(given == 1, "a record has one of 'ids', 'text' and 'messages', found {} of them",
              given);
  if (record.contains("ids")) return ids_of(record["ids"], model.policy->config.vocab_size);
  if (record.contains("text")) return text_tokens(model, get_string(record, "text", "the record"));
  const bool generation = get_bool_or(record, "add_generation_prompt", "the record", false);
  return chat_tokens(model, chat_of(record, record["messages"], arguments, generation), arguments);
}

Text make_text(Record record, const LoadedModel& model, const ChatArguments& arguments) {
  Text text;
  if (record.error.empty()) {
    serve_or_explain(record, [&]() -> Json {
      text.ids = record_ids(record.value, model, arguments);
      const size_t limit = static_cast<size_t>(model.policy->config.max_positions);
      CHECK_INPUT(!text.ids.empty(), "the text has no tokens");
      CHECK_INPUT(text.ids.size() <= limit,
                  "the text has {} tokens, more than the model's {} positions", text.ids.size(),
                  limit);
      return nullptr;
    });
  }
  text.error = std::move(record.error);
  return text;
}

// What the model looks at of a text: a language model at all of it, a classifier at one row.
void append(TokenPack& pack, const std::vector<int32_t>& ids, const ModelConfig& config) {
  if (!config.is_classifier()) return append_text(pack, ids);
  pack.rows.push_back(static_cast<int32_t>(pack.tokens.size() + score_position(config, ids)));
  pack.targets.push_back(0);
  append_run(pack, ids);
}

// The first token has no prediction: null, in both lists.
Json answer(const std::vector<int32_t>& ids, std::span<const float> logprobs,
            std::span<const float> entropies) {
  Json logprob_list = {nullptr}, entropy_list = {nullptr};
  for (const float value : logprobs) logprob_list.push_back(value);
  for (const float value : entropies) entropy_list.push_back(value);
  return {{"ids", ids}, {"logprobs", logprob_list}, {"entropy", entropy_list}};
}

class Scorer {
 public:
  Scorer(const LoadedModel& model, float temperature, RecordWriter& writer, const Exec& ex)
      : model_(model), temperature_(temperature), writer_(writer), ex_(ex) {}

  void add(Text text) {
    if (!pending_.empty() && pack_.tokens.size() + text.ids.size() > kPackTokens) flush();
    if (text.error.empty()) append(pack_, text.ids, model_.policy->config);
    pending_.push_back(std::move(text));
  }

  void flush() {
    std::vector<float> logprobs(pack_.targets.size()), entropies(pack_.targets.size());
    if (!pack_.targets.empty()) {
      const auto rows = static_cast<int64_t>(std::max(kPackTokens, pack_.tokens.size()));
      if (!state_ || state_->limits().tokens < rows) {
        state_.reset();  // free the smaller one first
        state_ = std::make_unique<TrainState>(*model_.policy, rows, rows);
      }
      if (model_.policy->config.is_classifier()) {
        pack_scores(*model_.policy, *state_, pack_, logprobs, ex_);
      } else {
        pack_logprobs(*model_.policy, *state_, pack_, temperature_, logprobs, entropies, ex_);
      }
    }
    size_t at = 0;
    for (const Text& text : pending_) {
      if (!text.error.empty()) {
        writer_.write_error(text.error);
        continue;
      }
      if (model_.policy->config.is_classifier()) {
        writer_.write({{"ids", text.ids}, {"score", logprobs[at++]}});
        continue;
      }
      const size_t count = text.ids.size() - 1;
      writer_.write(answer(text.ids, std::span(logprobs).subspan(at, count),
                           std::span(entropies).subspan(at, count)));
      at += count;
    }
    pending_.clear();
    pack_ = {};
  }

 private:
  const LoadedModel& model_;
  float temperature_;
  RecordWriter& writer_;
  Exec ex_;
  std::vector<Text> pending_;
  TokenPack pack_;
  std::unique_ptr<TrainState> state_;
};

int run(const Options& o) {
  CHECK_USAGE(!std::isnan(o.temperature), "--temperature is a number, found nan");
  ExecOwner owner(o.model.thread_count(), {}, o.model.gpu());
  const LoadedModel model = o.model.load(owner.exec());
  RecordReader reader(o.files.input);
  RecordWriter writer(o.files);
  Scorer scorer(model, o.temperature, writer, owner.exec());
  for (Record record; reader.next(record);) scorer.add(make_text(std::move(record), model, o.chat));
  scorer.flush();
  return writer.finish();
}

}  // namespace

Action add_logprobs(App& app) {
  auto o = std::make_shared<Options>();
  o->model.add_options(app);
  o->chat.add_options(app);
  o->files.add_options(app);
  app.add_option("--temperature", o->temperature, "the logits are divided by it")
      .range(1e-3, 100.0)
      .show_default();
  app.footer(
      "A line in: {\"ids\"}, {\"text\"} (with the special tokens that the tokenizer adds) or "
      "{\"messages\"}.\nA line out: {\"ids\", \"logprobs\": [null, ...], \"entropy\": [null, "
      "...]}, "
      "in nats; entry i is\nof the distribution that predicts ids[i] from ids[0..i). Of a reward "
      "model: {\"ids\", \"score\"}.");
  return [o] { return run(*o); };
}

}  // namespace cohort
