// The reward `http` and a server that says "not available": of one completion, or of all.
#include <gtest/gtest.h>

#include <csignal>
#include <functional>
#include <mutex>

#include "core/clock.h"
#include "reward/outside/http.h"
#include "tests/core/expect_error.h"
#include "tests/reward/http_server.h"

namespace cohort {
namespace {

// Completions are numbers, which are their scores; `refuses` says of which requests the server is not available.
class HttpRefusal : public testing::Test {
 protected:
  void SetUp() override { std::signal(SIGPIPE, SIG_IGN); }  // as in every command of cohort
  std::vector<OutsideVerdict> judge(const std::vector<std::string>& completions, Json options) const {
    options["url"] = server.url(), options["timeout_s"] = 20, options["backoff_s"] = 0.01;
    std::vector<RewardInput> inputs;
    for (const std::string& completion : completions) inputs.push_back({.completion = completion, .finish_reason = "stop", .columns = nullptr});
    return HttpReward({.name = "http", .options = std::move(options)}).judge(inputs);
  }
  static bool asks_for(const Json& requests, const std::string& completion) {
    return std::ranges::any_of(requests, [&](const Json& request) { return request["completion"] == completion; });
  }

  std::mutex mutex;
  int status = 503;
  std::function<bool(const Json& requests)> refuses;
  HttpServer server{[this](const HttpRequest& request) -> HttpReply {
    const Json requests = parse_json(request.body, "request")["requests"];
    const std::lock_guard lock(mutex);
    if (!requests.empty() && refuses(requests)) return {.status = status, .body = "not now"};
    Json answers = Json::array();
    for (const Json& one : requests) answers.push_back({{"id", one["id"]}, {"score", std::stod(one["completion"].get<std::string>())}});
    return {.body = Json{{"answers", answers}}.dump()};
  }};
};

TEST_F(HttpRefusal, OfOneCompletionCostsItsScoreAlone) {
  refuses = [](const Json& requests) { return asks_for(requests, "3") || asks_for(requests, "9"); };
  for (const auto& [said, batch, workers, retries] :
       std::vector<std::array<int, 4>>{{503, 1, 1, 2}, {502, 1, 3, 0}, {504, 4, 1, 1}, {429, 4, 3, 2}, {503, 16, 2, 1}}) {
    status = said;
    // The last one has nobody left beside it.
    for (const std::vector<std::string>& completions : std::vector<std::vector<std::string>>{{"0", "1", "2", "3"}, {"3", "1", "2"}, {"1", "3", "4", "5", "6", "7", "8", "9"}}) {
      const std::vector<OutsideVerdict> verdicts = judge(completions, {{"batch", batch}, {"workers", workers}, {"retries", retries}, {"reconnect_s", 30}});
      for (size_t i = 0; i < completions.size(); ++i) {
        const bool refused = completions[i] == "3" || completions[i] == "9";
        EXPECT_EQ(verdicts[i].end, refused ? OutsideEnd::error : OutsideEnd::scored) << verdicts[i].reason;
        EXPECT_EQ(verdicts[i].score, refused ? std::nullopt : std::optional(std::stod(completions[i]))) << "batch " << batch;
        const std::string words = "status " + std::to_string(said) + ": \"not now\", each of ";
        EXPECT_EQ(verdicts[i].reason.find(words) != std::string::npos, refused) << verdicts[i].reason;
      }
    }
  }
}

// Also where there are no tries but the first, and answers of before the outage still come in.
TEST_F(HttpRefusal, OfAllForAWhileCostsNoScore) {
  int seen = 0;
  Clock::time_point away{};
  refuses = [&](const Json&) {
    if (++seen == 5) away = Clock::now();
    return seen >= 5 && seconds_since(away) < 0.5;
  };
  std::vector<std::string> completions;
  for (int i = 0; i < 40; ++i) completions.push_back(std::to_string(i));
  for (const int batch : {1, 8}) {
    seen = batch == 1 ? 0 : 3;
    const std::vector<OutsideVerdict> verdicts = judge(completions, {{"batch", batch}, {"workers", 3}, {"retries", 0}});
    for (size_t i = 0; i < completions.size(); ++i) EXPECT_EQ(verdicts[i].score, static_cast<double>(i)) << verdicts[i].reason;
  }
}

TEST_F(HttpRefusal, OfAllForLongerEndsTheRun) {
  int seen = 0;
  refuses = [&](const Json&) { return ++seen > 2; };
  for (const int batch : {1, 4})
    EXPECT_ERROR(judge({"0", "1", "2", "3", "4", "5", "6", "7"}, {{"batch", batch}, {"workers", 2}, {"reconnect_s", 0.5}}), kRankFailed, "is not available, asked ");
}

}  // namespace
}  // namespace cohort
