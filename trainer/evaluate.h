// How good a policy is on a data set: completions of each problem, scored by the config's rewards, and what they say together.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "comm/comm.h"
#include "reward/reward.h"
#include "rollout/generator.h"
#include "trainer/dataset.h"
#include "trainer/eval_statistics.h"
#include "trainer/experience.h"

namespace cohort {

// The config's keys of evaluation.
struct EvalSetting {
  int64_t samples = 1;             // completions of each problem
  std::vector<int64_t> pass_at_k;  // each at most `samples`
  double pass_threshold = 1;       // a completion is correct from this score of the first reward on
};
EvalSetting eval_setting(const Config& config);

struct PassAtK {
  int64_t k = 1;
  double value = 0;
  Interval ci;
};

// A number over problems that could be judged, with its 95 % interval.
struct Estimate {
  double value = 0;
  Interval ci;
};

struct EvalResult {
  std::string set;            // the source's name, where the config lists several; else empty
  std::string data;           // file or task, for messages
  double accuracy = 0;        // mean score of the first reward: of a problem's completions that it could judge, then of problems
  Interval accuracy_ci;
  const char* ci_method = "wilson";  // one completion a problem, right or wrong; else "bootstrap", over problems. The others': bootstrap
  std::vector<PassAtK> pass_at_k;    // with several completions a problem; so is the majority
  std::optional<Estimate> majority;  // score of the majority's answer; nothing where the first reward takes no answers
  double reward = 0;          // mean weighted total
  double mean_length = 0;     // tokens
  double truncated = 0;       // fraction that hit max_completion_length
  int64_t problems = 0, samples = 1;
  int64_t judged = 0;         // completions with a score of the first reward; 0: all are among `missing`
  std::vector<Rollout> rollouts;          // problem by problem, on every rank; so are the next three
  std::vector<std::string> completions;   // their text, special tokens skipped
  std::vector<RewardSet::Row> scores;
  std::vector<std::vector<std::string>> reasons;  // of each completion's scores (reward_reasons.h)
  std::vector<MissingScores> missing;
};

// "eval/accuracy", "eval/avg@8", "eval/pass@4", "eval/maj@8", ...; of a named set "eval/SET/accuracy". Intervals are
// NAME/ci95_low and NAME/ci95_high.
struct EvalMetric {
  std::string name;
  double value;
};
std::vector<EvalMetric> eval_metrics(const EvalResult& result);
// Those of several sets, and then eval/accuracy: the plain mean of the sets'. A set in which nothing could be judged has none.
std::vector<EvalMetric> eval_metrics(const std::vector<EvalResult>& results);
// All that may come of a config, without the intervals: what trainer.metric_for_best_model can be.
std::vector<std::string> eval_metric_names(const Config& config);

// One line of JSON for completion `i` of the result: {"set"?, "id", "sample", "completion", "finish_reason", "reward", "rewards", ...}.
Json eval_completion(const EvalResult& result, const Dataset& data, const DataPart& part, size_t i, const std::vector<RewardSpec>& rewards);

// Tokens of the longest prompt; 0 for an empty data set.
int64_t longest_prompt(const Dataset& data);

// The sets of the data: its parts, or all of it without a name.
std::vector<DataPart> eval_parts(const Dataset& data);

// The problems of `part` are shared out over ranks; the result is the same on every rank and for any number of ranks, and does not
// depend on other parts. Exit code 3 when the first reward could judge no problem at all.
// Unless that is because its checker fails or is late, which the caller must look at (EvalResult::judged).
// Their tokens must be filled. `generator` carries sampling parameters; `step` is part of the draws' key.
EvalResult evaluate(const Dataset& data, const DataPart& part, const EvalSetting& setting, Generator& generator, const Tokenizer& tokenizer,
                    const RewardSet& rewards, uint32_t step, Comm& comm, const Exec& ex,
                    const std::function<void(int64_t done, int64_t total)>& progress = {},
                    double reward_timeout_s = kNoTimeout);

}  // namespace cohort
