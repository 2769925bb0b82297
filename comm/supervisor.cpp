#include "comm/supervisor.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "comm/stall_report.h"
#include "core/check.h"

namespace cohort {
namespace {

using namespace std::chrono_literals;

// The rank's own watchdog goes first: it looks at once, and need not guess.
constexpr auto kGrace = 2500ms;
constexpr auto kLook = 250ms;
// Between the first supervisor that says that its rank waits in its start and the last: ranks do not start at the same moment, and
// the first one that ends takes the job along.
constexpr auto kOthersSpeak = 1000ms;

constexpr int kFailed = static_cast<int>(ExitCode::kRankFailed);

void tell(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stderr); }

[[noreturn]] void report(const std::string& who, const std::string& what, const LastSeen& seen) {
  tell(fmt::format("cohort: error: {}: {} in {}\n", who, what, seen.where()));
  _exit(kFailed);
}

// Waits for the child at most `most`; whether it has ended.
bool wait_for(pid_t child, int& status, std::chrono::milliseconds most) {
  for (auto waited = 0ms; waited <= most; waited += 10ms) {
    const pid_t got = waitpid(child, &status, WNOHANG);
    if (got == child) return true;
    if (got < 0 && errno != EINTR) return false;
    usleep(10'000);
  }
  return false;
}

std::string what_it_does(char state) {
  switch (state) {
    case 'T': return "it is stopped (SIGSTOP)";
    case 't': return "a debugger holds it";
    case 'D': return "it waits for a disk or a file server";
    default: return fmt::format("its watchdog says nothing (state {})", state);
  }
}

// What went on past its deadline. In its start a rank that runs waits for others, and MPI does not say for whom.
std::string overdue(char state, const LastSeen& seen, LastSeen::Clock::time_point began) {
  const bool runs = state != 'T' && state != 't' && state != 'D';
  const bool waits = seen.collective_deadline() != LastSeen::Clock::time_point::max();
  if (seen.section().empty() && runs && waits)
    return fmt::format("waits in {} since its start {:.1f} s ago: not all have come (comm.load_timeout_s); look at the ranks that do not "
                       "say so: stopped, waiting for a file server, or never started",
                       seen.collective(), std::chrono::duration<double>(LastSeen::Clock::now() - began).count());
  return fmt::format("{} went on past its deadline; {}", seen.where(), what_it_does(state));
}

[[noreturn]] void ended(const std::string& who, int status, const LastSeen& seen) {
  const int given = seen.exit_code();
  if (WIFEXITED(status)) {
    if (given >= 0) _exit(WEXITSTATUS(status));
    report(who, fmt::format("ended with exit code {}, before its work was done,", WEXITSTATUS(status)), seen);
  }
  if (given > 0) _exit(given);  // it was ending the job, and has said why
  const int signal = WTERMSIG(status);
  report(who,
         fmt::format("killed by signal {} ({}){}", signal, strsignal(signal),
                     signal == SIGKILL ? " from outside, or by the kernel for want of memory," : ""),
         seen);
}

[[noreturn]] void supervise(const std::string& who, pid_t child, LastSeen& seen, StopRequests requests, const sigset_t& signals) {
  prctl(PR_SET_NAME, "cohort-watch");
  const LastSeen::Clock::time_point began = LastSeen::Clock::now();
  bool asked = false;
  while (true) {
    const timespec look{0, std::chrono::nanoseconds(kLook).count()};
    const int signal = sigtimedwait(&signals, nullptr, &look);
    if (signal == ThreadStacks::kSignal) tell(stall_report(who, child, seen));
    if (signal == SIGUSR1 || signal == SIGTERM) {
      // Whoever ends the job may do so because this rank does not come: one that computes is asked, one that waits is not.
      const bool computes = seen.collective_deadline() == LastSeen::Clock::time_point::max() && seen.exit_code() < 0;
      if (signal == SIGTERM && !asked && seen.reports_stalls() && computes) tell(stall_report(who, child, seen));
      if (signal == SIGTERM && asked) {  // as without a supervisor: the second one ends it, and its rank with it
        ::signal(SIGTERM, SIG_DFL);
        sigprocmask(SIG_UNBLOCK, &signals, nullptr);
        raise(SIGTERM);
      }
      asked = asked || signal == SIGTERM;
      // A group that is signalled as a whole has its rank asked twice: SIGUSR1 may come any number of times.
      if (requests == StopRequests::handed_on && seen.exit_code() < 0) kill(child, SIGUSR1);
    }
    int status = 0;
    if (wait_for(child, status, 0ms)) ended(who, status, seen);
    const LastSeen::Clock::time_point due = seen.due();
    if (due == LastSeen::Clock::time_point::max() || LastSeen::Clock::now() - due < kGrace || seen.exit_code() >= 0) continue;
    const bool starts = seen.section().empty();
    const std::string what = fmt::format("cohort: error: {}: {}\n", who, overdue(state_of(fmt::format("/proc/{}", child)), seen, began));
    if (starts) {
      tell(what);
      usleep(std::chrono::microseconds(kOthersSpeak).count());
    }
    const std::string stacks = !starts && seen.reports_stalls() ? stall_report(who, child, seen) : "";
    kill(child, SIGKILL);
    wait_for(child, status, 1000ms);  // one that waits for a disk does not die; then it stays behind
    if (!starts) tell(stacks + what);
    _exit(kFailed);
  }
}

}  // namespace

void start_supervised(const std::string& who, LastSeen& seen, StopRequests requests) {
  seen.stacks().answer();
  sigset_t signals, before;
  sigemptyset(&signals);
  sigaddset(&signals, SIGCHLD);
  sigaddset(&signals, ThreadStacks::kSignal);
  if (requests == StopRequests::handed_on) {
    sigaddset(&signals, SIGUSR1);
    sigaddset(&signals, SIGTERM);
  }
  // Before the fork: what comes from now on is the parent's to hand on, what came before is in the flag that both have.
  sigprocmask(SIG_BLOCK, &signals, &before);
  ::signal(SIGCHLD, SIG_DFL);  // a launcher that ignores it would leave nothing to wait for
  const pid_t parent = getpid(), child = fork();
  if (child < 0) {
    const int error = errno;
    sigprocmask(SIG_SETMASK, &before, nullptr);
    fail(ExitCode::kResources, "no process for the rank: {}", std::strerror(error));
  }
  if (child > 0) supervise(who, child, seen, requests, signals);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(kFailed);
  sigprocmask(SIG_SETMASK, &before, nullptr);
}

void continue_supervisor(const std::string& who) {
  const pid_t supervisor = getppid();
  if (state_of(fmt::format("/proc/{}", supervisor)) != 'T') return;
  tell(fmt::format("cohort: warning: {}: its supervisor (process {}) was stopped (SIGSTOP), and is continued to see it end\n", who, supervisor));
  kill(supervisor, SIGCONT);
}

}  // namespace cohort
