// The reward `http`: a server says the score.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "reward/outside/http_client.h"
#include "reward/outside/outside.h"

namespace cohort {

struct HttpOptions {
  std::string name;  // the reward's, for messages
  HttpSettings settings;
  size_t batch = 16, workers = 4;
  int64_t retries = 2;
  double backoff_seconds = 0.5, reconnect_seconds = 120;
};

// What is sent and what must come back, and what happens to a server that does otherwise: docs/outside-rewards.md. The
// constructor asks the server once, for nothing; it throws (exit code 2) when that does not work.
//
// A completion is charged with a fault only when it was alone in its request; a batch that fails is asked again one by one.
// While the server is not available, which is no completion's fault, it is asked again for `reconnect_s`; then it throws
// (exit code 4), unless it refuses that completion alone and answers others. See http_service.h.
class HttpReward : public OutsideReward {
 public:
  explicit HttpReward(const RewardSpec& spec);
  bool takes_feed() const override { return true; }
  void abandon() const override { abandoned_ = true; }
  int64_t retries() const { return retries_; }  // so far, of requests

 private:
  void ask(TaskFeed& feed) const override;
  std::unique_ptr<HttpClient> borrow() const;
  void give_back(std::unique_ptr<HttpClient> client) const;

  HttpOptions options_;
  mutable std::atomic<int64_t> retries_ = 0;
  mutable std::atomic<bool> abandoned_ = false;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<HttpClient>> idle_;  // with their connections
};

// {"answers": [...]}, one for each of the ids 0 to count - 1, in any order. Otherwise nothing, and `why` says what it is.
std::vector<OutsideVerdict> read_http_answers(const std::string& body, size_t count, std::string& why);

// The pause before the try number `tries` + 1, in seconds: a function of the count alone.
double pause_after(int64_t tries, double first);
constexpr double kLongestPause = 30;

}  // namespace cohort
