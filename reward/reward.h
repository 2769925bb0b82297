// Rewards: text in, score out. A reward knows only strings and numbers: no model, no tokenizer.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/json.h"
#include "reward/verdict.h"

namespace cohort {

class TaskFeed;

// What a reward may look at. `columns`: the data row's other columns ("answer", ...).
struct RewardInput {
  std::string_view prompt, completion;
  std::string_view finish_reason;  // "stop" or "length"
  const Json* columns;
  bool opens_thinking = false;  // the prompt ended with <think>, which the completion then lacks
  std::span<const int32_t> ids = {};  // the completion's tokens; empty where they are not known
  const Json* messages = nullptr;     // the prompt where it is a list of messages; `prompt` is then empty
};

class Reward {
 public:
  virtual ~Reward() = default;
  // The score, or nothing when the row cannot be judged (left out and counted). A pure function of
  // the input.
  virtual std::optional<double> score(const RewardInput& input) const = 0;
  // The same score, with the reason where the reward has one to give.
  virtual Verdict explain(const RewardInput& input) const { return {score(input), ""}; }

  // Whether it takes answers from texts; answer(): that of a completion, as the score sees it, for votes over several; nothing: there is
  // none. Pure functions, from several threads at a time.
  virtual bool takes_answers() const { return false; }
  virtual std::optional<std::string> answer(std::string_view /*completion*/) const { return std::nullopt; }
  // Whether two of them are one answer.
  virtual bool same_answer(const std::string& a, const std::string& b) const { return a == b; }

  // What training and `cohort score` ask for, from several threads at a time. A reward that waits for another process
  // gives up at `deadline` (Missing::timeout); one that computes here has budgets and needs no clock.
  virtual Verdict verdict(const RewardInput& input, Clock::time_point /*deadline*/) const { return explain(input); }
  // How many threads call it at a time because it waits for other processes; 0: it computes here. Those that wait begin while
  // completions are still being made.
  virtual int workers() const { return 0; }
  // It is not called for one completion at a time: one thread hands it a feed of them (reward/feed.h), and it decides how many it has
  // judged at a time. serve() returns when the feed is over and each task that was taken has its verdict; what it throws costs
  // the tasks that have none, and it is called again, but for exit code 4.
  virtual bool takes_feed() const { return false; }
  virtual void serve(TaskFeed& /*feed*/) const {}
  // It judges many completions at a time, with threads of its own choosing: a model. Called once all are there, from the thread that
  // scores, one call at a time; a verdict a completion, in order, and none depends on what else is in the call. What is not judged at
  // `deadline` goes without (Missing::timeout). A single completion is judged by score(), as ever.
  virtual bool takes_batches() const { return false; }
  virtual std::vector<Verdict> judge_batch(std::span<const RewardInput> /*inputs*/, Clock::time_point /*deadline*/) const { return {}; }
  // What decides the scores beside the options, for checkpoints: the weights of a model. "": nothing.
  virtual std::string fingerprint() const { return ""; }
  // The run is failing, and nobody waits for verdicts any more: those in progress end within seconds, later ones at once.
  virtual void abandon() const {}
  // Words for Verdict::outcome, each counted as the metric rewards/NAME/outcome/WORD.
  virtual std::vector<std::string> outcome_names() const { return {}; }
};

// One entry of the config's `reward` list: {name: last_number, label: ..., weight: 1.0, ...options}.
struct RewardSpec {
  std::string name;  // in metrics and messages: the entry's label, or without one its name
  double weight = 1.0;
  Json options;      // the other keys; each reward refuses those it does not know (exit code 2)
  std::string kind = {};  // the entry's name, where it has a label; else empty

  const std::string& reward() const { return kind.empty() ? name : kind; }
};

// Throws (exit code 2) for a weight or options that are wrong by themselves, and for an unknown name, with the nearest known one.
// Starts nothing, asks nobody, and looks at nothing but the spec: what is right stays right.
void check_reward(const RewardSpec& spec);
// Ready to score: programs are started, servers asked, libraries loaded. Throws as check_reward does, and (exit code 2) where that
// does not work.
std::unique_ptr<Reward> make_reward(const RewardSpec& spec);
std::vector<std::string> reward_names();

// Rewards that are models are made above, where models are known: this folder has their names and reads their options
// (reward/model_options.h). Null: there are none to be made.
using ModelRewardMaker = std::function<std::unique_ptr<Reward>(const RewardSpec&)>;
bool is_model_reward(const RewardSpec& spec);

// How one score ended, for metrics.
struct ScoreEnd {
  std::optional<Missing> missing;  // why there is none
  int outcome = -1;                // as in Verdict
};

// Several rewards with weights. A row has one entry a reward; total: the weighted sum of the scores that are there, or
// nothing when none is.
class RewardSet {
 public:
  // Makes them; those that are models by `make_model`.
  explicit RewardSet(std::vector<RewardSpec> specs, const ModelRewardMaker& make_model = {});
  // The same with rewards that were made elsewhere, one a spec.
  RewardSet(std::vector<RewardSpec> specs, std::vector<std::unique_ptr<Reward>> rewards);
  struct Row {
    std::vector<std::optional<double>> scores;
    std::optional<double> total;
    std::vector<ScoreEnd> ends;
  };
  // One reward after the other, without a deadline; reward/scorer.h has many completions judged at a time.
  Row score(const RewardInput& input) const;

  // Whatever a reward throws, and a score that is no finite number, costs this score only (Missing::error); but an Error with
  // exit code 4 goes on: no completion can be scored any more.
  Verdict verdict(size_t reward, const RewardInput& input, Clock::time_point deadline) const;
  // The same of a reward that takes batches; what it throws costs all of their scores.
  std::vector<Verdict> verdicts(size_t reward, std::span<const RewardInput> inputs, Clock::time_point deadline) const;
  Row row(std::span<const Verdict> verdicts) const;  // one a reward

  const std::vector<RewardSpec>& specs() const { return specs_; }
  const Reward& reward(size_t index) const { return *rewards_.at(index); }
  size_t size() const { return rewards_.size(); }

 private:
  void check() const;

  std::vector<RewardSpec> specs_;
  std::vector<std::unique_ptr<Reward>> rewards_;
};

// For people: the reward's own word, or "scored", "none", "timeout", "error".
std::string outcome_text(const Reward& reward, const ScoreEnd& end);

}  // namespace cohort
