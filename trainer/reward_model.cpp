#include "trainer/reward_model.h"

#include <algorithm>

#include "core/check.h"
#include "model/adapter_folder.h"

namespace cohort {
namespace {

using Conversations = std::span<const std::vector<int32_t>>;

LoadedModel load(const std::filesystem::path& path, const std::string& dtype, const Exec& ex) {
  load_reward_model_config(path);
  return load_model(path, dtype, 1, ex, PolicyUse::inference);
}

// Less is not worth a run of its own.
constexpr size_t kSharedTokens = 16;

size_t common_prefix(const std::vector<int32_t>& a, const std::vector<int32_t>& b) {
  const auto [at, other] = std::ranges::mismatch(a, b);
  return static_cast<size_t>(at - a.begin());
}

// Conversations [first, last) and the tokens that all of them begin with.
struct Alike {
  size_t last, prefix;
};

// As long as a further one does not cost more than half of what is shared.
Alike find_alike(Conversations conversations, size_t first) {
  Alike alike{first + 1, conversations[first].size()};
  for (; alike.last < conversations.size(); ++alike.last) {
    const size_t common = std::min(alike.prefix, common_prefix(conversations[first], conversations[alike.last]));
    const bool only_one = alike.last == first + 1;
    if (common < kSharedTokens || (!only_one && 2 * common < alike.prefix)) break;
    alike.prefix = common;
  }
  return alike.last == first + 1 ? Alike{alike.last, 0} : alike;
}

}  // namespace

ModelConfig load_reward_model_config(const std::filesystem::path& dir) {
  CHECK_INPUT(!is_adapter_folder(dir), "{0}: holds a LoRA adapter alone, and a reward model is needed whole; cohort import {0} OUT_DIR merges it into its base",
              dir.string());
  ModelConfig config = load_model_config(dir);
  CHECK_INPUT(config.is_classifier(), "{}: a {} writes texts and has no score; needed is a ...ForSequenceClassification of one label, as cohort rm makes them",
              dir.string(), config.architecture);
  return config;
}

ScorePass next_score_pass(const ModelConfig& config, Conversations conversations, size_t first) {
  ScorePass pass{.pack = {}, .last = first};
  TokenPack& pack = pass.pack;
  const auto full = [&](size_t more) {
    return !pack.rows.empty() &&
           (std::ssize(pack.rows) == kScoredTexts || static_cast<int64_t>(pack.tokens.size() + more) > kScoredRows);
  };
  while (pass.last < conversations.size()) {
    const Alike alike = find_alike(conversations, pass.last);
    const std::span<const int32_t> prefix = std::span(conversations[pass.last]).first(alike.prefix);
    if (full(conversations[pass.last].size())) return pass;
    const auto prefix_begin = static_cast<int64_t>(pack.tokens.size()), shared = std::ssize(prefix);
    append_run_behind(pack, prefix, prefix_begin, 0);
    for (const size_t begun = pass.last; pass.last < alike.last; ++pass.last) {
      const std::vector<int32_t>& tokens = conversations[pass.last];
      if (pass.last > begun && full(tokens.size() - alike.prefix)) return pass;
      const auto own_begin = static_cast<int64_t>(pack.tokens.size()), at = static_cast<int64_t>(score_position(config, tokens));
      append_run_behind(pack, std::span(tokens).subspan(alike.prefix), prefix_begin, shared);
      pack.rows.push_back(static_cast<int32_t>(at < shared ? prefix_begin + at : own_begin + at - shared));
      pack.targets.push_back(0);
    }
  }
  return pass;
}

RewardModel::RewardModel(const std::filesystem::path& path, const std::string& dtype, const Exec& ex)
    : ex_(ex),
      model_(load(path, dtype, ex)),
      fingerprint_(fmt::format("{} {}", dtype_name(model_.policy->dtype), weights_fingerprint(*model_.policy))) {}

std::vector<std::optional<float>> RewardModel::scores(Conversations conversations, Clock::time_point deadline) {
  std::vector<std::optional<float>> scores(conversations.size());
  for (size_t first = 0; first < conversations.size() && Clock::now() < deadline;) {
    const ScorePass pass = next_score_pass(model_.policy->config, conversations, first);
    const int64_t rows = std::max(kScoredRows, std::ssize(pass.pack.tokens));
    if (!state_ || state_->limits().tokens < rows) {
      state_.reset();  // free the smaller one first
      // Of one layer at a time: nothing is kept for a backward pass.
      state_ = std::make_unique<TrainState>(*model_.policy, TrainLimits{.tokens = rows, .targets = kScoredTexts, .forward_tokens = 0, .tape = true});
    }
    std::vector<float> of_pass(pass.pack.rows.size());
    pack_scores(*model_.policy, *state_, pass.pack, of_pass, ex_);
    std::ranges::copy(of_pass, scores.begin() + static_cast<std::ptrdiff_t>(first));
    first = pass.last;
  }
  return scores;
}

size_t RewardModel::bytes() const { return model_.policy->arena.bytes() + (state_ ? state_->bytes() : 0); }

}  // namespace cohort
