#include "reward/outside/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <tuple>

#include "core/text.h"
#include "reward/code/wire.h"
#include "reward/outside/process_tree.h"
#include "reward/outside/supervisor.h"

namespace cohort {
namespace {

// More than the supervisor takes for the killing: what is not over then is left to it.
constexpr auto kKillTime = std::chrono::seconds(12);
// A program may stop its supervisor, being the same user's. After so long it is looked for that, and after kPatience it is not waited for.
constexpr auto kLook = std::chrono::milliseconds(50);
constexpr auto kPatience = std::chrono::seconds(6);

std::string end_of(int status) {
  if (WIFEXITED(status)) return fmt::format("ended with exit code {}", WEXITSTATUS(status));
  const char* name = sigabbrev_np(WTERMSIG(status));
  return fmt::format("was ended by signal {} ({})", WTERMSIG(status), name == nullptr ? "?" : name);
}

}  // namespace

std::string shown_command(const std::vector<std::string>& command) {
  std::string text = fmt::format("{}", fmt::join(command, " "));
  if (text.size() > 200) text = text.substr(0, 200) + "...";
  return printable(to_valid_utf8(text));
}

Program::Program(Launcher& launcher, const std::vector<std::string>& command) {
  ProgramEnds far;
  std::tie(far.input, input) = make_pipe();
  std::tie(output, far.output) = make_pipe();
  std::tie(error, far.error) = make_pipe();
  std::tie(control_, far.control) = socket_pair(SOCK_SEQPACKET);
  for (const Fd* fd : {&input, &output, &error}) fcntl(fd->get(), F_SETFL, O_NONBLOCK);
  if (!launcher.start(command, far)) over_ = true, end_ = "cannot be started: the process that starts programs is dead or does not answer";
}

Program::~Program() {
  if (!over_) kill();
}

void Program::look() {
  ProgramReport report;
  while (!over_) {
    const ssize_t got = recv(control_.get(), &report, sizeof report, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got != sizeof report) {
      over_ = true, end_ = executed_ ? "was killed with its supervisor" : "cannot be started: no process for it";
    } else if (report.kind == ProgramReport::Kind::supervised) {
      supervisor_ = report.value;
    } else if (report.kind == ProgramReport::Kind::started) {
      executed_ = true;
    } else {
      over_ = true;
      end_ = report.kind == ProgramReport::Kind::ended
                 ? end_of(report.value)
                 : fmt::format("cannot be started: {}", std::strerror(report.value));
    }
  }
}

bool Program::wait_until_over(Clock::time_point deadline) {
  while (true) {
    look();
    if (over_) return true;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    pollfd entry{control_.get(), POLLIN, 0};
    poll(&entry, 1, static_cast<int>(std::min<int64_t>(left, 1000)));
  }
}

std::string Program::finish(Clock::time_point deadline) {
  if (!wait_until_over(deadline)) {
    killed_ = true;
    kill();
    if (!over_) end_ = "cannot be killed";
  }
  return end_;
}

// By its supervisor; by this process where that one is stopped or takes too long.
void Program::kill() {
  shutdown(control_.get(), SHUT_WR);
  const Clock::time_point start = Clock::now();
  while (!wait_until_over(Clock::now() + kLook) && Clock::now() < start + kKillTime)
    if (supervisor_ > 0 && (is_stopped(supervisor_) || Clock::now() >= start + kPatience)) kill_without_supervisor();
}

// A stopped supervisor stays the parent of whoever loses his own, so that nothing is lost sight of: it goes last.
void Program::kill_without_supervisor() const {
  const std::vector<pid_t> below = descendants(supervisor_);
  for (const pid_t pid : below) ::kill(pid, SIGKILL);
  if (below.empty()) ::kill(supervisor_, SIGKILL);
}

}  // namespace cohort
