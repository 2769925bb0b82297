#include "trainer/evaluate.h"

#include <algorithm>

#include "core/check.h"
#include "trainer/experience.h"

namespace cohort {

int64_t longest_prompt(const Dataset& data) {
  size_t longest = 0;
  for (const Problem& problem : data.problems) longest = std::max(longest, problem.tokens.size());
  return static_cast<int64_t>(longest);
}

EvalResult evaluate(const Dataset& data, Generator& generator, const Tokenizer& tokenizer, const RewardSet& rewards,
                    uint32_t step, Comm& comm, const Exec& ex, const std::function<void(int64_t, int64_t)>& progress,
                    double reward_timeout_s) {
  CHECK(!data.problems.empty(), "evaluation on an empty data set");
  std::vector<const Problem*> problems;
  for (const Problem& problem : data.problems) problems.push_back(&problem);
  ExperienceMaker maker{generator, tokenizer, rewards, comm, ex};
  maker.reward_timeout_s = reward_timeout_s;
  std::vector<ScoredRollout> scored = maker.make(problems, 1, step, progress);

  EvalResult result;
  result.missing = std::move(maker.stats.missing);
  result.problems = static_cast<int64_t>(scored.size());
  double accuracy = 0, judged = 0, reward = 0, rewarded = 0;
  for (ScoredRollout& s : scored) {
    if (const auto& first = s.scores.scores.at(0)) accuracy += *first, judged += 1;
    if (s.scores.total) reward += *s.scores.total, rewarded += 1;
    result.mean_length += static_cast<double>(s.rollout.tokens.size());
    result.truncated += s.rollout.finish_reason == FinishReason::length ? 1 : 0;
    result.rollouts.push_back(std::move(s.rollout));
    result.completions.push_back(std::move(s.text));
    result.scores.push_back(std::move(s.scores));
  }
  const bool failed = std::ranges::any_of(result.missing, [](const MissingScores& missing) { return missing.reward == 0; });
  CHECK_INPUT(judged > 0 || failed, "{}: the reward could judge none of the {} problems: do the rows have the column it needs?",
              data.name, result.problems);
  const auto count = static_cast<double>(result.problems);
  result.judged = static_cast<int64_t>(judged);
  result.accuracy = judged > 0 ? accuracy / judged : 0;
  result.reward = rewarded > 0 ? reward / rewarded : 0;
  result.mean_length /= count;
  result.truncated /= count;
  return result;
}

}  // namespace cohort
