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

std::vector<std::string> read_headers(const OptionReader& options) {
  std::vector<std::string> headers;
  const Json* const it = options.value("headers");
  if (it == nullptr) return headers;
  CHECK_USAGE(it->is_object(), "reward '{}': 'headers' is {}; allowed is a map like {{X-Team: blue}}", options.reward(), it->dump());
  for (const auto& [name, value] : it->items()) {
    CHECK_USAGE(value.is_string() && is_plain(value.get_ref<const std::string&>()) && is_plain(name) && !name.empty() &&
                    name.find_first_of(" :;") == std::string::npos,
                "reward '{}': the header {}: {} is none; allowed are a name and a text, both of plain ASCII", options.reward(),
                shown_text(name), value.dump());
    headers.push_back(fmt::format("{}: {}", name, value.get_ref<const std::string&>()));
  }
  return headers;
}

// The secret is not part of the options: the environment may lack it where a config is only looked at.
void add_token(const RewardSpec& spec, std::vector<std::string>& headers) {
  const std::string variable = OptionReader(spec, http_options()).text("token_env");
  if (variable.empty()) return;
  const char* token = std::getenv(variable.c_str());
  CHECK_USAGE(token != nullptr && *token != '\0' && is_plain(token),
              "reward '{}': the environment variable {}, which 'token_env' names, holds no token", spec.name, variable);
  headers.push_back(fmt::format("Authorization: Bearer {}", token));
}

HttpOptions read_options(const RewardSpec& spec) {
  const OptionReader read(spec, http_options());
  HttpOptions options{.name = spec.name};
  options.settings.url = read.text("url");
  const std::string objection = objection_to_url(options.settings.url);
  // Without the URL, where it may hold a password.
  CHECK_USAGE(objection.empty(), "reward '{}': 'url' is {}; allowed is https://HOST/PATH or http://..., and 'token_env' for a secret",
              spec.name, objection);
  options.batch = static_cast<size_t>(read.integer("batch"));
  options.workers = static_cast<size_t>(read.integer("workers"));
  options.settings.seconds = read.number("timeout_s");
  options.retries = read.integer("retries");
  options.backoff_seconds = read.number("backoff_s");
  options.reconnect_seconds = read.number("reconnect_s");
  options.settings.response_bytes = 1024 * static_cast<size_t>(read.integer("response_kb"));
  options.settings.ca_file = read.text("ca_file");
  read.text("token_env");
  options.settings.headers = read_headers(read);
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

const OptionTable& http_options() {
  static const OptionTable table = {
      {.name = "url", .type = OptionType::text, .help = "where completions are sent", .needed = true, .form = "https://HOST/PATH or http://..."},
      {.name = "batch", .type = OptionType::integer, .help = "completions in a request, at most", .standard = 16, .bounds = {.low = 1, .high = kMaxBatch}},
      {.name = "workers", .type = OptionType::integer, .help = "requests at a time, of each rank", .standard = 4, .bounds = {.low = 1, .high = 1024}},
      {.name = "timeout_s", .type = OptionType::number, .help = "of one request; at most 10 for the connection", .standard = 10.0,
       .bounds = {.low = 0.1, .high = 3600}},
      {.name = "retries", .type = OptionType::integer,
       .help = "further tries when there is no answer in time, the connection breaks, or the status is 500", .standard = 2,
       .bounds = {.low = 0, .high = 100}},
      {.name = "backoff_s", .type = OptionType::number, .help = "the pause before the second try; doubled for each further one, up to 30",
       .standard = 0.5, .bounds = {.low = 0.01, .high = kLongestPause}},
      {.name = "reconnect_s", .type = OptionType::number, .help = "how long a server that is away is waited for", .standard = 120.0,
       .bounds = {.low = 0, .high = 86400}},
      {.name = "response_kb", .type = OptionType::integer, .help = "of an answer", .standard = 1024, .bounds = {.low = 1, .high = 1 << 20}},
      {.name = "headers", .type = OptionType::map, .help = "more headers of requests", .form = "a map like {X-Team: blue}"},
      {.name = "token_env", .type = OptionType::text, .help = "the environment variable with a secret, sent as Authorization: Bearer ...",
       .form = "the name of a variable"},
      {.name = "ca_file", .type = OptionType::text, .help = "certificates to trust, for a server with one of its own; without it the system's",
       .form = "a PEM file"},
  };
  return table;
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
