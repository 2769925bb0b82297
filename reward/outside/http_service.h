// Serves one feed by requests to a server: batches, retries, deadlines.
#pragma once

#include <atomic>
#include <map>
#include <vector>

#include "reward/feed.h"
#include "reward/outside/http.h"

namespace cohort {

// Used by one thread. While fewer than `workers` requests are in flight, what the feed has by then, up to `batch`, is the next one: so batches
// are small while completions come singly and fill up while the server is busy. No score depends on how they fall.
class HttpService {
 public:
  // All outlive it. `retries` counts the requests that are sent again.
  HttpService(const HttpOptions& options, HttpClient& client, TaskFeed& feed, const std::atomic<bool>& abandoned,
              std::atomic<int64_t>& retries)
      : options_(options), client_(client), feed_(feed), abandoned_(abandoned), retries_(retries) {}

  // Until the feed is over and each completion has its verdict.
  void run();

 private:
  // Completions that are asked about together. Those whose deadline passes drop out while the rest goes on.
  struct Job {
    std::vector<RewardTask> tasks;  // without a verdict
    std::vector<int64_t> sent;      // of the request in flight: whose answer has which place
    std::string body;               // of that request
    int64_t tries = 0;        // how often it was asked in vain while the server was there
    int64_t unavailable = 0;  // and, without a break, while it was not or said so, since when
    int64_t refused = 0;      // of these, how often although it answered others meanwhile
    Clock::time_point at{}, posted_at{}, unavailable_since{};
    bool asked = false;
  };
  bool has_room() const;
  void give_up_all();
  void expire();
  void post(size_t key, Job& job);
  void post_what_is_due();
  void wait();
  void handle(size_t key, HttpResult result);
  void take_answers(size_t key, std::vector<OutsideVerdict> verdicts);
  void ask_again(Job& job, double pause);
  void wait_for_server(size_t key, const HttpResult& result);
  void split(size_t key);
  void probe();
  void note_answer(Clock::time_point posted_at);
  void give_up(size_t key, OutsideEnd end, const std::string& why);
  void settle(const RewardTask& task, OutsideVerdict verdict) { feed_.put(task.id, to_verdict(std::move(verdict))); }

  const HttpOptions& options_;
  HttpClient& client_;
  TaskFeed& feed_;
  const std::atomic<bool>& abandoned_;
  std::atomic<int64_t>& retries_;
  std::map<size_t, Job> jobs_;  // that are not done, by a number of their own
  size_t next_key_ = 0;
  // Of a server that answers some and says of others that it is not available: the newest request that it answered, when
  // it answered last, and a request that it could answer, to be asked once more where there is nothing else to ask.
  Clock::time_point answered_posted_{}, answered_at_{}, probed_at_{};
  std::string answered_;
  bool probing_ = false;
};

}  // namespace cohort
