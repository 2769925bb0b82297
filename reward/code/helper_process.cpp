#include "reward/code/helper_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/check.h"
#include "core/unpin.h"
#include "reward/code/wire.h"

namespace cohort {
namespace {

// No terminal, no signals, no descriptors but the socket.
void detach(int socket) {
  setsid();
  const int null = open("/dev/null", O_RDWR);
  const int kept = fcntl(socket, F_DUPFD, 10);
  if (null < 0 || kept < 0) _exit(1);
  for (int fd = 0; fd < HelperProcess::kSocket; ++fd) dup2(null, fd);
  dup3(kept, HelperProcess::kSocket, O_CLOEXEC);
  syscall(SYS_close_range, HelperProcess::kSocket + 1u, ~0u, 0);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE}) ::signal(number, SIG_IGN);
  ::signal(SIGCHLD, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  unpin_thread();
}

}  // namespace

HelperProcess::HelperProcess(void (*serve)()) {
  auto [mine, helpers] = socket_pair(SOCK_SEQPACKET);
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ < 0) fail(ExitCode::kResources, "fork: {}", std::strerror(errno));
  if (pid_ == 0) {
    try {
      detach(helpers.get());
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() == parent) serve();
      _exit(0);
    } catch (...) {
    }
    _exit(1);
  }
  socket_ = std::move(mine);
}

HelperProcess::~HelperProcess() {
  socket_.reset();
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

// /proc/self/task has one entry a thread, and its number of links is theirs plus two.
bool has_one_thread() {
  struct stat info;
  return stat("/proc/self/task", &info) == 0 && info.st_nlink == 3;
}

}  // namespace cohort
