// The reward `http`: a server says the score.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "reward/outside/http_client.h"
#include "reward/outside/outside.h"

namespace cohort {

// What is sent and what must come back, and what happens to a server that does otherwise: docs/outside-rewards.md. The
// constructor asks the server once, for nothing; it throws (exit code 2) when that does not work.
//
// A completion is charged with a fault only when it was alone in its request; a batch that fails is asked again one by one.
// While the server is not available, which is no completion's fault, it is asked again for `reconnect_s`; then judge() throws
// (exit code 4).
class HttpReward : public OutsideReward {
 public:
  explicit HttpReward(const RewardSpec& spec);
  int workers() const override { return static_cast<int>(workers_); }
  int64_t retries() const { return retries_; }  // so far, of requests

 private:
  friend class HttpBatch;
  std::vector<OutsideVerdict> ask(std::span<const RewardInput> inputs, Clock::time_point deadline) const override;
  std::unique_ptr<HttpClient> borrow() const;
  void give_back(std::unique_ptr<HttpClient> client) const;

  std::string name_;
  HttpSettings settings_;
  int64_t batch_, workers_, max_retries_;
  double backoff_seconds_, reconnect_seconds_;
  mutable std::atomic<int64_t> retries_ = 0;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<HttpClient>> idle_;
};

// {"answers": [...]}, one for each of the ids 0 to count - 1, in any order. Otherwise nothing, and `why` says what it is.
std::vector<OutsideVerdict> read_http_answers(const std::string& body, size_t count, std::string& why);

}  // namespace cohort
