#include "reward/outside/http_client.h"

#include <algorithm>

#include "core/check.h"
#include "reward/outside/outside.h"

namespace cohort {
namespace {

constexpr long kConnectMilliseconds = 10'000;

// Once a process; later calls do nothing.
void start_libcurl() {
  static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  CHECK(code == CURLE_OK, "libcurl: {}", curl_easy_strerror(code));
}

// The server is not there, or is not the one that it should be.
bool is_unavailable(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      return true;
    default:
      return false;
  }
}

// Too many requests, and what a gateway says while the server behind it is away.
bool is_unavailable(long status) { return status == 429 || status == 502 || status == 503 || status == 504; }

}  // namespace

struct HttpClient::Exchange {
  explicit Exchange(size_t limit) : limit(limit) {}
  ~Exchange() { curl_easy_cleanup(easy); }
  Exchange(const Exchange&) = delete;

  const size_t limit;
  CURL* easy = nullptr;
  size_t key = 0;
  std::string body, response;
  bool too_large = false;
  char error[CURL_ERROR_SIZE] = "";
};

HttpClient::HttpClient(const HttpSettings& settings) : settings_(settings) {
  start_libcurl();
  multi_ = curl_multi_init();
  // A body is sent at once, without asking whether it is welcome.
  headers_ = curl_slist_append(curl_slist_append(nullptr, "Content-Type: application/json"), "Expect:");
  for (const std::string& header : settings.headers) headers_ = curl_slist_append(headers_, header.c_str());
  if (multi_ == nullptr || headers_ == nullptr) fail(ExitCode::kResources, "libcurl has no memory");
}

HttpClient::~HttpClient() {
  for (const auto& exchange : exchanges_) curl_multi_remove_handle(multi_, exchange->easy);
  exchanges_.clear();
  curl_multi_cleanup(multi_);
  curl_slist_free_all(headers_);
}

size_t HttpClient::receive(char* bytes, size_t size, size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  exchange.too_large = size * count > exchange.limit - exchange.response.size();
  if (exchange.too_large) return 0;  // ends the exchange
  exchange.response.append(bytes, size * count);
  return size * count;
}

void HttpClient::post(size_t key, std::string body) {
  auto exchange = std::make_unique<Exchange>(settings_.response_bytes);
  exchange->key = key;
  exchange->body = std::move(body);
  CURL* const easy = exchange->easy = curl_easy_init();
  if (easy == nullptr) fail(ExitCode::kResources, "libcurl has no memory");
  const auto set = [&](CURLoption option, auto value) {
    const CURLcode code = curl_easy_setopt(easy, option, value);
    CHECK(code == CURLE_OK, "libcurl, option {}: {}", static_cast<int>(option), curl_easy_strerror(code));
  };
  const auto milliseconds = static_cast<long>(1000 * settings_.seconds);
  set(CURLOPT_URL, settings_.url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_HTTPHEADER, headers_);
  set(CURLOPT_POST, 1L);
  set(CURLOPT_POSTFIELDS, exchange->body.c_str());
  set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(exchange->body.size()));
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_SSL_VERIFYPEER, 1L);
  set(CURLOPT_SSL_VERIFYHOST, 2L);
  if (!settings_.ca_file.empty()) {
    set(CURLOPT_CAINFO, settings_.ca_file.c_str());
    set(CURLOPT_CAPATH, static_cast<const char*>(nullptr));
  }
  set(CURLOPT_TIMEOUT_MS, milliseconds);
  set(CURLOPT_CONNECTTIMEOUT_MS, std::min(milliseconds, kConnectMilliseconds));
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_USERAGENT, "cohort");
  set(CURLOPT_WRITEFUNCTION, &HttpClient::receive);
  set(CURLOPT_WRITEDATA, static_cast<void*>(exchange.get()));
  set(CURLOPT_PRIVATE, static_cast<void*>(exchange.get()));
  set(CURLOPT_ERRORBUFFER, exchange->error);
  const CURLMcode code = curl_multi_add_handle(multi_, easy);
  CHECK(code == CURLM_OK, "libcurl: {}", curl_multi_strerror(code));
  exchanges_.push_back(std::move(exchange));
}

