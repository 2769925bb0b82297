#include "reward/code/spawn.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cmath>
#include <cstring>

#include "core/check.h"
#include "reward/code/file_view.h"
#include "reward/code/landlock.h"
#include "reward/code/syscall_filter.h"
#include "reward/code/wire.h"

namespace cohort {
namespace {

constexpr unsigned kInnerUser = 1000;

// What the init writes to `status`. The program's own ends of it are closed before it is executed.
struct Record {
  int64_t status;
  double cpu_seconds;
};
constexpr char kBegan = 'B', kEnded = 'S', kError = 'E';  // an error's text ends with a zero

void tell(int fd, char kind, std::string_view text) {
  std::string message = kind + std::string(text);
  if (kind == kError) message += '\0';
  [[maybe_unused]] const ssize_t sent = write(fd, message.data(), message.size());
}

void must(bool done, const char* what) { CHECK(done, "{}: {}", what, std::strerror(errno)); }

void write_proc(const char* path, const std::string& text) {
  const Fd file(open(path, O_WRONLY | O_CLOEXEC));
  CHECK(file && write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()), "{}: {}", path,
        std::strerror(errno));
}

// The user of the sandbox is nobody outside, and inside an ordinary user with no power over anything but its own
// processes.
void map_user(unsigned outer_user, unsigned outer_group) {
  // /proc/self belongs to root while the process hides its memory, as it does after a change of user.
  must(prctl(PR_SET_DUMPABLE, 1) == 0, "prctl(PR_SET_DUMPABLE)");
  write_proc("/proc/self/setgroups", "deny");
  write_proc("/proc/self/uid_map", fmt::format("{} {} 1", kInnerUser, outer_user));
  write_proc("/proc/self/gid_map", fmt::format("{} {} 1", kInnerUser, outer_group));
  // Should the machine run out of memory all the same, this tree goes first.
  write_proc("/proc/self/oom_score_adj", "1000");
  must(prctl(PR_SET_DUMPABLE, 0) == 0, "prctl(PR_SET_DUMPABLE)");
}

// Where the host's own limit is lower, that stays.
void limit(__rlimit_resource resource, int64_t value, int64_t hard = -1) {
  rlimit bound;
  must(getrlimit(resource, &bound) == 0, "getrlimit");
  bound.rlim_max = std::min(bound.rlim_max, static_cast<rlim_t>(hard < 0 ? value : hard));
  bound.rlim_cur = std::min(bound.rlim_max, static_cast<rlim_t>(value));
  must(setrlimit(resource, &bound) == 0, "setrlimit");
}

void set_limits(const SandboxLimits& l) {
  limit(RLIMIT_CORE, 0);
  // Processor seconds of one process, whose threads may use all cores, so the wall clock comes first. SIGXCPU, which
  // says timeout, a second before SIGKILL, which would look like a crash.
  const int64_t cores = std::max<int64_t>(1, sysconf(_SC_NPROCESSORS_ONLN));
  const int64_t cpu_seconds = static_cast<int64_t>(std::ceil(l.seconds)) * std::min<int64_t>(l.processes, cores) + 1;
  limit(RLIMIT_CPU, cpu_seconds, cpu_seconds + 1);
  limit(RLIMIT_FSIZE, l.scratch_bytes);
  limit(RLIMIT_NOFILE, l.open_files);
  limit(RLIMIT_NPROC, l.processes + 1);  // the init counts
  limit(RLIMIT_STACK, std::min<int64_t>(8 << 20, l.memory_bytes), l.memory_bytes);
  limit(RLIMIT_MEMLOCK, 0);
  limit(RLIMIT_MSGQUEUE, 0);
  limit(RLIMIT_SIGPENDING, 256);
  limit(RLIMIT_NICE, 0);
  limit(RLIMIT_RTPRIO, 0);
  limit(RLIMIT_AS, l.address_space_bytes > 0 ? l.address_space_bytes : 2 * l.memory_bytes);
}

void drop_capabilities() {
  for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; ++capability)
    must(prctl(PR_CAPBSET_DROP, capability) == 0, "prctl(PR_CAPBSET_DROP)");
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2] = {};
  must(syscall(SYS_capset, &header, none) == 0, "capset");
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

