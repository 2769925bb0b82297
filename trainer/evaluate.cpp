#include "trainer/evaluate.h"

#include <algorithm>

#include "core/check.h"
#include "core/threads.h"
#include "reward/score_json.h"
#include "trainer/reward_reasons.h"
#include "trainer/experience.h"

namespace cohort {
namespace {

// A problem's completions.
struct Samples {
  double score = 0, judged = 0;  // of the first reward
  int64_t correct = 0;
};

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

Estimate estimate(const std::vector<double>& of_problems) { return {mean_of(of_problems), bootstrap_interval(of_problems)}; }

bool right_or_wrong(const std::vector<double>& values) {
  return std::ranges::all_of(values, [](double value) { return value == 0 || value == 1; });
}

// The first reward's score of the answer that most of each problem's completions give, 0 where none gives one; of the problems that
// `counts` says.
std::vector<double> majority_scores(const EvalResult& result, std::span<const Problem> problems, const std::vector<bool>& counts,
                                    const Reward& reward, const Exec& ex) {
  const auto samples = static_cast<size_t>(result.samples);
  std::vector<double> scores(problems.size());
  ex.pool->run(std::ssize(problems), [&](int64_t p, int) {
    std::vector<std::optional<std::string>> answers;
    const auto first = static_cast<size_t>(p) * samples;
    for (size_t i = first; i < first + samples; ++i)
      answers.push_back(result.scores[i].scores.at(0) ? reward.answer(result.completions[i]) : std::nullopt);
    const std::optional<size_t> winner = majority(samples, [&](size_t i) { return answers[i].has_value(); },
                                                  [&](size_t a, size_t b) { return reward.same_answer(*answers[a], *answers[b]); });
    if (winner) scores[static_cast<size_t>(p)] = *result.scores[first + *winner].scores[0];
  });
  std::vector<double> judged;
  for (size_t p = 0; p < scores.size(); ++p)
    if (counts[p]) judged.push_back(scores[p]);
  return judged;
}

void set_statistics(EvalResult& result, const EvalSetting& setting, std::span<const Problem> problems, const Reward& reward, const Exec& ex) {
  const auto samples = static_cast<size_t>(setting.samples);
  std::vector<Samples> all(problems.size());
  for (size_t i = 0; i < result.scores.size(); ++i) {
    const std::optional<double>& score = result.scores[i].scores.at(0);
    if (!score) continue;
    Samples& of = all[i / samples];
    of.score += *score, of.judged += 1, of.correct += *score >= setting.pass_threshold;
  }
  std::vector<double> means;
  std::vector<bool> counts;
  for (const Samples& of : all) {
    counts.push_back(of.judged > 0);
    if (of.judged > 0) means.push_back(of.score / of.judged);
  }
  if (means.empty()) return;
  result.accuracy = mean_of(means);
  if (samples == 1 && right_or_wrong(means)) {
    result.accuracy_ci = wilson_interval(std::ranges::count(means, 1.0), std::ssize(means));
  } else {
    result.accuracy_ci = bootstrap_interval(means);
    result.ci_method = "bootstrap";
  }
  if (samples == 1) return;
  for (const int64_t k : setting.pass_at_k) {
    std::vector<double> of_problems;  // a completion without a score is not correct
    for (const Samples& of : all)
      if (of.judged > 0) of_problems.push_back(pass_at_k(setting.samples, of.correct, k));
    const Estimate found = estimate(of_problems);
    result.pass_at_k.push_back({k, found.value, found.ci});
  }
  if (reward.takes_answers()) result.majority = estimate(majority_scores(result, problems, counts, reward, ex));
}

std::string prefix_of(const std::string& set) { return set.empty() ? "eval/" : "eval/" + set + "/"; }

void add(std::vector<EvalMetric>& metrics, const std::string& name, double value, const Interval& ci) {
  metrics.push_back({name, value});
  metrics.push_back({name + "/ci95_low", ci.low});
  metrics.push_back({name + "/ci95_high", ci.high});
}

}  // namespace

EvalSetting eval_setting(const Config& config) {
  EvalSetting setting{.samples = config.rollout.num_generations_eval, .pass_at_k = config.trainer.eval_pass_at_k,
                      .pass_threshold = config.trainer.eval_pass_threshold};
  if (!setting.pass_at_k.empty()) {
    std::ranges::sort(setting.pass_at_k);
    const auto repeated = std::ranges::unique(setting.pass_at_k);
    setting.pass_at_k.erase(repeated.begin(), repeated.end());
    return setting;
  }
  for (int64_t k = 1; k < setting.samples; k *= 2) setting.pass_at_k.push_back(k);
  setting.pass_at_k.push_back(setting.samples);
  return setting;
}

std::vector<EvalMetric> eval_metrics(const EvalResult& result) {
  const std::string prefix = prefix_of(result.set);
  std::vector<EvalMetric> metrics;
  add(metrics, prefix + "accuracy", result.accuracy, result.accuracy_ci);
  if (result.samples > 1) metrics.push_back({fmt::format("{}avg@{}", prefix, result.samples), result.accuracy});
  for (const PassAtK& pass : result.pass_at_k) add(metrics, fmt::format("{}pass@{}", prefix, pass.k), pass.value, pass.ci);
  if (result.majority) add(metrics, fmt::format("{}maj@{}", prefix, result.samples), result.majority->value, result.majority->ci);
  metrics.push_back({prefix + "reward", result.reward});
  metrics.push_back({prefix + "mean_length", result.mean_length});
  metrics.push_back({prefix + "clipped_ratio", result.truncated});
  return metrics;
}

std::vector<EvalMetric> eval_metrics(const std::vector<EvalResult>& results) {
  std::vector<EvalMetric> metrics;
  std::vector<double> accuracies;
  for (const EvalResult& result : results) {
    if (result.judged == 0) continue;
    const std::vector<EvalMetric> of = eval_metrics(result);
    metrics.insert(metrics.end(), of.begin(), of.end());
    accuracies.push_back(result.accuracy);
  }
  if (!accuracies.empty() && !results.front().set.empty()) metrics.push_back({"eval/accuracy", mean_of(accuracies)});
  return metrics;
}

std::vector<std::string> eval_metric_names(const Config& config) {
  const EvalSetting setting = eval_setting(config);
  std::vector<std::string> names;
  std::vector<DataSource> sets = config.data.eval.sources;
  if (sets.empty()) sets.push_back({});
  for (const DataSource& set : sets) {
    const std::string prefix = prefix_of(set.name);
    names.push_back(prefix + "accuracy");
    if (setting.samples > 1) {
      names.push_back(fmt::format("{}avg@{}", prefix, setting.samples));
      for (const int64_t k : setting.pass_at_k) names.push_back(fmt::format("{}pass@{}", prefix, k));
      names.push_back(fmt::format("{}maj@{}", prefix, setting.samples));
    }
    for (const char* name : {"reward", "mean_length", "clipped_ratio"}) names.push_back(prefix + name);
  }
  if (!sets.front().name.empty()) names.push_back("eval/accuracy");
  return names;
}

Json eval_completion(const EvalResult& result, const Dataset& data, const DataPart& part, size_t i, const std::vector<RewardSpec>& rewards) {
  const RewardSet::Row& row = result.scores[i];
  const auto samples = static_cast<size_t>(result.samples);
  const Problem& problem = data.problems[static_cast<size_t>(part.begin) + i / samples];
  Json line = Json::object();
  if (!result.set.empty()) line["set"] = result.set;
  line["id"] = problem.id;
  line["sample"] = i % samples;
  line["prompt_ids"] = problem.tokens;
  line["completion"] = result.completions[i];
  line["finish_reason"] = finish_reason_name(result.rollouts[i].finish_reason);
  line["reward"] = or_null(row.total);
  line["rewards"] = scores_by_name(row, rewards);
  line["explain"] = reasons_by_name(result.reasons[i], rewards);
  return line;
}

int64_t longest_prompt(const Dataset& data) {
  size_t longest = 0;
  for (const Problem& problem : data.problems) longest = std::max(longest, problem.tokens.size());
  return static_cast<int64_t>(longest);
}

std::vector<DataPart> eval_parts(const Dataset& data) {
  if (!data.parts.empty()) return data.parts;
  return {{.name = "", .file = "", .begin = 0, .end = static_cast<int64_t>(data.problems.size())}};
}

EvalResult evaluate(const Dataset& data, const DataPart& part, const EvalSetting& setting, Generator& generator, const Tokenizer& tokenizer,
                    const RewardSet& rewards, uint32_t step, Comm& comm, const Exec& ex, const std::function<void(int64_t, int64_t)>& progress,
                    double reward_timeout_s) {
  CHECK(part.size() > 0 && part.end <= std::ssize(data.problems), "evaluation on problems {} to {} of {}", part.begin, part.end, data.problems.size());
  const std::span<const Problem> of_part = std::span(data.problems).subspan(static_cast<size_t>(part.begin), static_cast<size_t>(part.size()));
  std::vector<const Problem*> problems;
  for (const Problem& problem : of_part) problems.push_back(&problem);
  ExperienceMaker maker{generator, tokenizer, rewards, comm, ex};
  maker.reward_timeout_s = reward_timeout_s;
  std::vector<ScoredRollout> scored = maker.make(problems, setting.samples, step, progress);

  EvalResult result{.set = part.name, .data = part.file.empty() ? data.name : part.file};
  result.missing = std::move(maker.stats.missing);
  result.problems = part.size();
  result.samples = setting.samples;
  double reward = 0, rewarded = 0;
  for (ScoredRollout& s : scored) {
    result.judged += s.scores.scores.at(0).has_value();
    if (s.scores.total) reward += *s.scores.total, rewarded += 1;
    result.mean_length += static_cast<double>(s.rollout.tokens.size());
    result.truncated += s.rollout.finish_reason == FinishReason::length ? 1 : 0;
    result.rollouts.push_back(std::move(s.rollout));
    result.completions.push_back(std::move(s.text));
    result.scores.push_back(std::move(s.scores));
    result.reasons.push_back(std::move(s.reasons));
  }
  const bool failed = std::ranges::any_of(result.missing, [](const MissingScores& missing) { return missing.reward == 0; });
  CHECK_INPUT(result.judged > 0 || failed, "{}{}: the reward could judge none of the {} problems: do the rows have the column it needs?",
              result.data, part.name.empty() ? "" : fmt::format(", set '{}'", part.name), result.problems);
  const auto count = static_cast<double>(result.completions.size());
  result.reward = rewarded > 0 ? reward / rewarded : 0;
  result.mean_length /= count;
  result.truncated /= count;
  set_statistics(result, setting, of_part, rewards.reward(0), ex);
  return result;
}

}  // namespace cohort
