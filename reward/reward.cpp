#include "reward/reward.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <new>

#include "core/check.h"
#include "core/text.h"
#include "reward/model_options.h"
#include "reward/rewards.h"

namespace cohort {
namespace {

struct Entry {
  const char *name, *summary;
  std::unique_ptr<Reward> (*make)(const RewardSpec&);  // null: it is a model, and made above
  const OptionTable& (*options)();
  void (*check)(const RewardSpec&) = nullptr;  // of the options alone, where `make` does more than look at them
};

constexpr std::array kRewards = {
    Entry{"last_number", "1 when the last number of the completion is that of the column, else 0", make_last_number, last_number_options},
    Entry{"exact", "1 when the completion is the text of the column, else 0", make_exact, exact_options},
    Entry{"format", "1 for <think>...</think><answer>...</answer> and nothing else, else 0", make_format, format_options},
    Entry{"math", "1 when the answer in the completion equals that of the column by the rules of mathematics, else 0", make_math, math_options},
    Entry{"length", "1 when the length of the completion is within limits, else 0", make_length, length_options},
    Entry{"soft_overlong", "0, falling to -1 before the longest allowed length (Yu et al. 2025, DAPO)", make_soft_overlong, soft_overlong_options},
    Entry{"cosine_length", "more for short correct completions, less for short wrong ones, along a cosine", make_cosine_length, cosine_length_options},
    Entry{"repetition", "0, and less the more n-grams of the completion come again", make_repetition, repetition_options},
    Entry{"keywords", "the share of required texts that the completion has; 0 for a forbidden one", make_keywords, keywords_options},
    Entry{"regex", "1 when the completion matches a regular expression, else 0", make_regex, regex_options},
    Entry{"language", "the share of the completion's letters that are of one script, or of its words that are of one language", make_language, language_options},
    Entry{"json", "1 when the completion is JSON that fits a schema, else 0", make_json, json_options},
    Entry{"similarity", "how much of the column is in the completion, from 0 to 1", make_similarity, similarity_options},
    Entry{"reasoning_gym", "the score that reasoning-gym gives its own tasks", make_reasoning_gym, reasoning_gym_options},
    Entry{"code", "1 when the program in the completion passes the row's test cases in a sandbox, else 0", make_code, code_options, check_code},
    Entry{"command", "what a program of one's own answers", make_command, command_options, check_command},
    Entry{"http", "what a server answers", make_http, http_options, check_http},
    Entry{"library", "what a function in a shared library gives", make_library, library_options, check_library},
    Entry{"model", "the score of a reward model", nullptr, model_reward_options, check_model_reward},
    Entry{"judge", "what a language model says of the completion, from 0 to 1", nullptr, judge_options, check_judge},
};

const Entry& find_entry(const std::string& name) {
  for (const Entry& entry : kRewards)
    if (name == entry.name) return entry;
  const std::vector<std::string> names = reward_names();
  const std::string nearest = nearest_name(name, names);
  fail(ExitCode::kUsage, "unknown reward '{}';{} allowed are {}", name,
       nearest.empty() ? "" : fmt::format(" did you mean '{}'?", nearest), fmt::join(names, ", "));
}

void check_weight(const RewardSpec& spec) {
  CHECK_USAGE(std::abs(spec.weight) <= kMaxRewardWeight,  // false for NaN
              "reward '{}': weight {} is not in [{}, {}]", spec.name, spec.weight, -kMaxRewardWeight, kMaxRewardWeight);
}

}  // namespace

std::vector<std::string> reward_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kRewards) names.push_back(entry.name);
  return names;
}

std::string reward_summary(const std::string& name) { return find_entry(name).summary; }

const OptionTable& reward_options(const std::string& name) { return find_entry(name).options(); }

void check_reward(const RewardSpec& spec) {
  check_weight(spec);
  const Entry& entry = find_entry(spec.reward());
  if (entry.check != nullptr)
    entry.check(spec);
  else
    entry.make(spec);
}

std::unique_ptr<Reward> make_reward(const RewardSpec& spec) {
  const Entry& entry = find_entry(spec.reward());
  CHECK(entry.make != nullptr, "reward '{}' is a model, and nobody is here to make one", spec.name);
  return entry.make(spec);
}

bool is_model_reward(const RewardSpec& spec) { return find_entry(spec.reward()).make == nullptr; }

