#include "trainer/model_rewards.h"

#include <filesystem>
#include <map>
#include <memory>

#include "core/check.h"
#include "reward/model_options.h"
#include "trainer/judge_reward.h"
#include "trainer/reward_model.h"
#include "trainer/score_text.h"

namespace cohort {
namespace {

Verdict none(std::string why, Missing missing) { return {std::nullopt, std::move(why), missing}; }

// {name: model}: the score of a reward model.
class ModelReward final : public Reward {
 public:
  ModelReward(const RewardSpec& spec, const ModelRewardOptions& options, const Config& config, std::shared_ptr<RewardModel> model)
      : user_message_(options.user_message), model_(std::move(model)), encoder_(model_->model(), config.data) {
    const int64_t positions = model_->model().policy->config.max_positions;
    CHECK_USAGE(options.max_length <= positions, "reward '{}': 'max_length' is {}; {} has {} positions; allowed is at most that", spec.name,
                options.max_length, options.path, positions);
    CHECK_USAGE(!user_message_ || model_->model().chat_template.has_template(),
                "reward '{}': 'prompt' is 'user_message', but {} has no chat template; allowed is as_given", spec.name, options.path);
    max_length_ = static_cast<size_t>(options.max_length > 0 ? options.max_length : positions);
  }

  bool takes_batches() const override { return true; }
  std::optional<double> score(const RewardInput& input) const override { return explain(input).score; }
  Verdict explain(const RewardInput& input) const override { return judge_batch({&input, 1}, Clock::time_point::max()).front(); }
  std::string fingerprint() const override { return model_->fingerprint(); }

  std::vector<Verdict> judge_batch(std::span<const RewardInput> inputs, Clock::time_point deadline) const override {
    std::vector<Verdict> verdicts(inputs.size());
    std::vector<std::vector<int32_t>> all(inputs.size()), conversations;
    model_->exec().pool->run(std::ssize(inputs), [&](int64_t i, int) {
      const auto at = static_cast<size_t>(i);
      try {
        all[at] = encode(inputs[at]);
      } catch (const Error& error) {
        if (error.code() != ExitCode::kInput) throw;
        verdicts[at] = none(error.what(), Missing::row);  // what cannot be a conversation of this model
      }
    });
    std::vector<size_t> numbers;
    for (size_t i = 0; i < all.size(); ++i)
      if (!all[i].empty()) conversations.push_back(std::move(all[i])), numbers.push_back(i);
    const std::vector<std::optional<float>> scores = model_->scores(conversations, deadline);
    for (size_t i = 0; i < numbers.size(); ++i) verdicts[numbers[i]] = verdict_of(scores[i], conversations[i]);
    return verdicts;
  }

 private:
  // Never empty.
  std::vector<int32_t> encode(const RewardInput& input) const {
    const std::string completion(input.completion);
    std::vector<int32_t> tokens;
    if (input.messages != nullptr || user_message_) {
      Json messages = input.messages != nullptr ? *input.messages : Json::array({{{"role", "user"}, {"content", std::string(input.prompt)}}});
      messages.push_back({{"role", "assistant"}, {"content", completion}});
      tokens = encoder_.conversation(messages);
    } else {
      tokens = encoder_.text(std::string(input.prompt), completion);
    }
    CHECK_INPUT(!tokens.empty(), "prompt and completion have no tokens");
    CHECK_INPUT(tokens.size() <= max_length_, "prompt and completion have {} tokens; the reward model reads {}", tokens.size(), max_length_);
    check_text_ids(tokens, model_->model().tokenizer, model_->model().policy->config.vocab_size, "the conversation");
    return tokens;
  }

  Verdict verdict_of(const std::optional<float>& score, const std::vector<int32_t>& tokens) const {
    if (!score) return none("the reward model did not come to it in time", Missing::timeout);
    const size_t at = score_position(model_->model().policy->config, tokens);
    return {static_cast<double>(*score), fmt::format("the logit at token {} of {}, '{}'", at + 1, tokens.size(), model_->model().tokenizer.token(tokens[at]))};
  }

  bool user_message_;
  size_t max_length_ = 0;
  std::shared_ptr<RewardModel> model_;
  ScoreEncoder encoder_;
};

struct JudgeModel {
  std::shared_ptr<const LoadedModel> model;
  std::string fingerprint;
};

JudgeModel load_judge(const JudgeOptions& options, const Exec& ex) {
  LoadedModel model = load_model(options.path, options.dtype, 1, ex, PolicyUse::inference);
  require_language_model(model.policy->config);
  const std::string fingerprint = fmt::format("{} {}", dtype_name(model.policy->dtype), weights_fingerprint(*model.policy));
  return {std::make_shared<const LoadedModel>(std::move(model)), fingerprint};
}

}  // namespace

RewardSet make_rewards(const Config& config, const Exec& ex) {
  using Key = std::pair<std::filesystem::path, std::string>;  // folder, dtype
  std::map<Key, std::shared_ptr<RewardModel>> models;
  std::map<Key, JudgeModel> judges;
  return RewardSet(config.reward, [&](const RewardSpec& spec) -> std::unique_ptr<Reward> {
    if (spec.reward() == "judge") {
      const JudgeOptions options = read_judge(spec);
      JudgeModel& judge = judges[{std::filesystem::weakly_canonical(options.path), options.dtype}];
      if (!judge.model) judge = load_judge(options, ex);
      return make_judge(spec, config, judge.model, judge.fingerprint, ex);
    }
    const ModelRewardOptions options = read_model_reward(spec);
    std::shared_ptr<RewardModel>& model = models[{std::filesystem::weakly_canonical(options.path), options.dtype}];
    if (!model) model = std::make_shared<RewardModel>(options.path, options.dtype, ex);
    return std::make_unique<ModelReward>(spec, options, config, model);
  });
}

std::string rewards_fingerprint(const RewardSet& rewards) {
  std::string all;
  for (size_t r = 0; r < rewards.size(); ++r)
    if (const std::string one = rewards.reward(r).fingerprint(); !one.empty()) all += fmt::format("{}{}: {}", all.empty() ? "" : ", ", rewards.specs()[r].name, one);
  return all;
}

}  // namespace cohort
