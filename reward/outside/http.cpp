#include "reward/outside/http.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <thread>

#include "core/check.h"
#include "core/clock.h"
#include "reward/options.h"
#include "reward/rewards.h"

namespace cohort {
namespace {

constexpr double kLongestPause = 30;  // seconds
constexpr int64_t kMaxBatch = 4096;

// The pause before the try number `tries` + 1: a function of the count alone.
double pause_after(int64_t tries, double first) {
  return std::min(kLongestPause, first * std::exp2(static_cast<double>(std::min<int64_t>(tries, 30))));
}
Clock::duration as_duration(double seconds) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

std::vector<std::string> read_headers(const RewardSpec& spec) {
  std::vector<std::string> headers;
  const auto is_plain = [](std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return c >= ' ' && c < 127; });
  };
  const auto it = spec.options.find("headers");
  if (it != spec.options.end()) {
    CHECK_USAGE(it->is_object(), "reward '{}': 'headers' is {}; allowed is a map like {{X-Team: blue}}", spec.name, it->dump());
    for (const auto& [name, value] : it->items()) {
      CHECK_USAGE(value.is_string() && is_plain(value.get_ref<const std::string&>()) && is_plain(name) && !name.empty() &&
                      name.find_first_of(" :;") == std::string::npos,
                  "reward '{}': the header {}: {} is none; allowed are a name and a text, both of plain ASCII", spec.name,
                  shown_text(name), value.dump());
      headers.push_back(fmt::format("{}: {}", name, value.get_ref<const std::string&>()));
    }
  }
  if (spec.options.contains("token_env")) {
    const std::string variable = text_option(spec, "token_env");
    const char* token = std::getenv(variable.c_str());
    CHECK_USAGE(token != nullptr && *token != '\0' && is_plain(token),
                "reward '{}': the environment variable {}, which 'token_env' names, holds no token", spec.name, variable);
    headers.push_back(fmt::format("Authorization: Bearer {}", token));
  }
  return headers;
}

}  // namespace

std::vector<OutsideVerdict> read_http_answers(const std::string& body, size_t count, std::string& why) {
  Json json;
  try {
    json = parse_json(body, "JSON", 8);
  } catch (const Error& error) {
    why = fmt::format("the answer {} is not JSON ({})", shown_text(body), error.what());
    return {};
  }
  if (!json.is_object() || json.size() != 1 || !json.contains("answers") || !json["answers"].is_array()) {
    why = fmt::format("the answer is {}; allowed is {{\"answers\": [...]}}", shown_text(body));
    return {};
  }
  std::vector<std::optional<OutsideVerdict>> found(count);
  for (const Json& item : json["answers"]) {
    OutsideAnswer answer = read_answer(item);
    if (!answer.id)
      why = fmt::format("an answer with {}", answer.verdict.reason);
    else if (*answer.id >= static_cast<int64_t>(count))
      why = fmt::format("an answer to the id {}, which it was not asked", *answer.id);
    else if (found[static_cast<size_t>(*answer.id)])
      why = fmt::format("two answers to the id {}", *answer.id);
    if (!why.empty()) return {};
    found[static_cast<size_t>(*answer.id)] = std::move(answer.verdict);
  }
  std::vector<OutsideVerdict> verdicts;
  for (size_t i = 0; i < count; ++i) {
    if (!found[i]) return why = fmt::format("no answer to the id {}", i), std::vector<OutsideVerdict>();
    verdicts.push_back(std::move(*found[i]));
  }
  return verdicts;
}