void reset_signals() {
  struct sigaction standard = {};
  standard.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) sigaction(signal, &standard, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

// Second process of the namespace: becomes the program.
[[noreturn]] void run_program(const SandboxProgram& program, const ProgramFds& fds, int status,
                              const std::vector<sock_filter>& filter) {
  try {
    std::vector<std::string> command = program.command;
    CHECK_USAGE(!command.empty(), "a program without a command");
    std::vector<std::string> environment = {"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/box", "TMPDIR=/tmp",
                                            "LANG=C.UTF-8", "USER=user"};
    environment.insert(environment.end(), program.environment.begin(), program.environment.end());
    const std::vector<char*> argv = pointers(command), envp = pointers(environment);
    // Ready before the limits, under which nothing may be allocated any more.
    std::string unable = kError + command[0] + ": cannot be executed: ";
    unable.reserve(unable.size() + 256);
    must(setsid() > 0, "setsid");
    // Far from 0 to 5 first, so that no move overwrites one that is still to come.
    int source[6] = {fds.input, fds.output, fds.error, fds.link, fds.report, status};
    for (int& fd : source)
      if (fd >= 0) must((fd = fcntl(fd, F_DUPFD_CLOEXEC, 100)) >= 0, "fcntl(F_DUPFD)");
    for (int target = 0; target < 5; ++target)
      if (source[target] >= 0)
        must(dup2(source[target], target) >= 0, "dup2");
      else
        close(target);
    must(dup3(source[5], 5, O_CLOEXEC) == 5, "dup3");
    status = 5;
    must(syscall(SYS_close_range, 6u, ~0u, 0) == 0, "close_range");
    reset_signals();
    drop_capabilities();
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "prctl(PR_SET_NO_NEW_PRIVS)");
    must(install_landlock(), "landlock");
    set_limits(program.limits);
    tell(status, kBegan, "");
    must(install_syscall_filter(filter), "seccomp");
    if (command[0] == kProbeCommand) {
      close(status);
      run_probes();
    }
    execve(argv[0], argv.data(), envp.data());
    // What lies in /box came from the program, which must not choose to be the machine's fault.
    if (command[0].starts_with("/box/")) _exit(126);
    unable.append(strerrordesc_np(errno)).push_back('\0');
    [[maybe_unused]] const ssize_t sent = write(status, unable.data(), unable.size());
    _exit(125);
  } catch (const std::exception& error) {
    tell(status, kError, error.what());
  }
  _exit(125);
}

// First process of the namespace. Nothing inside can signal it, read its memory or outlive it.
[[noreturn]] void run_init(const SandboxProgram& program, const ProgramFds& fds, int status, int go, int work,
                           unsigned user, unsigned group, const std::vector<sock_filter>& filter) {
  try {
    must(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0, "prctl(PR_SET_PDEATHSIG)");
    char byte;
    if (read(go, &byte, 1) != 1) _exit(125);  // the parent died before the line above
    map_user(user, group);
    must(sethostname("sandbox", 7) == 0, "sethostname");
    const Fd folder = enter_file_view(program);
    if (work >= 0) must(send_fd(work, folder.get()), "handing over /box");
    // The same addresses on every run: what a program prints of them is a function of its input.
    syscall(SYS_personality, 0x0040000 /* ADDR_NO_RANDOMIZE */);
    const pid_t child = fork();
    must(child >= 0, "fork");
    if (child == 0) run_program(program, fds, status, filter);
    // Among them the other ends of the program's pipes: it would wait for the end of its input for ever.
    must(dup2(status, 0) == 0 && syscall(SYS_close_range, 1u, ~0u, 0) == 0, "close_range");
    status = 0;
    int how = 0;
    rusage used{};
    for (pid_t ended = 0; ended != child;) {
      ended = wait4(-1, &how, 0, &used);
      must(ended > 0 || errno == EINTR, "wait4");
    }
    const auto seconds = [](const timeval& time) {
      return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
    };
    const Record record{how, seconds(used.ru_utime) + seconds(used.ru_stime)};
    tell(status, kEnded, {reinterpret_cast<const char*>(&record), sizeof record});
    _exit(0);
  } catch (const std::exception& error) {
    tell(status, kError, error.what());
  }
  _exit(125);
}

}  // namespace

int sandbox_namespaces() {
  return CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNS | CLONE_NEWCGROUP;
}

Tree spawn(const SandboxProgram& program, const ProgramFds& fds, const std::vector<sock_filter>& filter, int group_fd) {
  Tree tree;
  auto [status_in, status_out] = make_pipe();
  auto [go_in, go_out] = make_pipe();
  Fd work_in, work_out;
  if (!program.take.empty()) std::tie(work_in, work_out) = socket_pair(SOCK_SEQPACKET);
  const unsigned user = geteuid(), group = getegid();

  int pidfd = -1;
  clone_args args{};
  args.flags = static_cast<uint64_t>(sandbox_namespaces()) | CLONE_PIDFD;
  args.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  args.exit_signal = SIGCHLD;
  if (group_fd >= 0) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = static_cast<uint64_t>(group_fd);
  }
  const long pid = syscall(SYS_clone3, &args, sizeof args);
  must(pid >= 0, "a process in new namespaces");
  if (pid == 0) {
    go_out.reset();
    run_init(program, fds, status_out.get(), go_in.get(), work_out.get(), user, group, filter);
  }
  tree.init = static_cast<pid_t>(pid);
  tree.pidfd = Fd(pidfd);
  tree.status = std::move(status_in);
  tree.work = std::move(work_in);
  [[maybe_unused]] const ssize_t sent = write(go_out.get(), "g", 1);
  return tree;
}

Ending read_status(const Fd& status) {
  std::string text(4096, '\0');
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = read(status.get(), text.data() + size, text.size() - size);
    if (got <= 0) break;
    size += static_cast<size_t>(got);
  }
  text.resize(size);
  Ending ending;
  if (text.starts_with(kBegan)) {
    ending.began = true;
    text.erase(0, 1);
  }
  if (text.starts_with(kError)) {
    ending.began = false;
    ending.error = text.c_str() + 1;
  } else if (text.starts_with(kEnded) && text.size() == 1 + sizeof(Record)) {
    Record record;
    std::memcpy(&record, text.data() + 1, sizeof record);
    ending.known = true, ending.status = static_cast<int>(record.status), ending.cpu_seconds = record.cpu_seconds;
  }
  return ending;
}

}  // namespace cohort
