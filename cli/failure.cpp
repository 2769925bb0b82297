#include "cli/failure.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <new>
#include <system_error>
#include <thread>

#include "cli/terminal.h"
#include "comm/launch.h"
#include "comm/stall_report.h"
#include "core/check.h"
#include "core/text.h"
#include "reward/code/nursery.h"
#include "reward/outside/launcher.h"

namespace cohort {
namespace {

constexpr unsigned kReportSeconds = 5;

ExitCode code_of(const std::error_code& error) {
  const bool full = error == std::errc::no_space_on_device || error == std::errc::not_enough_memory ||
                    error == std::errc::resource_unavailable_try_again;  // no more threads
  return full ? ExitCode::kResources : ExitCode::kInput;
}

Failure system_failure(const std::error_code& error, const char* what) {
  return {static_cast<int>(code_of(error)), error == std::errc::broken_pipe ? "" : what};
}

// What a supervised rank does last, when MPI is finalised or given up.
struct RankEnd {
  std::string who;  // "": it has no supervisor
  ~RankEnd() {
    if (!who.empty()) continue_supervisor(who);
  }
};

bool write_all(std::FILE* file, const std::string& text) {
  return std::fwrite(text.data(), 1, text.size(), file) == text.size() && std::fflush(file) == 0;
}

}  // namespace

Failure describe(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const Error& e) {
    return {static_cast<int>(e.code()), e.what()};
  } catch (const std::bad_alloc&) {
    return {static_cast<int>(ExitCode::kResources),
            "out of memory; `cohort train CONFIG --dry-run` shows what takes how much"};
  } catch (const std::filesystem::filesystem_error& e) {
    return system_failure(e.code(), e.what());
  } catch (const std::system_error& e) {  // fmt::print to a full disk, among others
    return system_failure(e.code(), e.what());
  } catch (const std::exception& e) {
    return {static_cast<int>(ExitCode::kInternal), fmt::format("internal error: {}", e.what())};
  } catch (...) {
    return {static_cast<int>(ExitCode::kInternal), "internal error: an unknown exception"};
  }
}

void print_failure(const std::string& who, const std::string& message, bool beside_view) {
  std::fflush(stdout);
  if (message.empty()) return;
  // One write, so that the lines of several ranks do not mix. Rank 0 may rewrite the last lines of the terminal until it is ended.
  const std::string room(beside_view && Terminal().live() ? kMostLiveLines : 0, '\n');
  tell(fmt::format("cohort: error: {}{}{}\n{}", who, who.empty() ? "" : ": ", printable(message), room));
}

void fail_output(const std::string& name, int error) {
  const std::error_code code(error, std::generic_category());
  if (code == std::errc::broken_pipe) throw Error(code_of(code), "");
  fail(code_of(code), "{} cannot be written: {}", name, code.message());
}

void tell(const std::string& text) { write_below(text); }

void tell_result(const std::string& text) {
  if (write_all(stdout, text) || errno != EPIPE) return;
  // What is left in the buffer would fail once more at the end.
  if (std::freopen("/dev/null", "w", stdout) == nullptr) std::clearerr(stdout);
}

std::string rank_name(const Comm& comm) {
  return comm.size() == 1 ? "" : fmt::format("rank {} on {}", comm.rank(), comm.host());
}

std::function<void(const std::string&)> ends_all_ranks(Comm& comm, LastSeen& seen) {
  return [&](const std::string& message) {
    print_failure("", message, comm.rank() != 0);
    if (seen.reports_stalls()) {
      // The thread that hangs may hold what a report needs, such as the lock of the memory allocator.
      std::signal(SIGALRM, [](int) { _exit(static_cast<int>(ExitCode::kRankFailed)); });
      alarm(kReportSeconds);
      tell(stall_report(rank_name(comm), getpid(), seen));
    }
    comm.abort(static_cast<int>(ExitCode::kRankFailed));
  };
}

Error located(const std::exception_ptr& error, const Watchdog& watchdog) {
  const Failure failure = describe(error);
  const auto code = static_cast<ExitCode>(failure.exit_code);
  const auto [section, step] = watchdog.last();
  const bool given = code == ExitCode::kUsage || code == ExitCode::kInput;
  if (section.empty() || (given && (section == "load" || step == 0)) || failure.message.empty()) return {code, failure.message};
  return {code, fmt::format("{} (section {} of step {})", failure.message, section, step)};
}

int run_on_ranks(StopRequests requests, const std::function<int(Comm&, LastSeen&)>& body, std::chrono::milliseconds start_limit) {
  LastSeen& seen = make_shared_last_seen();
  const Environment environment = [](const char* name) { return std::getenv(name); };
  // They fork, which nothing may do once MPI and threads run. Whether the last two are needed, the config says later.
  RankEnd end;
  if (launched_with_others(environment)) {
    seen.enter("", 0, LastSeen::Clock::now() + start_limit);
    start_supervised(launched_name(environment), seen, requests);
    end.who = launched_name(environment);
  }
  std::unique_ptr<Comm> comm;
  try {
    start_nursery();
    start_launcher();
    comm = make_comm(&seen);
    seen.leave();
  } catch (...) {
    seen.end(describe(std::current_exception()).exit_code);  // whoever prints it says why
    throw;
  }
  Failure failure;
  try {
    const int code = body(*comm, seen);
    seen.leave();
    seen.end(code);
    return code;
  } catch (...) {
    failure = describe(std::current_exception());
  }
  if (comm->size() == 1) {
    print_failure("", failure.message);
    return failure.exit_code;
  }
  // A bad config or data set is found by every rank alike: rank 0 reports it and ends the others
  // while they wait here.
  if (comm->rank() != 0) std::this_thread::sleep_for(std::chrono::milliseconds(700));
  print_failure(rank_name(*comm), failure.message, comm->rank() != 0);
  comm->abort(failure.exit_code);
  return failure.exit_code;  // not reached
}

}  // namespace cohort
