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

// Error's own code; no memory or disk left: 6; other file system errors: 3; anything else: 1. An output whose reader has gone
// has no message: whoever closed it knows.
Failure describe(const std::exception_ptr& error);

// "cohort: error: MESSAGE" on standard error; `who` ("rank 3 on node07") stands before the message
// unless it is empty. Nothing for an empty message.
void print_failure(const std::string& who, const std::string& message);

// The last error of writing to `name`, as an exception: a reader that has gone (kInput, without a message), a full disk
// (kResources), anything else (kInput).
[[noreturn]] void fail_output(const std::string& name, int error);

// For people, on standard error, in one write. A reader that has gone is no failure of the command.
void tell(const std::string& text);
// The same on standard output, for what is said when the work is done and saved.
void tell_result(const std::string& text);

// "rank R on HOST", or "" for a single process.
std::string rank_name(const Comm& comm);

// Makes the ranks' Comm and runs `body` on it. What it throws is printed, and ends all ranks with
// its exit code.
int run_on_ranks(const std::function<int(Comm&)>& body);

}  // namespace cohort
