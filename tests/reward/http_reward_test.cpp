// The reward `http` against a server on loopback that misbehaves as the completions tell it to.
#include "reward/outside/http.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <random>

#include "core/clock.h"
#include "reward/feed.h"
#include "reward/reward.h"
#include "reward/scorer.h"
#include "tests/core/expect_error.h"
#include "tests/reward/http_server.h"
#include "tests/reward/list_feed.h"

namespace cohort {
namespace {

// Scores are numbers in the completions ("score 0.5"). Other completions make the whole reply go wrong.
HttpReply reply_to(const Json& requests) {
  using Kind = HttpReply::Kind;
  Json answers = Json::array();
  for (const Json& request : requests) {
    const std::string text = request["completion"];
    const Json& id = request["id"];
    if (text.starts_with("score ")) answers.insert(answers.begin(), Json{{"id", id}, {"score", std::stod(text.substr(6))}});
    if (text == "null") answers.push_back({{"id", id}, {"score", nullptr}, {"reason", "no gold answer"}});
    if (text == "text") answers.push_back({{"id", id}, {"score", "0.5"}});
    if (text == "echo") answers.push_back({{"id", id}, {"score", 1}, {"reason", request.dump()}});
    if (text == "twice") answers.push_back({{"id", id}, {"score", 1}}), answers.push_back({{"id", id}, {"score", 1}});
    if (text == "other_id") answers.push_back({{"id", 99}, {"score", 1}});
    if (text == "no_id") answers.push_back({{"score", 1}});
    if (text == "hang") return {.kind = Kind::hang};
    if (text == "drop") return {.kind = Kind::drop};
    if (text == "half") return {.body = std::string(1000, ' '), .kind = Kind::half};
    if (text == "noise") return {.body = "no HTTP\r\n\r\n", .kind = Kind::raw};
    if (text == "large") return {.body = std::string(100'000, ' ')};
    if (text == "not_json") return {.body = "<html>"};
    if (text == "nan") return {.body = R"({"answers": [{"id": 0, "score": NaN}]})"};
    if (text == "list") return {.body = "[]"};
    if (text == "failed") return {.status = 500, .body = "Traceback"};
    if (text == "bad") return {.status = 400, .body = "bad request"};
    if (text == "elsewhere") return {.status = 307, .headers = "Location: http://example.org/score\r\n"};
    if (text == "empty") return {.status = 204};
  }
  return {.body = Json{{"answers", answers}}.dump()};
}

class Http : public testing::Test {
 protected:
  void SetUp() override {
    std::signal(SIGPIPE, SIG_IGN);  // as in every command of cohort
    for (const char* name : {"http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"}) unsetenv(name);
  }
  RewardSpec spec(Json options = Json::object()) const {
    const Json standard = {{"url", server.url()}, {"timeout_s", 20}, {"retries", 1}, {"backoff_s", 0.01}, {"response_kb", 64}};
    for (const auto& [key, value] : standard.items())
      if (!options.contains(key)) options[key] = value;
    return {.name = "http", .options = std::move(options)};
  }
  static std::vector<OutsideVerdict> judge(const HttpReward& reward, const std::vector<std::string>& completions) {
    std::vector<RewardInput> inputs;
    for (const std::string& completion : completions)
      inputs.push_back({.completion = completion, .finish_reason = "stop", .columns = nullptr});
    return reward.judge(inputs);
  }
  static OutsideVerdict judge_one(const HttpReward& reward, const std::string& completion) { return judge(reward, {completion})[0]; }

  std::mutex mutex;
  std::condition_variable changed;
  bool hold_requests = false;  // those with completions wait
  int held = 0, most_held = 0;
  std::vector<HttpRequest> seen;
  std::vector<Clock::time_point> seen_at;
  std::vector<HttpReply> first;  // replies before those of reply_to(), but for requests without completions
  HttpServer server{[this](const HttpRequest& request) {
    const Json requests = parse_json(request.body, "request")["requests"];
    std::unique_lock lock(mutex);
    seen.push_back(request);
    seen_at.push_back(Clock::now());
    most_held = std::max(most_held, ++held);
    changed.notify_all();
    if (!requests.empty()) changed.wait_for(lock, std::chrono::seconds(30), [&] { return !hold_requests; });
    --held;
    if (requests.empty() || first.empty()) return reply_to(requests);
    HttpReply reply = first.front();
    first.erase(first.begin());
    return reply;
  }};
};

TEST_F(Http, SendsBatchesAndTakesAnswersInAnyOrder) {
  setenv("COHORT_TEST_TOKEN", "s3cret", 1);
  const HttpReward reward(spec({{"batch", 4}, {"workers", 1}, {"headers", {{"X-Team", "blue"}}}, {"token_env", "COHORT_TEST_TOKEN"}}));
  std::vector<std::string> completions;
  for (int i = 0; i < 10; ++i) completions.push_back("score " + std::to_string(i));
  const std::vector<OutsideVerdict> verdicts = judge(reward, completions);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(verdicts[static_cast<size_t>(i)], (OutsideVerdict{OutsideEnd::scored, i, ""}));
  std::vector<size_t> sizes;
  for (const HttpRequest& request : seen) {
    sizes.push_back(parse_json(request.body, "request")["requests"].size());
    EXPECT_TRUE(request.head.starts_with("POST /score HTTP/1.1\r\n")) << request.head;
    for (const char* header : {"\r\nContent-Type: application/json\r\n", "\r\nX-Team: blue\r\n", "\r\nAuthorization: Bearer s3cret\r\n"})
      EXPECT_NE(request.head.find(header), std::string::npos) << request.head;
  }
  EXPECT_EQ(sizes, (std::vector<size_t>{0, 4, 4, 2})) << "the first asks whether the server is there";
  EXPECT_EQ(reward.judge({}).size(), 0u);
}

TEST_F(Http, TheServerSeesAllOfTheCompletion) {
  const HttpReward reward(spec());
  const Json columns = {{"answer", 12}};
  const RewardInput input{.prompt = "p\n", .completion = "echo", .finish_reason = "length", .columns = &columns};
  const OutsideVerdict verdict = reward.judge({&input, 1}).front();
  EXPECT_EQ(parse_json(verdict.reason, "request"),
            (Json{{"id", 0}, {"prompt", "p\n"}, {"completion", "echo"}, {"finish_reason", "length"}, {"columns", columns}}));
  EXPECT_EQ(judge_one(reward, "null"), (OutsideVerdict{OutsideEnd::none, std::nullopt, "no gold answer"}));
  EXPECT_EQ(RewardSet({{"http", 0.5, spec().options}}).score(input).total, 0.5);
}

TEST_F(Http, FaultsCostTheirOwnScore) {
  const std::vector<std::pair<std::string, std::string>> faults = {
      {"drop", "http://127.0.0.1"}, {"half", "http://127.0.0.1"},
      {"noise", "http://127.0.0.1"}, {"large", "an answer of more than 65536 bytes"},
      {"not_json", "the answer \"<html>\" is not JSON"}, {"nan", "is not JSON"},
      {"list", "the answer is \"[]\"; allowed is {\"answers\": [...]}"}, {"failed", "status 500: \"Traceback\""},
      {"bad", "status 400: \"bad request\""}, {"empty", "status 204"},
      {"elsewhere", "status 307, a redirect to \"http://example.org/score\", which is not followed"},
      {"twice", "two answers to the id 0"}, {"other_id", "an answer to the id 99, which it was not asked"},
      {"no_id", "an answer with no 'id'"}, {"silence", "no answer to the id 0"},
      {"text", "answered with the score \"0.5\""}};
  std::vector<std::string> completions;
  for (const auto& [fault, words] : faults) completions.insert(completions.end(), {fault, "score 0.25", "score 0.75"});
  for (const auto& [batch, workers] : std::vector<std::pair<int, int>>{{1, 1}, {4, 3}, {100, 2}}) {
    const HttpReward reward(spec({{"batch", batch}, {"workers", workers}}));
    const std::vector<OutsideVerdict> verdicts = judge(reward, completions);
    for (size_t i = 0; i < faults.size(); ++i) {
      const auto& [fault, words] = faults[i];
      EXPECT_EQ(verdicts[3 * i].end, OutsideEnd::error) << fault;
      EXPECT_EQ(verdicts[3 * i].score, std::nullopt) << fault;
      EXPECT_NE(verdicts[3 * i].reason.find(words), std::string::npos) << fault << ": " << verdicts[3 * i].reason;
      EXPECT_EQ(verdicts[3 * i + 1].score, 0.25) << "after " << fault;
      EXPECT_EQ(verdicts[3 * i + 2].score, 0.75) << "after " << fault;
    }
  }
}

// As training asks: completions come one after the other, each with its own deadline.
TEST_F(Http, AScorersCompletionsShareRequests) {
  const RewardSet rewards({spec({{"batch", 8}, {"workers", 3}})});
  std::vector<std::string> completions;
  for (int i = 0; i < 60; ++i) completions.push_back("score " + std::to_string(i));
  hold_requests = true;
  ThreadPool pool(1);
  Scorer scorer(rewards, pool, 60);
  for (int64_t i = 59; i >= 0; --i) scorer.add(i, {.completion = completions[static_cast<size_t>(i)], .columns = nullptr});
  {
    std::unique_lock lock(mutex);
    EXPECT_TRUE(changed.wait_for(lock, std::chrono::seconds(30), [&] { return held == 3; })) << "as many requests as workers at a time";
    hold_requests = false;
    changed.notify_all();
  }
  const Scores scores = scorer.finish();
  for (size_t i = 0; i < 60; ++i) EXPECT_EQ(scores.rows[i].scores[0], static_cast<double>(i));
  size_t total = 0, largest = 0;
  for (const HttpRequest& request : seen) {
    const size_t size = parse_json(request.body, "request")["requests"].size();
    total += size, largest = std::max(largest, size);
  }
  EXPECT_EQ(total, 60u) << "each was asked once";
  EXPECT_EQ(largest, 8u);
  EXPECT_LE(seen.size(), 1u + 3 + 8) << "what came meanwhile went together";
  EXPECT_EQ(most_held, 3);
}

TEST_F(Http, ScoresDoNotDependOnBatchesOrOrder) {
  std::vector<std::string> completions;
  for (const char* fault : {"drop", "failed", "bad", "not_json", "silence", "text", "null", "large"}) {
    completions.push_back(fault);
    for (int i = 0; i < 5; ++i) completions.push_back("score " + std::to_string(0.1 * static_cast<double>(completions.size())));
  }
  std::vector<std::optional<double>> expected;
  for (const std::string& completion : completions)
    expected.push_back(completion.starts_with("score ") ? std::optional(std::stod(completion.substr(6))) : std::nullopt);
  std::vector<int64_t> order(completions.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int64_t>(i);
  std::mt19937 random(3);
  for (const auto& [batch, workers] : std::vector<std::pair<int, int>>{{1, 1}, {16, 1}, {3, 5}, {100, 4}}) {
    const RewardSet rewards({spec({{"batch", batch}, {"workers", workers}})});
    ThreadPool pool(1);
    Scorer scorer(rewards, pool, static_cast<int64_t>(completions.size()));
    std::ranges::shuffle(order, random);
    for (const int64_t i : order) scorer.add(i, {.completion = completions[static_cast<size_t>(i)], .columns = nullptr});
    const Scores scores = scorer.finish();
    for (size_t i = 0; i < completions.size(); ++i)
      EXPECT_EQ(scores.rows[i].scores[0], expected[i]) << completions[i] << ": " << scores.verdicts[i][0].reason;
  }
}

TEST_F(Http, ACompletionsDeadlineEndsItsTriesAndNoOthers) {
  const HttpReward reward(spec({{"timeout_s", 60}, {"retries", 100}, {"backoff_s", 0.05}, {"batch", 1}, {"workers", 2}}));
  const Clock::time_point start = Clock::now();
  const std::vector<std::string> completions = {"hang", "failed", "score 1"};
  std::vector<RewardInput> inputs;
  for (const std::string& completion : completions) inputs.push_back({.completion = completion, .columns = nullptr});
  const auto verdicts = reward.judge(inputs, start + std::chrono::milliseconds(1500));
  EXPECT_LT(seconds_since(start), 20);
  for (const size_t i : {0, 1}) {
    EXPECT_EQ(verdicts[i].end, OutsideEnd::timeout) << completions[i];
    EXPECT_NE(verdicts[i].reason.find("no answer by the completion's deadline"), std::string::npos) << verdicts[i].reason;
  }
  EXPECT_EQ(verdicts[2].score, 1.0) << "while another waits for its next try";
  EXPECT_GT(reward.retries(), 0);
  EXPECT_EQ(judge_one(reward, "score 2").score, 2.0);
}

// Two in one request, of which one drops out while the server thinks.
TEST_F(Http, DeadlinesWithinABatchAreEachItsOwn) {
  const HttpReward reward(spec({{"batch", 8}, {"workers", 1}}));
  hold_requests = true;
  using namespace std::chrono_literals;
  ListFeed feed({{"score 0", 300s}, {"score 1", 300ms}, {"score 2", 300s}});
  feed.on_put = [&](int64_t id) {
    if (id != 1) return;
    const std::lock_guard lock(mutex);
    hold_requests = false;
    changed.notify_all();
  };
  reward.serve(feed);
  EXPECT_EQ(feed.verdicts[0].score, 0.0);
  EXPECT_EQ(feed.verdicts[1].score, std::nullopt);
  EXPECT_EQ(feed.verdicts[1].missing, Missing::timeout);
  EXPECT_EQ(feed.verdicts[2].score, 2.0);
}

TEST_F(Http, AFailingRunDoesNotWaitForTheServer) {
  const RewardSet rewards({spec({{"timeout_s", 600}})});
  const std::vector<std::string> completions = {"hang", "hang"};
  const Clock::time_point start = Clock::now();
  {
    ThreadPool pool(1);
    Scorer scorer(rewards, pool, 3);
    for (int64_t i = 0; i < 2; ++i) scorer.add(i, {.completion = completions[static_cast<size_t>(i)], .columns = nullptr});
  }
  EXPECT_LT(seconds_since(start), 20);
  EXPECT_EQ(rewards.score({.completion = "score 1", .columns = nullptr}).ends[0].missing, Missing::error) << "given up";
}

TEST_F(Http, AServerThatHangsIsLeftAtTheDeadline) {
  const HttpReward reward(spec({{"timeout_s", 1}, {"retries", 0}}));
  const std::vector<OutsideVerdict> verdicts = judge(reward, {"score 1", "hang", "score 2"});
  EXPECT_EQ(verdicts[0].score, 1.0);
  EXPECT_EQ(verdicts[1].end, OutsideEnd::timeout);
  EXPECT_NE(verdicts[1].reason.find("no answer within 1 s"), std::string::npos) << verdicts[1].reason;
  EXPECT_EQ(verdicts[2].score, 2.0);
}

TEST_F(Http, TriesAgainWithGrowingPauses) {
  const HttpReward reward(spec({{"retries", 3}, {"backoff_s", 0.05}}));
  first = {{.status = 500}, {.body = "1234", .kind = HttpReply::Kind::half}, {.status = 500}};
  EXPECT_EQ(judge_one(reward, "score 1").score, 1.0);
  EXPECT_EQ(reward.retries(), 3);
  ASSERT_EQ(seen.size(), 5u);
  for (size_t i = 2; i < 5; ++i)
    EXPECT_GE(std::chrono::duration<double>(seen_at[i] - seen_at[i - 1]).count(), 0.05 * (1 << (i - 2)) - 0.005) << i;
  first = {{.status = 500, .body = "a"}, {.status = 500}, {.status = 500}, {.status = 500, .body = "z"}};
  EXPECT_NE(judge_one(reward, "score 1").reason.find("status 500: \"z\""), std::string::npos);
  first = {{.status = 404}};
  EXPECT_EQ(judge_one(reward, "score 1").end, OutsideEnd::error) << "asked once";
  EXPECT_EQ(reward.retries(), 6);
}

TEST_F(Http, AServerThatIsAwayForAWhileCostsNoScore) {
  const HttpReward reward(spec({{"retries", 0}}));
  first = {{.status = 503}, {.status = 502}, {.status = 429}, {.status = 504}};
  EXPECT_EQ(judge_one(reward, "score 1").score, 1.0);
  EXPECT_EQ(reward.retries(), 4);
}

TEST_F(Http, AServerThatStaysAwayEndsTheRun) {
  const HttpReward reward(spec({{"reconnect_s", 0.2}}));
  EXPECT_EQ(judge_one(reward, "score 1").score, 1.0);
  server.stop();
  EXPECT_ERROR(judge_one(reward, "score 1"), kRankFailed, "/score is not available, asked ");
}

TEST_F(Http, OutagesFarApartAreNotOne) {
  const HttpReward reward(spec({{"reconnect_s", 0.4}, {"timeout_s", 0.5}, {"retries", 10}}));
  first = {{.status = 503}, {.kind = HttpReply::Kind::hang}, {.status = 503}, {.kind = HttpReply::Kind::hang}, {.status = 503}};
  EXPECT_EQ(judge_one(reward, "score 1").score, 1.0);
  EXPECT_GE(std::chrono::duration<double>(seen_at.back() - seen_at[1]).count(), 1.0) << "longer than reconnect_s";
}

TEST_F(Http, AServerThatCannotServeIsAnErrorOfTheConfig) {
  const auto refused = [&](Json options) { HttpReward reward(spec(std::move(options))); };
  HttpReply reply{.status = 404, .body = "not here"};
  HttpServer other([&](const HttpRequest&) { return reply; });
  EXPECT_ERROR(refused({{"url", other.url()}}), kUsage, "/score, asked without a completion: status 404: \"not here\"");
  reply = {.body = "hello"};
  EXPECT_ERROR(refused({{"url", other.url()}}), kUsage, "the answer \"hello\" is not JSON");
  reply = {.status = 503};
  EXPECT_ERROR(refused({{"url", other.url()}}), kUsage, "status 503");
  std::string tls = other.url();
  EXPECT_ERROR(refused({{"url", tls.replace(0, 4, "https")}, {"timeout_s", 0.3}}), kUsage, "asked without a completion: ");  // it speaks no TLS
  other.stop();
  EXPECT_ERROR(refused({{"url", other.url()}}), kUsage, "asked without a completion: Failed to connect");
}

TEST_F(Http, OptionsAreChecked) {
  const auto refused = [&](Json options) { HttpReward reward(spec(std::move(options))); };
  EXPECT_ERROR(HttpReward({.name = "http", .options = Json::object()}), kUsage, "reward 'http' needs the option 'url'");
  EXPECT_ERROR(refused({{"url", "file:///etc/passwd"}}), kUsage, "'url' is of the scheme file; allowed is https://HOST/PATH");
  EXPECT_ERROR(refused({{"url", "not a url"}}), kUsage, "'url' is no URL");
  EXPECT_ERROR(refused({{"url", "http://me:pw@127.0.0.1/"}}), kUsage, "'url' is a URL with a name or password in it");
  EXPECT_ERROR(refused({{"batch", 0}}), kUsage, "'batch' is 0");
  EXPECT_ERROR(refused({{"retrie", 1}}), kUsage, "did you mean 'retries'?");
  EXPECT_ERROR(refused({{"headers", "X: y"}}), kUsage, "'headers' is \"X: y\"; allowed is a map");
  EXPECT_ERROR(refused({{"headers", {{"X", "a\r\nY: b"}}}}), kUsage, "the header \"X\": \"a\\r\\nY: b\" is none");
  EXPECT_ERROR(refused({{"headers", {{"X:", "a"}}}}), kUsage, "is none; allowed are a name and a text");
  EXPECT_ERROR(refused({{"token_env", "COHORT_NO_SUCH_VARIABLE"}}), kUsage, "COHORT_NO_SUCH_VARIABLE, which 'token_env' names, holds no token");
}

// A server of openssl's with a certificate of its own. It takes a request and never answers.
class TlsServer {
 public:
  explicit TlsServer(const std::string& name) {
    folder_ = (std::filesystem::temp_directory_path() / ("cohort-tls-" + std::to_string(getpid()))).string();
    std::filesystem::create_directories(folder_);
    const std::string make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=" + name +
                             " -addext subjectAltName=" + name + " -keyout " + folder_ + "/key -out " + ca_file() + " 2> /dev/null";
    if (std::system(make.c_str()) != 0) return;
    output_ = popen(("echo pid $$; exec openssl s_server -accept 127.0.0.1:0 -key " + folder_ + "/key -cert " + ca_file() + " -www 2>&1").c_str(), "r");
    char line[256];
    while (port == 0 && output_ != nullptr && std::fgets(line, sizeof line, output_) != nullptr) {
      std::sscanf(line, "pid %d", &pid_);
      std::sscanf(line, "ACCEPT 127.0.0.1:%d", &port);
    }
  }
  ~TlsServer() {
    if (pid_ > 0) kill(pid_, SIGKILL);
    if (output_ != nullptr) pclose(output_);
    std::filesystem::remove_all(folder_);
  }
  std::string ca_file() const { return folder_ + "/certificate"; }
  std::string url() const { return "https://127.0.0.1:" + std::to_string(port) + "/"; }
  int port = 0;

 private:
  std::string folder_;
  FILE* output_ = nullptr;
  int pid_ = 0;
};

TEST_F(Http, CertificatesAreVerified) {
  const auto refused = [&](Json options) {
    options["timeout_s"] = 2, options["retries"] = 0;
    HttpReward reward(spec(std::move(options)));
  };
  {
    const TlsServer tls("IP:127.0.0.1");
    if (tls.port == 0) GTEST_SKIP() << "there is no openssl to make a server with";
    EXPECT_ERROR(refused({{"url", tls.url()}}), kUsage, "certificate");
    // With its certificate trusted it is talked to; it gives no answer.
    EXPECT_ERROR(refused({{"url", tls.url()}, {"ca_file", tls.ca_file()}}), kUsage, "no answer within 2 s");
    EXPECT_ERROR(refused({{"url", tls.url()}, {"ca_file", "/no/such/file"}}), kUsage, "/no/such/file");
  }
  const TlsServer other("IP:127.0.0.2");
  EXPECT_ERROR(refused({{"url", other.url()}, {"ca_file", other.ca_file()}}), kUsage, "127.0.0.1");  // not its name
}

}  // namespace
}  // namespace cohort
