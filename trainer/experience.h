// Experience: prompts to scored completions, shared out over ranks and brought together again on every rank.
//
// Any rank may generate any completion: its draws are keyed by its place in the step, so who does what changes no bit.
// Rewards that wait for other processes judge a completion as soon as it is there, while others are still being made.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "comm/comm.h"
#include "comm/watchdog.h"
#include "reward/reward.h"
#include "reward/scorer.h"
#include "rollout/generator.h"
#include "trainer/dataset.h"

namespace cohort {

// A completion with its text (special tokens skipped) and scores.
struct ScoredRollout {
  Rollout rollout;
  std::string text;
  RewardSet::Row scores;
  std::vector<std::string> reasons = {};  // of each reward (trainer/reward_reasons.h)
};

// Scores that are missing by no fault of their rows: of one reward and kind, all ranks together.
struct MissingScores {
  size_t reward = 0;
  Missing kind = Missing::error;  // or timeout
  int64_t count = 0;
  std::string reason;  // of the first
  bool operator==(const MissingScores&) const = default;
};

// "reward 'code': 3 scores are missing: error: the process that ...".
std::string missing_text(const MissingScores& missing, const RewardSet& rewards);

struct ExperienceStats {
  int64_t decode_tokens = 0;                       // of this rank
  double rollout_seconds = 0, reward_seconds = 0;  // of this rank; reward: what scoring took after the last completion
  std::vector<double> judging_seconds;             // of this rank and each reward, over all completions
  std::vector<MissingScores> missing;              // the same on every rank
  int64_t stolen = 0;    // completions that another rank made than the one they were dealt to; the same on every rank
  double rank_skew = 0;  // the part of sampling that ranks waited for the slowest, averaged over them; the same on every rank
  double occupancy = 0;  // of all ranks: how full their batches were, averaged over the time of each (GenerateStats)
};

// How long a problem's completions are likely to be: the mean of those of its last step, else of all of the last step. It
// decides which requests start first, and so the time of a step; no bit depends on it.
class ExpectedLengths {
 public:
  int64_t of(const Problem& problem) const;  // tokens, rounded up; 0: unknown
  // `samples` completions for each of `problems`, problem by problem.
  void learn(std::span<const Problem* const> problems, int64_t samples, std::span<const ScoredRollout> rollouts);

 private:
  std::unordered_map<const Problem*, double> means_;
  double mean_ = 0;
};

// What it takes to make experience; all of it outlives the calls.
struct ExperienceMaker {
  Generator& generator;
  const Tokenizer& tokenizer;
  const RewardSet& rewards;
  Comm& comm;
  const Exec& ex;

  // `samples` completions for each of `problems` (their tokens filled), problem by problem; equal on every rank. `step` keys
  // the draws. progress(done, total) is called with this rank's share scaled to the whole; may be empty. `entering`, if
  // given, is called before this rank waits for its last scores, and before it waits for the other ranks' completions; with
  // work_stealing also before it waits for others with nothing to sample (idle), and when it samples again.
  // Logits that are not finite: exit code 5 with the problem's id.
  enum class Stage { scoring, exchange, idle, sampling };
  std::vector<ScoredRollout> make(std::span<const Problem* const> problems, int64_t samples, uint32_t step,
                                  const std::function<void(int64_t done, int64_t total)>& progress = {},
                                  const std::function<void(Stage)>& entering = {});
  // make() in its two halves, for who samples on another thread than the one that meets the other ranks (trainer/overlap.h). sample() makes
  // and scores this rank's completions and exchanges nothing, so it is not for work_stealing; when `cancelled`, asked between passes,
  // says true it returns early, and what it returns is of no use. exchange() gives what make() would.
  struct Share;
  std::shared_ptr<Share> sample(std::span<const Problem* const> problems, int64_t samples, uint32_t step,
                                const std::function<void(int64_t done, int64_t total)>& progress = {},
                                const std::function<void(Stage)>& entering = {}, const std::function<bool()>& cancelled = {});
  std::vector<ScoredRollout> exchange(std::shared_ptr<Share> share, const std::function<void(Stage)>& entering = {});

  ExpectedLengths* lengths = nullptr;  // asked and told; outlives the maker
  ActivationTape* tape = nullptr;      // keeps rows of what this rank generates: those rollouts have slots
  bool work_stealing = false;          // completions that no rank has begun go to ranks that have room (work_stealing.h)
  double reward_timeout_s = kNoTimeout;  // a completion whose scores are not there so long after it goes without
  ExperienceStats stats;
};

}  // namespace cohort
