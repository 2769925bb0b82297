// The reward `code`: does the program in the completion pass the row's test cases?
#pragma once

#include <array>
#include <atomic>
#include <memory>

#include "reward/code/grader.h"
#include "reward/reward.h"

namespace cohort {

// Score: 1 when all cases pass, else 0; with `score: fraction` the share that passes. Nothing where the row cannot be
// judged or the machine failed (outcomes not_judged, infra_error). Options and columns: docs/code-reward.md.
//
// Programs run only where the options say `sandbox: local`; the constructor throws (exit code 2) without it, and where
// the machine lacks what the sandbox is made of, naming what and the remedy. Thread-safe.
class CodeReward : public Reward {
 public:
  explicit CodeReward(const RewardSpec& spec);

  std::optional<double> score(const RewardInput& input) const override;
  Verdict explain(const RewardInput& input) const override { return verdict(input, Clock::time_point::max()); }
  Verdict verdict(const RewardInput& input, Clock::time_point deadline) const override;
  int workers() const override { return pool_->workers(); }
  void abandon() const override { pool_->abandon(); }
  std::vector<std::string> outcome_names() const override;
  // The same with how many cases passed.
  CodeVerdict judge(const RewardInput& input, Clock::time_point deadline = Clock::time_point::max()) const;
  std::optional<double> score_of(const CodeVerdict& verdict) const;

  // How many verdicts of each outcome, by its number, were given so far, and how often a run had to be tried again.
  std::array<int64_t, kCodeOutcomes> outcomes() const;
  int64_t retries() const { return pool_->retries(); }

 private:
  CodeVerdict find_verdict(const RewardInput& input, Clock::time_point deadline) const;

  GraderOptions grader_;
  std::string column_, entry_point_;
  bool fraction_ = false, whole_completion_ = false;
  std::unique_ptr<SandboxPool> pool_;
  mutable std::array<std::atomic<int64_t>, kCodeOutcomes> outcomes_{};
};

}  // namespace cohort
