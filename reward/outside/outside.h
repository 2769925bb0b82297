// What outside rewards share: how an answer ended, the counts of that, and the words that are exchanged with checkers.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "reward/feed.h"

namespace cohort {

enum class OutsideEnd : uint8_t {
  scored,
  none,     // the checker said that the row cannot be judged
  timeout,  // no answer in time; no score
  error,    // anything else that a checker does instead of answering; no score
};
constexpr int kOutsideEnds = 4;
const char* outside_end_name(OutsideEnd end);

struct OutsideVerdict {
  OutsideEnd end = OutsideEnd::error;
  std::optional<double> score;
  std::string reason;  // the checker's own, or what went wrong

  bool operator==(const OutsideVerdict&) const = default;
};

Verdict to_verdict(OutsideVerdict verdict);

// A reward that is asked elsewhere. Thread-safe. Whatever a checker does, a completion costs its own score at most.
class OutsideReward : public Reward {
 public:
  void serve(TaskFeed& feed) const final;
  std::optional<double> score(const RewardInput& input) const final { return explain(input).score; }
  Verdict explain(const RewardInput& input) const final;
  Verdict verdict(const RewardInput& input, Clock::time_point deadline) const final;
  // Several at a time, which is faster; each as if it were alone. What has no answer at `deadline` has none (timeout).
  std::vector<OutsideVerdict> judge(std::span<const RewardInput> inputs, Clock::time_point deadline = Clock::time_point::max()) const;
  // How many verdicts of each end, by its number, were given so far.
  std::array<int64_t, kOutsideEnds> ends() const;

 private:
  virtual void ask(TaskFeed& feed) const = 0;  // what serve() promises
  mutable std::array<std::atomic<int64_t>, kOutsideEnds> ends_{};
};

// {"id", "prompt", "completion", "finish_reason", "columns", "messages"?}.
Json request_json(int64_t id, const RewardInput& input);

// {"id", "score", "reason"?}. Scores are finite numbers of at most kMaxScore either way, or null.
struct OutsideAnswer {
  std::optional<int64_t> id;  // none: nobody can say whose answer it is
  OutsideVerdict verdict;     // end is error and `reason` says why where the answer is no good
};
constexpr double kMaxScore = 1e6;
OutsideAnswer read_answer(const Json& answer);

// For messages: in quotes, on one line, at most so many bytes.
std::string shown_text(std::string_view text, size_t bytes = 120);

}  // namespace cohort