RewardSet::RewardSet(std::vector<RewardSpec> specs, const ModelRewardMaker& make_model) : specs_(std::move(specs)) {
  for (const RewardSpec& spec : specs_) check_reward(spec);  // all of them before any of them starts something
  check();
  for (const RewardSpec& spec : specs_) rewards_.push_back(make_model && is_model_reward(spec) ? make_model(spec) : make_reward(spec));
}

RewardSet::RewardSet(std::vector<RewardSpec> specs, std::vector<std::unique_ptr<Reward>> rewards)
    : specs_(std::move(specs)), rewards_(std::move(rewards)) {
  CHECK(specs_.size() == rewards_.size(), "{} rewards for {} specs", rewards_.size(), specs_.size());
  check();
}

void RewardSet::check() const {
  for (size_t i = 0; i < specs_.size(); ++i) {
    const RewardSpec& spec = specs_[i];
    check_weight(spec);
    const auto same = [&](const RewardSpec& other) { return other.name == spec.name; };
    CHECK_USAGE(std::none_of(specs_.begin(), specs_.begin() + i, same),
                "reward '{}' is listed twice, and their metrics would have one name; give one of them a label of its own, e.g. "
                "{{name: {}, label: {}_2}}",
                spec.name, spec.reward(), spec.name);
  }
}

namespace {

Verdict failed(std::string why) { return {std::nullopt, std::move(why), Missing::error}; }

// The exception in flight as what it costs each completion that it is about.
Verdict failed_by_exception() {
  try {
    throw;
  } catch (const Error& error) {
    // A server that is gone or a program that cannot be started again fails every completion: that is for the caller.
    if (error.code() == ExitCode::kRankFailed) throw;
    return failed(error.what());
  } catch (const std::bad_alloc&) {
    throw;  // the rank's memory is at its end: whose completion meets that is chance, and scores must not depend on it
  } catch (const std::exception& error) {
    return failed(error.what());
  } catch (...) {
    return failed("an unknown exception");
  }
}

Verdict with_finite_score(Verdict verdict) {
  if (verdict.score && !std::isfinite(*verdict.score)) return failed(fmt::format("the score is {}", *verdict.score));
  return verdict;
}

}  // namespace

Verdict RewardSet::verdict(size_t reward, const RewardInput& input, Clock::time_point deadline) const {
  try {
    return with_finite_score(rewards_.at(reward)->verdict(input, deadline));
  } catch (...) {
    return failed_by_exception();
  }
}

std::vector<Verdict> RewardSet::verdicts(size_t reward, std::span<const RewardInput> inputs, Clock::time_point deadline) const {
  try {
    std::vector<Verdict> verdicts = rewards_.at(reward)->judge_batch(inputs, deadline);
    CHECK(verdicts.size() == inputs.size(), "{} verdicts of {} completions", verdicts.size(), inputs.size());
    for (Verdict& verdict : verdicts) verdict = with_finite_score(std::move(verdict));
    return verdicts;
  } catch (...) {
    return std::vector<Verdict>(inputs.size(), failed_by_exception());
  }
}

RewardSet::Row RewardSet::row(std::span<const Verdict> verdicts) const {
  CHECK(verdicts.size() == rewards_.size(), "{} verdicts of {} rewards", verdicts.size(), rewards_.size());
  Row row;
  for (size_t i = 0; i < verdicts.size(); ++i) {
    const Verdict& verdict = verdicts[i];
    row.scores.push_back(verdict.score);
    row.ends.push_back({verdict.score ? std::nullopt : std::optional(verdict.missing), verdict.outcome});
    if (verdict.score) row.total = row.total.value_or(0.0) + specs_[i].weight * *verdict.score;
  }
  return row;
}

RewardSet::Row RewardSet::score(const RewardInput& input) const {
  std::vector<Verdict> verdicts;
  for (size_t i = 0; i < rewards_.size(); ++i) verdicts.push_back(verdict(i, input, Clock::now() + std::chrono::hours(24 * 365)));
  return row(verdicts);
}

std::string outcome_text(const Reward& reward, const ScoreEnd& end) {
  const std::vector<std::string> names = reward.outcome_names();
  if (end.outcome >= 0 && static_cast<size_t>(end.outcome) < names.size()) return names[static_cast<size_t>(end.outcome)];
  if (!end.missing) return "scored";
  constexpr const char* kNames[] = {"none", "timeout", "error"};
  return kNames[static_cast<size_t>(*end.missing)];
}

}  // namespace cohort
