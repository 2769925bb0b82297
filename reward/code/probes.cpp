#include "reward/code/probes.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "reward/code/spawn.h"

namespace cohort {
namespace {

bool absent(const char* path) { return access(path, F_OK) != 0 && errno == ENOENT; }
bool refused(long result) { return result < 0; }
bool no_file_at(const char* path) { return open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0; }

// Forks until it is refused; the children wait for the end.
bool forks_end() {
  rlimit bound;
  getrlimit(RLIMIT_NPROC, &bound);
  if (bound.rlim_cur == RLIM_INFINITY) return false;
  for (rlim_t made = 0; made <= bound.rlim_cur; ++made) {
    const pid_t child = fork();
    if (child < 0) return true;
    if (child == 0) {
      pause();
      _exit(0);
    }
  }
  return false;
}

struct Probe {
  const char* name;
  bool (*holds)();
};

// They allocate nothing: the limits of the sandbox are in force.
constexpr std::array kProbes = {
    Probe{"no open descriptors",
          [] {
            for (int fd = 3; fd < 1024; ++fd)
              if (fcntl(fd, F_GETFD) >= 0) return false;
            return true;
          }},
    Probe{"own process numbers", [] { return getpid() == 2 && getppid() == 1; }},
    Probe{"not root", [] { return getuid() != 0 && geteuid() != 0 && getgid() != 0; }},
    Probe{"system call filter", [] { return prctl(PR_GET_SECCOMP) == 2; }},
    Probe{"no /proc, no /sys", [] { return absent("/proc/self") && absent("/sys/kernel"); }},
    Probe{"no home folders", [] { return absent("/root") && absent("/home") && absent("/etc/passwd"); }},
    Probe{"read-only system", [] { return no_file_at("/usr/probe") && no_file_at("/probe"); }},
    Probe{"scratch to write in",
          [] { return !no_file_at("/box/probe") && !no_file_at("/tmp/probe") && !no_file_at("/dev/shm/probe"); }},
    Probe{"no sockets",
          [] {
            for (const int family : {AF_INET, AF_INET6, AF_UNIX, AF_VSOCK, AF_NETLINK, AF_PACKET, AF_ALG})
              if (!refused(socket(family, SOCK_STREAM, 0)) || !refused(socket(family, SOCK_DGRAM, 0)) ||
                  !refused(socket(family, SOCK_RAW, 0)))
                return false;
            return true;
          }},
    Probe{"no new namespaces", [] { return refused(unshare(CLONE_NEWUSER)) && refused(unshare(CLONE_NEWNS)); }},
    Probe{"no mounts", [] { return refused(mount("tmpfs", "/box", "tmpfs", 0, nullptr)); }},
    Probe{"no ptrace",
          [] { return refused(ptrace(PTRACE_ATTACH, 1, 0, 0)) && refused(ptrace(PTRACE_TRACEME, 0, 0, 0)); }},
    Probe{"no io_uring", [] { return refused(syscall(SYS_io_uring_setup, 8, nullptr)); }},
    Probe{"no kernel keys",
          [] {
            return refused(syscall(SYS_keyctl, 0, -3, 1)) && refused(syscall(SYS_add_key, "user", "a", "b", 1, -3));
          }},
    Probe{"no bpf, no perf",
          [] {
            return refused(syscall(SYS_bpf, 0, nullptr, 0)) &&
                   refused(syscall(SYS_perf_event_open, nullptr, 0, 0, -1, 0));
          }},
    Probe{"bounded processes", forks_end},
};

// Raw, for a process under limits.
void say(const char* text) { [[maybe_unused]] const ssize_t sent = write(1, text, std::strlen(text)); }

}  // namespace

bool prctl_seccomp_filter_known() {
  const uint32_t action = SECCOMP_RET_ERRNO;
  return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

void run_probes() {
  for (const Probe& probe : kProbes) {
    const bool holds = probe.holds();
    say(holds ? "+" : "-"), say(probe.name), say("\n");
  }
  _exit(0);
}

std::vector<Means> read_probes(std::string_view out) {
  const std::string lines = fmt::format("\n{}", out);
  std::vector<Means> rows;
  for (const Probe& probe : kProbes) {
    const bool holds = lines.find(fmt::format("\n+{}\n", probe.name)) != std::string::npos;
    rows.push_back({probe.name, holds, true, holds ? "holds" : "does not hold inside the sandbox",
                    holds ? "" : "this kernel enforces less than it says: update it, or run programs elsewhere"});
  }
  return rows;
}

}  // namespace cohort