// Some completions, until each has its verdict.
class HttpBatch {
 public:
  HttpBatch(const HttpReward& reward, HttpClient& client, std::span<const RewardInput> inputs, Clock::time_point deadline)
      : reward_(reward), client_(client), inputs_(inputs), deadline_(deadline), verdicts_(inputs.size()) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (i % static_cast<size_t>(reward.batch_) == 0) jobs_.emplace_back();
      jobs_.back().tasks.push_back(i);
    }
  }

  std::vector<OutsideVerdict> run() {
    for (size_t left = jobs_.size(); left > 0;) {
      if (Clock::now() >= deadline_) return leave();
      for (auto& [key, result] : client_.wait(post_what_is_due())) handle(key, std::move(result));
      left = static_cast<size_t>(std::ranges::count(jobs_, false, &Job::done));
    }
    return std::move(verdicts_);
  }
  // Whether exchanges are left in flight.
  bool left() const { return left_; }

 private:
  std::vector<OutsideVerdict> leave() {
    left_ = true;
    for (const Job& job : jobs_)
      for (const size_t task : job.tasks)
        if (!job.done) verdicts_[task] = {OutsideEnd::timeout, std::nullopt, fmt::format("{}: no answer by the completion's deadline", reward_.settings_.url)};
    return std::move(verdicts_);
  }

  struct Job {
    std::vector<size_t> tasks;
    int64_t tries = 0, unavailable = 0;  // how often it was asked in vain, for which reason
    Clock::time_point at{}, unavailable_since{};
    bool asked = false, done = false;
  };

  // Returns how many milliseconds there is nothing else to do.
  int post_what_is_due() {
    Clock::time_point next = std::min(deadline_, Clock::now() + std::chrono::seconds(1));
    for (size_t i = 0; i < jobs_.size(); ++i) {
      Job& job = jobs_[i];
      if (job.done || job.asked) continue;
      if (static_cast<int64_t>(client_.in_flight()) >= reward_.workers_) break;
      if (job.at > Clock::now()) {
        next = std::min(next, job.at);
        continue;
      }
      Json requests = Json::array();
      for (size_t k = 0; k < job.tasks.size(); ++k) requests.push_back(request_json(static_cast<int64_t>(k), inputs_[job.tasks[k]]));
      client_.post(i, dump_json({{"requests", std::move(requests)}}));
      job.asked = true;
    }
    return static_cast<int>(std::max<int64_t>(0, std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now()).count()));
  }

  void handle(size_t key, HttpResult result) {
    using End = HttpResult::End;
    Job& job = jobs_[key];
    job.asked = false;
    if (result.end == End::ok) {
      std::string why;
      std::vector<OutsideVerdict> verdicts = read_http_answers(result.body, job.tasks.size(), why);
      if (!why.empty()) return give_up(key, OutsideEnd::error, why);
      for (size_t k = 0; k < verdicts.size(); ++k) verdicts_[job.tasks[k]] = std::move(verdicts[k]);
      job.done = true;
    } else if (result.end == End::unavailable) {
      wait_for_server(job, result.why);
    } else if (result.end != End::refused && job.tries < reward_.max_retries_) {
      ask_again(job, pause_after(job.tries++, reward_.backoff_seconds_));
    } else {
      give_up(key, result.end == End::timeout ? OutsideEnd::timeout : OutsideEnd::error, result.why);
    }
  }

  void ask_again(Job& job, double pause) {
    job.at = Clock::now() + as_duration(pause);
    ++reward_.retries_;
  }

  void wait_for_server(Job& job, const std::string& why) {
    if (job.unavailable == 0) job.unavailable_since = Clock::now();
    const double waited = seconds_since(job.unavailable_since);
    if (waited > reward_.reconnect_seconds_)
      fail(ExitCode::kRankFailed, "reward '{}': {} is not available, asked {} times within {:.0f} s: {}", reward_.name_,
           reward_.settings_.url, job.unavailable + 1, waited, why);
    ask_again(job, pause_after(job.unavailable++, reward_.backoff_seconds_));
  }

  // Of a batch, nobody knows whose fault it was.
  void give_up(size_t key, OutsideEnd end, const std::string& why) {
    const std::vector<size_t> tasks = jobs_[key].tasks;
    jobs_[key].done = true;
    if (tasks.size() == 1)
      verdicts_[tasks[0]] = {end, std::nullopt, fmt::format("{}: {}", reward_.settings_.url, why)};
    else
      for (const size_t task : tasks) jobs_.push_back({.tasks = {task}});
  }

  const HttpReward& reward_;
  HttpClient& client_;
  const std::span<const RewardInput> inputs_;
  const Clock::time_point deadline_;
  std::vector<OutsideVerdict> verdicts_;
  std::vector<Job> jobs_;
  bool left_ = false;
};

HttpReward::HttpReward(const RewardSpec& spec) : name_(spec.name) {
  check_options(spec, {"url", "batch", "workers", "timeout_s", "retries", "backoff_s", "reconnect_s", "response_kb", "ca_file",
                       "headers", "token_env"});
  settings_.url = text_option(spec, "url");
  const std::string objection = objection_to_url(settings_.url);
  // Without the URL, where it may hold a password.
  CHECK_USAGE(objection.empty(), "reward '{}': 'url' is {}; allowed is https://HOST/PATH or http://..., and 'token_env' for a secret",
              spec.name, objection);
  batch_ = whole_option(spec, "batch", 1, kMaxBatch, 16);
  workers_ = whole_option(spec, "workers", 1, 1024, 4);
  settings_.seconds = number_option(spec, "timeout_s", 0.1, 3600, 10);
  max_retries_ = whole_option(spec, "retries", 0, 100, 2);
  backoff_seconds_ = number_option(spec, "backoff_s", 0.01, kLongestPause, 0.5);
  reconnect_seconds_ = number_option(spec, "reconnect_s", 0, 86400, 120);
  settings_.response_bytes = 1024 * static_cast<size_t>(whole_option(spec, "response_kb", 1, 1 << 20, 1024));
  if (spec.options.contains("ca_file")) settings_.ca_file = text_option(spec, "ca_file");
  settings_.headers = read_headers(spec);

  const std::unique_ptr<HttpClient> client = std::make_unique<HttpClient>(settings_);
  for (int64_t tries = 0;; ++tries) {
    client->post(0, R"({"requests": []})");
    std::vector<std::pair<size_t, HttpResult>> done;
    while (done.empty()) done = client->wait(1000);
    HttpResult& result = done[0].second;
    if (result.end == HttpResult::End::ok) read_http_answers(result.body, 0, result.why);
    if (result.why.empty()) break;
    const bool may_pass = result.end != HttpResult::End::refused && result.end != HttpResult::End::ok;
    CHECK_USAGE(may_pass && tries < max_retries_, "reward '{}': {}, asked without a completion: {}", spec.name, settings_.url,
                result.why);
    std::this_thread::sleep_for(as_duration(pause_after(tries, backoff_seconds_)));
  }
}

std::unique_ptr<HttpClient> HttpReward::borrow() const {
  const std::lock_guard lock(mutex_);
  if (idle_.empty()) return std::make_unique<HttpClient>(settings_);
  std::unique_ptr<HttpClient> client = std::move(idle_.back());
  idle_.pop_back();
  return client;
}

void HttpReward::give_back(std::unique_ptr<HttpClient> client) const {
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(client));
}

std::vector<OutsideVerdict> HttpReward::ask(std::span<const RewardInput> inputs, Clock::time_point deadline) const {
  std::unique_ptr<HttpClient> client = borrow();
  HttpBatch batch(*this, *client, inputs, deadline);
  std::vector<OutsideVerdict> verdicts = batch.run();
  if (!batch.left()) give_back(std::move(client));  // nor after an exception: it may have exchanges in flight
  return verdicts;
}

std::unique_ptr<Reward> make_http(const RewardSpec& spec) { return std::make_unique<HttpReward>(spec); }

}  // namespace cohort
