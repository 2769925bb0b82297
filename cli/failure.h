// Turns whatever was thrown into one line and an exit code, and runs commands that work on several
// ranks.
#pragma once

#include <exception>
#include <functional>
#include <string>

#include "comm/comm.h"

namespace cohort {

struct Failure {
  int exit_code;
  std::string message;
};

// Error's own code; no memory or disk left: 6; other file system errors: 3; anything else: 1.
Failure describe(const std::exception_ptr& error);

// "cohort: error: MESSAGE" on standard error; `who` ("rank 3 on node07") stands before the message
// unless it is empty.
void print_failure(const std::string& who, const std::string& message);

// "rank R on HOST", or "" for a single process.
std::string rank_name(const Comm& comm);

// Makes the ranks' Comm and runs `body` on it. What it throws is printed, and ends all ranks with
// its exit code.
int run_on_ranks(const std::function<int(Comm&)>& body);

}  // namespace cohort
