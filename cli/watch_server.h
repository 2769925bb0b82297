// An HTTP server on 127.0.0.1 alone, on a thread of its own (libmicrohttpd). Bounded: 32 connections, 16 KB of a request's head, ten silent
// seconds; a request's body is never read.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace cohort {

struct WatchRequest {
  std::string method, path;         // path: without what follows "?", decoded
  std::vector<std::string> hosts;   // its Host headers
  std::optional<std::string> token, have;  // of the query
};

struct WatchAnswer {
  int status = 200;
  std::string type, body;
};

class WatchServer {
 public:
  // port 0: any that is free. `answer` is called on the server's thread. A port that is taken or not allowed: exit code 2.
  WatchServer(int port, std::function<WatchAnswer(const WatchRequest&)> answer);
  ~WatchServer();  // ends connections, and waits for an answer that is being made
  WatchServer(const WatchServer&) = delete;
  WatchServer& operator=(const WatchServer&) = delete;
  int port() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cohort
