#include "trainer/judge_reward.h"

#include <algorithm>
#include <charconv>

#include "core/check.h"
#include "core/hash.h"
#include "core/text.h"
#include "model/text/chat_template_time.h"
#include "reward/judge_text.h"
#include "rollout/generator.h"
#include "trainer/generator_setup.h"
#include "trainer/guarded_text.h"

namespace cohort {
namespace {

enum Outcome : int { kJudged, kUnreadable };

Verdict none(std::string why, Missing missing, int outcome = -1) { return {std::nullopt, std::move(why), missing, outcome}; }

ChatSetting setting_of(const LoadedModel& model, const DataSection& data) {
  std::optional<std::tm> now;
  if (!data.now.empty()) now = parse_iso_time(data.now, "data.now");
  return chat_setting(model.tokenizer, /*allow_special_tokens=*/false, now);  // whatever the run allows its prompts: completions are untrusted
}

// The key of a question's draws: of its tokens, so that it is the same in any batch. Questions that share one draw alike, and no more.
uint32_t draw_key(std::span<const int32_t> tokens) {
  const std::string digest = fingerprint({reinterpret_cast<const char*>(tokens.data()), tokens.size_bytes()});
  uint32_t key = 0;
  std::from_chars(digest.data(), digest.data() + std::min<size_t>(8, digest.size()), key, 16);
  return key;
}

class JudgeReward final : public Reward {
 public:
  JudgeReward(const RewardSpec& spec, const JudgeOptions& options, const Config& config, std::shared_ptr<const LoadedModel> model,
              std::string fingerprint, const Exec& ex)
      : options_(options), model_(std::move(model)), fingerprint_(std::move(fingerprint)), ex_(ex), setting_(setting_of(*model_, config.data)),
        kwargs_(config.data.chat_template_kwargs), guard_(setting_, model_->chat_template.source()),
        template_(JudgeTemplate::parse(options.text, fmt::format("reward '{}': 'template'", spec.name))) {
    const int64_t positions = model_->policy->config.max_positions;
    CHECK_USAGE(options.max_completion_length < positions, "reward '{}': 'max_completion_length' is {}; {} has {} positions; allowed is less than that",
                spec.name, options.max_completion_length, options.path, positions);
    CHECK_USAGE(options.system.empty() || model_->chat_template.has_template(), "reward '{}': 'system' is a message, but {} has no chat template", spec.name,
                options.path);
    options_.max_prompt_length = std::min(options.max_prompt_length, positions - options.max_completion_length);
    GeneratorConfig generator;
    generator.sampling.temperature = static_cast<float>(options.temperature);
    generator.max_completion_length = options.max_completion_length;
    add_stops(generator, *model_, {}, {});
    generator.max_num_seqs = options.max_num_seqs;
    generator.seed = options.seed;
    generator_ = std::make_unique<Generator>(*model_->policy, generator, options_.max_prompt_length);
  }

  bool takes_batches() const override { return true; }
  std::optional<double> score(const RewardInput& input) const override { return explain(input).score; }
  Verdict explain(const RewardInput& input) const override { return judge_batch({&input, 1}, Clock::time_point::max()).front(); }
  std::vector<std::string> outcome_names() const override { return {"judged", "unreadable"}; }
  std::string fingerprint() const override { return fingerprint_; }

  std::vector<Verdict> judge_batch(std::span<const RewardInput> inputs, Clock::time_point deadline) const override {
    std::vector<Verdict> verdicts(inputs.size());
    std::vector<std::vector<int32_t>> questions(inputs.size());
    ex_.pool->run(std::ssize(inputs), [&](int64_t i, int) {
      const auto at = static_cast<size_t>(i);
      try {
        questions[at] = ask(inputs[at]);
      } catch (const Error& error) {
        if (error.code() != ExitCode::kInput) throw;
        verdicts[at] = none(error.what(), Missing::row);
      }
    });
    std::vector<GenerateRequest> requests;
    std::vector<size_t> numbers;
    for (size_t i = 0; i < questions.size(); ++i) {
      if (questions[i].empty()) continue;
      requests.push_back({.prompt = questions[i], .group = static_cast<int64_t>(i), .sequence = draw_key(questions[i])});
      numbers.push_back(i);
    }
    if (requests.empty()) return verdicts;
    const std::vector<Rollout> answers = generator_->generate(requests, 0, ex_, {}, [&] { return Clock::now() >= deadline; });
    for (size_t i = 0; i < answers.size(); ++i) verdicts[numbers[i]] = read(answers[i]);
    return verdicts;
  }

 private:
  // Never empty. Exit code 3 for what cannot be asked.
  std::vector<int32_t> ask(const RewardInput& input) const {
    std::string missing;
    const std::optional<std::string> question = template_.fill(input, missing);
    CHECK_INPUT(question.has_value(), "the row has no column '{}' that is a text or a number", missing);
    std::vector<int32_t> tokens;
    if (model_->chat_template.has_template()) {
      ChatInput chat{.messages = Json::array(), .kwargs = kwargs_};
      if (!options_.system.empty()) chat.messages.push_back({{"role", "system"}, {"content", options_.system}});
      chat.messages.push_back({{"role", "user"}, {"content", *question}});
      tokens = encode_chat(model_->chat_template, model_->tokenizer, chat, setting_).tokens;
    } else {
      const RenderedChat text = guard_(*question);
      tokens = model_->tokenizer.encode(text.text, /*add_special_tokens=*/true, text.guards);
    }
    CHECK_INPUT(!tokens.empty(), "the question has no tokens");
    CHECK_INPUT(std::ssize(tokens) <= options_.max_prompt_length, "the question has {} tokens; the judge reads {}", tokens.size(), options_.max_prompt_length);
    check_text_ids(tokens, model_->tokenizer, model_->policy->config.vocab_size, "the question");
    return tokens;
  }

  Verdict read(const Rollout& answer) const {
    if (answer.finish_reason == FinishReason::abort) return none("the judge was not done in time", Missing::timeout);
    const std::string text = model_->tokenizer.decode(answer.tokens, /*skip_special_tokens=*/true);
    const std::optional<double> score = read_verdict(text, options_.tag, options_.min, options_.max);
    if (!score)
      return none(fmt::format("no number from {} to {} in the last <{}>...</{}> of the judge's answer: {}", options_.min, options_.max, options_.tag,
                              options_.tag, dump_json(Json(text))),
                  Missing::row, kUnreadable);
    return {*score, fmt::format("the judge: {}", dump_json(Json(text))), Missing::row, kJudged};
  }

  JudgeOptions options_;
  std::shared_ptr<const LoadedModel> model_;
  std::string fingerprint_;
  Exec ex_;
  ChatSetting setting_;
  Json kwargs_;
  TextGuard guard_;
  JudgeTemplate template_;
  std::unique_ptr<Generator> generator_;
};

}  // namespace

std::unique_ptr<Reward> make_judge(const RewardSpec& spec, const Config& config, std::shared_ptr<const LoadedModel> model, std::string fingerprint,
                                   const Exec& ex) {
  return std::make_unique<JudgeReward>(spec, read_judge(spec), config, std::move(model), std::move(fingerprint), ex);
}

}  // namespace cohort
