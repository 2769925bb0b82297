// Turns whatever was thrown into one line and an exit code, and runs commands that work on several
// ranks.
#pragma once

#include <chrono>
#include <exception>
#include <functional>
#include <string>

#include "comm/comm.h"
#include "comm/last_seen.h"
#include "comm/supervisor.h"
#include "comm/watchdog.h"
#include "core/check.h"

namespace cohort {

struct Failure {
  int exit_code;
  std::string message;
};

// Error's own code; no memory or disk left: 6; other file system errors: 3; anything else: 1. An output whose reader has gone
// has no message: whoever closed it knows.
Failure describe(const std::exception_ptr& error);

// "cohort: error: MESSAGE" on standard error; `who` ("rank 3 on node07") stands before the message
// unless it is empty. Nothing for an empty message. `beside_view`: another rank may be showing a run on the same terminal.
void print_failure(const std::string& who, const std::string& message, bool beside_view = false);

// The last error of writing to `name`, as an exception: a reader that has gone (kInput, without a message), a full disk
// (kResources), anything else (kInput).
[[noreturn]] void fail_output(const std::string& name, int error);

// For people, on standard error, in one write. A reader that has gone is no failure of the command.
void tell(const std::string& text);
// The same on standard output, for what is said when the work is done and saved.
void tell_result(const std::string& text);

// "rank R on HOST", or "" for a single process.
std::string rank_name(const Comm& comm);

// What has been thrown, as an Error that says where `watchdog`'s rank was: "... (section update of step 41)". Without it for
// what the user gave (exit codes 2 and 3) before the first step, whose messages name a file or a key.
Error located(const std::exception_ptr& error, const Watchdog& watchdog);

// For a watchdog: prints its message, where `seen` wants it with the stacks of this rank's threads, and ends all ranks.
std::function<void(const std::string&)> ends_all_ranks(Comm& comm, LastSeen& seen);

// Makes the ranks' Comm and runs `body` on it; where a launcher started several, with a supervisor beside each (comm/supervisor.h),
// which does about requests to stop as `requests` says. What body throws is printed, and ends all ranks with its exit code.
// `start_limit`: for MPI_Init and the first meeting of all ranks, which comes before body.
int run_on_ranks(StopRequests requests, const std::function<int(Comm&, LastSeen&)>& body,
                 std::chrono::milliseconds start_limit = Comm::kDefaultDeadline);

}  // namespace cohort
