#include "reward/outside/http.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <thread>

#include "core/check.h"
#include "core/clock.h"
#include "reward/options.h"
#include "reward/outside/http_service.h"
#include "reward/rewards.h"

namespace cohort {
namespace {

constexpr int64_t kMaxBatch = 4096;

bool is_plain(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= ' ' && c < 127; });
}

std::vector<std::string> read_headers(const RewardSpec& spec) {
  std::vector<std::string> headers;
  const auto it = spec.options.find("headers");
  if (it == spec.options.end()) return headers;
  CHECK_USAGE(it->is_object(), "reward '{}': 'headers' is {}; allowed is a map like {{X-Team: blue}}", spec.name, it->dump());
  for (const auto& [name, value] : it->items()) {
    CHECK_USAGE(value.is_string() && is_plain(value.get_ref<const std::string&>()) && is_plain(name) && !name.empty() &&
                    name.find_first_of(" :;") == std::string::npos,
                "reward '{}': the header {}: {} is none; allowed are a name and a text, both of plain ASCII", spec.name,
                shown_text(name), value.dump());
    headers.push_back(fmt::format("{}: {}", name, value.get_ref<const std::string&>()));
  }
  return headers;
}

// The secret is not part of the options: the environment may lack it where a config is only looked at.
void add_token(const RewardSpec& spec, std::vector<std::string>& headers) {
  if (!spec.options.contains("token_env")) return;
  const std::string variable = text_option(spec, "token_env");
  const char* token = std::getenv(variable.c_str());
  CHECK_USAGE(token != nullptr && *token != '\0' && is_plain(token),
              "reward '{}': the environment variable {}, which 'token_env' names, holds no token", spec.name, variable);
  headers.push_back(fmt::format("Authorization: Bearer {}", token));
}

HttpOptions read_options(const RewardSpec& spec) {
  check_options(spec, {"url", "batch", "workers", "timeout_s", "retries", "backoff_s", "reconnect_s", "response_kb", "ca_file",
                       "headers", "token_env"});
  HttpOptions options{.name = spec.name};
  options.settings.url = text_option(spec, "url");
  const std::string objection = objection_to_url(options.settings.url);
  // Without the URL, where it may hold a password.
  CHECK_USAGE(objection.empty(), "reward '{}': 'url' is {}; allowed is https://HOST/PATH or http://..., and 'token_env' for a secret",
              spec.name, objection);
  options.batch = static_cast<size_t>(whole_option(spec, "batch", 1, kMaxBatch, 16));
  options.workers = static_cast<size_t>(whole_option(spec, "workers", 1, 1024, 4));
  options.settings.seconds = number_option(spec, "timeout_s", 0.1, 3600, 10);
  options.retries = whole_option(spec, "retries", 0, 100, 2);
  options.backoff_seconds = number_option(spec, "backoff_s", 0.01, kLongestPause, 0.5);
  options.reconnect_seconds = number_option(spec, "reconnect_s", 0, 86400, 120);
  options.settings.response_bytes = 1024 * static_cast<size_t>(whole_option(spec, "response_kb", 1, 1 << 20, 1024));
  if (spec.options.contains("ca_file")) options.settings.ca_file = text_option(spec, "ca_file");
  if (spec.options.contains("token_env")) text_option(spec, "token_env");
  options.settings.headers = read_headers(spec);
  return options;
}

}  // namespace

double pause_after(int64_t tries, double first) {
  return std::min(kLongestPause, first * std::exp2(static_cast<double>(std::min<int64_t>(tries, 30))));
}

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

void check_http(const RewardSpec& spec) { read_options(spec); }

HttpReward::HttpReward(const RewardSpec& spec) : options_(read_options(spec)) {
  add_token(spec, options_.settings.headers);
  HttpClient client(options_.settings);
  for (int64_t tries = 0;; ++tries) {
    client.post(0, R"({"requests": []})");
    std::vector<std::pair<size_t, HttpResult>> done;
    while (done.empty()) done = client.wait(1000);
    HttpResult& result = done[0].second;
    if (result.end == HttpResult::End::ok) read_http_answers(result.body, 0, result.why);
    if (result.why.empty()) break;
    const bool may_pass = result.end != HttpResult::End::refused && result.end != HttpResult::End::ok;
    CHECK_USAGE(may_pass && tries < options_.retries, "reward '{}': {}, asked without a completion: {}", spec.name,
                options_.settings.url, result.why);
    std::this_thread::sleep_for(std::chrono::duration<double>(pause_after(tries, options_.backoff_seconds)));
  }
}

std::unique_ptr<HttpClient> HttpReward::borrow() const {
  const std::lock_guard lock(mutex_);
  if (idle_.empty()) return std::make_unique<HttpClient>(options_.settings);
  std::unique_ptr<HttpClient> client = std::move(idle_.back());
  idle_.pop_back();
  return client;
}

void HttpReward::give_back(std::unique_ptr<HttpClient> client) const {
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(client));
}

void HttpReward::ask(TaskFeed& feed) const {
  std::unique_ptr<HttpClient> client = borrow();
  HttpService(options_, *client, feed, abandoned_, retries_).run();
  if (client->in_flight() == 0) give_back(std::move(client));  // nor after an exception: it may have exchanges in flight
}

std::unique_ptr<Reward> make_http(const RewardSpec& spec) { return std::make_unique<HttpReward>(spec); }

}  // namespace cohort
