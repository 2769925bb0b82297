// POSTs of JSON, several at a time, by libcurl: with deadlines, TLS always verified, no redirects, answers of bounded size.
#pragma once

#include <curl/curl.h>

#include <memory>
#include <string>
#include <vector>

namespace cohort {

struct HttpSettings {
  std::string url;
  std::vector<std::string> headers;  // "Name: value"
  std::string ca_file;               // certificates to trust in place of the system's; "" for the system's
  double seconds = 10;               // of one exchange, from the first byte of the connection to the last one of the answer
  size_t response_bytes = 1 << 20;
};

struct HttpResult {
  enum class End {
    ok,           // status 200; `body` is all of it
    unavailable,  // the server cannot be reached or says that it cannot serve now: no request's fault
    timeout,
    broken,   // the connection ended too early, or the server failed (status 500): may be gone the next time
    refused,  // any other status, a redirect, an answer that is too large: will be the same the next time
  };
  End end = End::broken;
  std::string body;
  std::string why;  // for people, unless ok
  long status = 0;  // 0: there was none
};

// Exchanges in flight. Not thread-safe. Connections are kept and used again.
class HttpClient {
 public:
  // `settings` outlives it. Throws (exit code 6) when libcurl has no memory.
  explicit HttpClient(const HttpSettings& settings);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;

  // `key` names the exchange in done().
  void post(size_t key, std::string body);
  size_t in_flight() const { return exchanges_.size(); }
  // Nobody waits for it any more.
  void cancel(size_t key);
  // Waits for news at most so long, or until `fd` is readable (-1: none), and gives the exchanges that are over.
  std::vector<std::pair<size_t, HttpResult>> wait(int milliseconds, int fd = -1);

 private:
  struct Exchange;
  static size_t receive(char* bytes, size_t size, size_t count, void* exchange);
  HttpResult result_of(Exchange& exchange, CURLcode code) const;

  const HttpSettings& settings_;
  CURLM* multi_ = nullptr;
  curl_slist* headers_ = nullptr;
  std::vector<std::unique_ptr<Exchange>> exchanges_;
};

// Why `url` is none that can be used, or "".
std::string objection_to_url(const std::string& url);

}  // namespace cohort
