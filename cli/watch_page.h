// What cohort watch serves: the report of runs as they are now, and who may have it.
#pragma once

#include <chrono>
#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

#include "cli/watch_server.h"
#include "core/json.h"

namespace cohort {

// The data of a report (trainer/report_data.h) of runs that may be in progress, or not there yet: with "live": true, and "waiting": what is still
// missing, for people. Thread-safe.
class WatchedRuns {
 public:
  explicit WatchedRuns(std::vector<std::filesystem::path> runs) : runs_(std::move(runs)) {}

  struct State {
    Json data;
    std::string version;  // changes with the data
  };
  // As the files are now, but for what changed within the last second.
  State state();

 private:
  std::string look() const;
  Json read() const;

  const std::vector<std::filesystem::path> runs_;
  std::mutex mutex_;
  std::chrono::steady_clock::time_point looked_{};
  std::string seen_;  // of the files
  State state_;
  int64_t versions_ = 0;
};

// Who may read: requests with the token that name this very machine as host, so that a page of another site, to which a name server gave
// our address, reads nothing. GET alone; the page is "/", its data "/data" (with have=VERSION: 204 while they are the same).
WatchAnswer watch_answer(const WatchRequest& request, const std::string& token, WatchedRuns& runs);

// 128 random bits as hexadecimal digits.
std::string random_token();

}  // namespace cohort