HttpResult HttpClient::result_of(Exchange& exchange, CURLcode code) const {
  using End = HttpResult::End;
  if (exchange.too_large) return {End::refused, "", fmt::format("an answer of more than {} bytes", exchange.limit)};
  if (code == CURLE_OPERATION_TIMEDOUT) {
    curl_off_t connected = 0;
    curl_easy_getinfo(exchange.easy, CURLINFO_PRETRANSFER_TIME_T, &connected);
    if (connected == 0) return {End::unavailable, "", fmt::format("no connection within {:g} s", settings_.seconds)};
    return {End::timeout, "", fmt::format("no answer within {:g} s", settings_.seconds)};
  }
  if (code != CURLE_OK)
    return {is_unavailable(code) ? End::unavailable : End::broken, "",
            exchange.error[0] != '\0' ? exchange.error : curl_easy_strerror(code)};
  long status = 0;
  curl_easy_getinfo(exchange.easy, CURLINFO_RESPONSE_CODE, &status);
  if (status == 200) return {End::ok, std::move(exchange.response), ""};
  const char* target = nullptr;
  curl_easy_getinfo(exchange.easy, CURLINFO_REDIRECT_URL, &target);
  if (target != nullptr)
    return {End::refused, "", fmt::format("status {}, a redirect to {}, which is not followed", status, shown_text(target))};
  return {is_unavailable(status) ? End::unavailable : status == 500 ? End::broken : End::refused, "",
          fmt::format("status {}: {}", status, shown_text(exchange.response)), status};
}

void HttpClient::cancel(size_t key) {
  const auto found = std::ranges::find(exchanges_, key, [](const auto& exchange) { return exchange->key; });
  if (found == exchanges_.end()) return;
  curl_multi_remove_handle(multi_, (*found)->easy);
  exchanges_.erase(found);
}

std::vector<std::pair<size_t, HttpResult>> HttpClient::wait(int milliseconds, int fd) {
  std::vector<std::pair<size_t, HttpResult>> done;
  int running = 0, left = 0;
  curl_multi_perform(multi_, &running);
  // All that was in flight may be over by now.
  if (running == static_cast<int>(exchanges_.size()) && milliseconds > 0) {
    curl_waitfd extra{.fd = fd, .events = CURL_WAIT_POLLIN, .revents = 0};
    curl_multi_poll(multi_, fd >= 0 ? &extra : nullptr, fd >= 0 ? 1 : 0, milliseconds, nullptr);
    curl_multi_perform(multi_, &running);
  }
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;
    void* user = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &user);
    auto& exchange = *static_cast<Exchange*>(user);
    done.emplace_back(exchange.key, result_of(exchange, code));
    curl_multi_remove_handle(multi_, exchange.easy);
    std::erase_if(exchanges_, [&](const auto& other) { return other.get() == &exchange; });
  }
  return done;
}

std::string objection_to_url(const std::string& url) {
  const std::unique_ptr<CURLU, void (*)(CURLU*)> parsed(curl_url(), curl_url_cleanup);
  const auto part = [&](CURLUPart which) {
    char* text = nullptr;
    if (curl_url_get(parsed.get(), which, &text, 0) != CURLUE_OK) return std::string();
    std::string result = text;
    curl_free(text);
    return result;
  };
  if (curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) return "no URL";
  const std::string scheme = part(CURLUPART_SCHEME);
  if (scheme != "http" && scheme != "https") return "of the scheme " + scheme;
  if (!part(CURLUPART_USER).empty() || !part(CURLUPART_PASSWORD).empty()) return "a URL with a name or password in it";
  return "";
}

}  // namespace cohort
