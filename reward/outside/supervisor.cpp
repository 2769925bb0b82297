#include "reward/outside/supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>

#include "core/clock.h"
#include "reward/code/wire.h"
#include "reward/outside/process_tree.h"

namespace cohort {
namespace {

constexpr auto kKillTime = std::chrono::seconds(10);  // then what cannot be killed (another user's, a dead disk's) is left

// Kills `program`, which may have been waited for (`waited`), and everything below this process. Whose parent dies becomes
// our child, so it is over when there is no child left. Returns the program's status.
int kill_tree(pid_t program, bool waited, int status) {
  const Clock::time_point deadline = Clock::now() + kKillTime;
  while (Clock::now() < deadline) {
    if (!waited) kill(program, SIGKILL);  // also where /proc is not there to be read
    for (const pid_t pid : descendants(getpid())) kill(pid, SIGKILL);
    pid_t dead;
    int how;
    while ((dead = waitpid(-1, &how, WNOHANG)) > 0)
      if (dead == program) waited = true, status = how;
    if (dead < 0 && errno == ECHILD) break;
    poll(nullptr, 0, 1);
  }
  return status;
}

[[noreturn]] void become_program(std::vector<std::string>& command, const ProgramEnds& ends, pid_t parent, int failure) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  setsid();
  std::vector<char*> argv;
  for (std::string& word : command) argv.push_back(word.data());
  argv.push_back(nullptr);
  // Far from 0 to 2 first, so that no move overwrites one that is still to come.
  int source[3] = {ends.input.get(), ends.output.get(), ends.error.get()};
  for (int& fd : source) fd = fcntl(fd, F_DUPFD_CLOEXEC, 100);
  failure = fcntl(failure, F_DUPFD_CLOEXEC, 100);
  for (int fd = 0; fd < 3; ++fd) dup2(source[fd], fd);
  struct sigaction standard = {};
  standard.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) sigaction(number, &standard, nullptr);
  // SLURM asks a job to save and stop by a signal to all of its processes; the program has nothing to save.
  standard.sa_handler = SIG_IGN;
  for (const int number : {SIGUSR1, SIGUSR2}) sigaction(number, &standard, nullptr);
  syscall(SYS_close_range, 3u, 99u, 0);
  execvp(argv[0], argv.data());
  const int error = errno;
  [[maybe_unused]] const ssize_t sent = write(failure, &error, sizeof error);
  _exit(127);
}

// 0, or why `program` was not executed.
int wait_for_exec(const Fd& failure) {
  int error = 0;
  ssize_t got;
  do {
    got = read(failure.get(), &error, sizeof error);
  } while (got < 0 && errno == EINTR);
  return got == sizeof error ? error : 0;
}

}  // namespace

void send_report(int control, const ProgramReport& report) { send(control, &report, sizeof report, MSG_NOSIGNAL); }

void supervise(std::vector<std::string> command, ProgramEnds ends) {
  using Kind = ProgramReport::Kind;
  ::signal(SIGCHLD, SIG_DFL);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  prctl(PR_SET_PDEATHSIG, SIGCONT);  // who stopped this process does not keep it from seeing that the run is over
  const int control = ends.control.get();
  send_report(control, {Kind::supervised, getpid()});
  auto [failure, childs_failure] = make_pipe();
  const pid_t self = getpid(), program = fork();
  if (program == 0) become_program(command, ends, self, childs_failure.get());
  int error = program < 0 ? errno : 0;
  childs_failure.reset(), ends.input.reset(), ends.output.reset(), ends.error.reset();
  if (error == 0) error = wait_for_exec(failure);
  const Fd pidfd(error == 0 ? static_cast<int>(syscall(SYS_pidfd_open, program, 0)) : -1);
  if (error == 0 && !pidfd) error = errno, kill_tree(program, false, 0);
  if (error != 0) {
    send_report(control, {Kind::failed, error});
    _exit(0);
  }
  send_report(control, {Kind::started, program});
  int status = 0;
  bool waited = false;
  while (true) {
    pollfd entries[] = {{pidfd.get(), POLLIN, 0}, {control, POLLIN | POLLRDHUP, 0}};
    // Each second those are reaped whose parents died before them.
    poll(entries, 2, 1000);
    int how;
    for (pid_t dead; (dead = waitpid(-1, &how, WNOHANG)) > 0;)
      if (dead == program) waited = true, status = how;
    if (waited || entries[1].revents != 0) break;
  }
  status = kill_tree(program, waited, status);
  send_report(control, {Kind::ended, status});
  _exit(0);
}

}  // namespace cohort
