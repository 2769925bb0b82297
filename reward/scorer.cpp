#include "reward/scorer.h"

#include "core/check.h"
#include "reward/score_lane.h"

namespace cohort {
namespace {

Verdict too_late(double timeout_s) {
  return {std::nullopt,
          fmt::format("its turn did not come within {} s of the completion: the reward's workers were busy with others", timeout_s),
          Missing::timeout};
}

}  // namespace

Scorer::Scorer(const RewardSet& rewards, ThreadPool& pool, int64_t count, double timeout_s)
    : rewards_(rewards),
      pool_(pool),
      timeout_s_(timeout_s),
      inputs_(static_cast<size_t>(count)),
      added_(static_cast<size_t>(count)),
      verdicts_(static_cast<size_t>(count), std::vector<Verdict>(rewards.size())),
      seconds_(static_cast<size_t>(count), std::vector<double>(rewards.size())) {
  CHECK(timeout_s > 0 && timeout_s <= kNoTimeout, "a timeout of {} s, must be in (0, {}]", timeout_s, kNoTimeout);
  for (size_t r = 0; r < rewards.size(); ++r) {
    if (rewards.reward(r).takes_batches()) {
      in_batches_.push_back(r);
      continue;
    }
    if (rewards.reward(r).workers() == 0 && !rewards.reward(r).takes_feed()) {
      here_.push_back(r);
      continue;
    }
    ScoreLane::Host host{.judge = [this, r](const RewardTask& task) { return rewards_.verdict(r, task.input, task.deadline); },
                         .put = [this, r](int64_t id, Verdict verdict, double seconds) { put(r, id, std::move(verdict), seconds); },
                         .too_late = [this] { return too_late(timeout_s_); },
                         .failed = [this] { abandon(); }};
    lanes_.push_back({r, std::make_unique<ScoreLane>(rewards.reward(r), std::move(host))});
  }
}

Scorer::~Scorer() {
  if (!finished_) abandon();
}

// All lanes first, so that they end together.
void Scorer::abandon() {
  for (const Lane& lane : lanes_) lane.queue->abandon();
  for (const Lane& lane : lanes_) rewards_.reward(lane.reward).abandon();
}

Clock::time_point Scorer::deadline() const {
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(timeout_s_));
}

void Scorer::put(size_t reward, int64_t index, Verdict verdict, double seconds) {
  const auto at = static_cast<size_t>(index);
  verdicts_[at][reward] = std::move(verdict);
  seconds_[at][reward] = seconds;
}

void Scorer::add(int64_t index, const RewardInput& input) {
  const auto at = static_cast<size_t>(index);
  CHECK(index >= 0 && at < inputs_.size() && !added_[at], "completion {} of {} is added twice, or is not one", index,
        inputs_.size());
  inputs_[at] = input;
  added_[at] = true;
  for (const Lane& lane : lanes_) lane.queue->add({index, input, deadline()});
}

// In the order of their numbers. What a batch took is shared out evenly, as nobody knows better.
void Scorer::judge_batches(Clock::time_point end) {
  std::vector<RewardInput> inputs;
  std::vector<int64_t> numbers;
  for (size_t i = 0; i < inputs_.size(); ++i)
    if (added_[i]) inputs.push_back(inputs_[i]), numbers.push_back(static_cast<int64_t>(i));
  if (inputs.empty()) return;
  for (const size_t reward : in_batches_) {
    const Clock::time_point start = Clock::now();
    std::vector<Verdict> verdicts = rewards_.verdicts(reward, inputs, end);
    const double each = seconds_since(start) / static_cast<double>(inputs.size());
    for (size_t i = 0; i < inputs.size(); ++i) put(reward, numbers[i], std::move(verdicts[i]), each);
  }
}

Scores Scorer::finish() {
  const Clock::time_point end = deadline();
  if (!here_.empty() && !inputs_.empty()) {
    pool_.run(static_cast<int64_t>(inputs_.size()), [&](int64_t index, int) {
      if (!added_[static_cast<size_t>(index)]) return;
      for (const size_t reward : here_) {
        const Clock::time_point start = Clock::now();
        Verdict verdict = start < end ? rewards_.verdict(reward, inputs_[static_cast<size_t>(index)], end) : too_late(timeout_s_);
        put(reward, index, std::move(verdict), seconds_since(start));
      }
    });
  }
  judge_batches(end);
  for (const Lane& lane : lanes_) lane.queue->finish();
  finished_ = true;
  Scores scores;
  scores.seconds.resize(rewards_.size());
  for (const std::vector<double>& row : seconds_)
    for (size_t r = 0; r < row.size(); ++r) scores.seconds[r] += row[r];
  for (size_t i = 0; i < verdicts_.size(); ++i) scores.rows.push_back(added_[i] ? rewards_.row(verdicts_[i]) : RewardSet::Row());
  scores.verdicts = std::move(verdicts_);
  return scores;
}

}  // namespace cohort
