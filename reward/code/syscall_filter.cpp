#include "reward/code/syscall_filter.h"

#include <asm/ioctls.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

#include "core/check.h"
#include "reward/code/wire.h"

namespace cohort {
namespace {

// By name, so that one list serves every architecture: a name that this one lacks is left out.
// clang-format off
constexpr const char* kAllowed[] = {
    // files, within what the mount namespace shows
    "read", "write", "readv", "writev", "pread64", "pwrite64", "preadv", "pwritev", "preadv2", "pwritev2", "open",
    "openat", "creat", "close", "close_range", "stat", "fstat", "lstat", "newfstatat", "statx", "lseek", "access",
    "faccessat", "faccessat2", "getcwd", "chdir", "fchdir", "rename", "renameat", "renameat2", "mkdir", "mkdirat",
    "rmdir", "link", "linkat", "unlink", "unlinkat", "symlink", "symlinkat", "readlink", "readlinkat", "chmod",
    "fchmod", "fchmodat", "umask", "getdents", "getdents64", "truncate", "ftruncate", "fallocate", "fsync",
    "fdatasync", "flock", "fadvise64", "utime", "utimes", "utimensat", "futimesat", "statfs", "fstatfs", "sendfile",
    "copy_file_range", "fcntl", "dup", "dup2", "dup3", "pipe", "pipe2",
    // memory
    "brk", "mprotect", "munmap", "mremap", "msync", "mincore", "membarrier",
    // waiting
    "poll", "ppoll", "select", "pselect6", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait",
    "epoll_pwait2", "eventfd", "eventfd2", "signalfd4", "timerfd_create", "timerfd_settime", "timerfd_gettime",
    "nanosleep", "clock_nanosleep", "pause", "sched_yield", "futex", "futex_waitv",
    // time
    "time", "times", "gettimeofday", "clock_gettime", "clock_getres", "getitimer", "setitimer", "alarm",
    "timer_create", "timer_settime", "timer_gettime", "timer_getoverrun", "timer_delete",
    // processes, signals: both end at the pid namespace
    "fork", "vfork", "execve", "exit", "exit_group", "wait4", "waitid", "kill", "tkill", "tgkill", "rt_sigaction",
    "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigtimedwait", "rt_sigsuspend", "rt_sigqueueinfo",
    "sigaltstack", "restart_syscall", "set_tid_address", "set_robust_list", "get_robust_list", "rseq", "arch_prctl",
    "getpid", "getppid", "gettid", "getuid", "geteuid", "getgid", "getegid", "getresuid", "getresgid", "getgroups",
    "getpgrp", "getpgid", "setpgid", "getsid", "setsid", "getrlimit", "setrlimit", "getrusage", "getpriority",
    "sched_getaffinity", "sched_setaffinity", "sched_getparam", "sched_getscheduler", "sched_get_priority_max",
    "sched_get_priority_min", "capget", "uname", "sysinfo", "getcpu", "getrandom",
    // pairs of sockets, as event loops use them to wake themselves; socket() is not here, nor sendmsg(), which passes
    // descriptors
    "recvfrom", "recvmsg", "shutdown", "getsockopt", "getsockname", "getpeername",
};

struct Refused {
  const char* name;
  int error;
};

// What programs meet with a check for another answer than "no such system call".
constexpr Refused kRefused[] = {
    {"socket", EAFNOSUPPORT}, {"connect", EPERM}, {"bind", EPERM}, {"listen", EPERM}, {"accept", EPERM},
    {"accept4", EPERM}, {"sendmsg", EPERM}, {"sendmmsg", EPERM}, {"setsockopt", EPERM}, {"ptrace", EPERM},
    {"mount", EPERM}, {"umount2", EPERM}, {"unshare", EPERM}, {"setns", EPERM}, {"chroot", EPERM}, {"chown", EPERM},
    {"fchown", EPERM}, {"lchown", EPERM}, {"fchownat", EPERM}, {"mknod", EPERM}, {"mknodat", EPERM},
    {"setuid", EPERM}, {"setgid", EPERM}, {"setresuid", EPERM}, {"setresgid", EPERM}, {"setreuid", EPERM},
    {"setregid", EPERM}, {"setgroups", EPERM}, {"capset", EPERM}, {"mlock", EPERM}, {"mlockall", EPERM},
    {"setpriority", EPERM}, {"getxattr", ENOTSUP}, {"lgetxattr", ENOTSUP}, {"fgetxattr", ENOTSUP},
    {"listxattr", ENOTSUP}, {"llistxattr", ENOTSUP}, {"flistxattr", ENOTSUP}, {"setxattr", ENOTSUP},
    {"lsetxattr", ENOTSUP}, {"fsetxattr", ENOTSUP}, {"removexattr", ENOTSUP}, {"process_vm_readv", EPERM},
    {"process_vm_writev", EPERM}, {"sched_setscheduler", EPERM}, {"sched_setparam", EPERM}, {"personality", EPERM},
};
// clang-format on

class Filter {
 public:
  Filter() : context_(seccomp_init(SCMP_ACT_ERRNO(ENOSYS)), seccomp_release) {
    CHECK(context_ != nullptr, "libseccomp: no memory for a filter");
    // A call by another instruction set's numbers (32 bit, x32) could mean anything.
    must(seccomp_attr_set(context_.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), "foreign architectures");
    must(seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2), "a search tree");
  }
  template <typename... Conditions>
  void allow(const char* name, Conditions... conditions) {
    rule(SCMP_ACT_ALLOW, name, conditions...);
  }
  template <typename... Conditions>
  void rule(uint32_t action, const char* name, Conditions... conditions) {
    const int number = seccomp_syscall_resolve_name(name);
    if (number < 0) return;  // unknown to this architecture or to this libseccomp: stays forbidden
    must(seccomp_rule_add(context_.get(), action, number, sizeof...(conditions), conditions...), name);
  }
  std::vector<sock_filter> compiled() const {
    auto [reading, writing] = make_pipe();
    // Some 4 KB: fits the pipe, which holds 64 KB.
    must(seccomp_export_bpf(context_.get(), writing.get()), "export");
    writing.reset();
    std::vector<sock_filter> program(8192);
    const ssize_t size = read(reading.get(), program.data(), program.size() * sizeof(sock_filter));
    CHECK(size > 0 && size % sizeof(sock_filter) == 0 && size < 65536, "libseccomp: a filter of {} bytes", size);
    program.resize(static_cast<size_t>(size) / sizeof(sock_filter));
    return program;
  }

 private:
  static void must(int result, const char* what) {
    CHECK(result == 0, "libseccomp: {}: {}", what, std::strerror(-result));
  }
  std::unique_ptr<void, void (*)(scmp_filter_ctx)> context_;
};

}  // namespace

std::vector<sock_filter> build_syscall_filter() {
  Filter filter;
  for (const char* name : kAllowed) filter.allow(name);
  for (const Refused& refused : kRefused) filter.rule(SCMP_ACT_ERRNO(refused.error), refused.name);

  // Threads and processes, no namespaces. clone3 hides its flags in memory and stays ENOSYS; C libraries then use
  // clone.
  constexpr uint64_t kNamespaces =
      CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
  filter.allow("clone", SCMP_A0(SCMP_CMP_MASKED_EQ, kNamespaces, 0));
  // Memory that is shared without a file is in nobody's count when it is unmapped page by page: private, or of a file.
  // Huge pages from the host's pool are in no process's count at all.
  filter.allow("mmap", SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS | MAP_HUGETLB, 0));
  filter.allow("mmap", SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_SHARED | MAP_HUGETLB, 0));
  // Up to MADV_KEEPONFORK; behind it come MADV_COLD and MADV_PAGEOUT, by which a program could swap itself out of the
  // count.
  filter.allow("madvise", SCMP_A2(SCMP_CMP_LE, 19));
  for (const unsigned long request : {TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIOCLEX, FIONCLEX})
    filter.allow("ioctl", SCMP_A1(SCMP_CMP_EQ, request));
  for (const int option :
       {PR_SET_NAME, PR_GET_NAME, PR_GET_DUMPABLE, PR_SET_PDEATHSIG, PR_GET_PDEATHSIG, PR_CAPBSET_READ, PR_GET_SECCOMP})
    filter.allow("prctl", SCMP_A0(SCMP_CMP_EQ, static_cast<uint64_t>(option)));
  filter.allow("prlimit64", SCMP_A0(SCMP_CMP_EQ, 0));  // of the caller itself; limits only go down
  // What send() is; with an address it would reach sockets other than the pair's.
  filter.allow("sendto", SCMP_A4(SCMP_CMP_EQ, 0));
  filter.rule(SCMP_ACT_ERRNO(EPERM), "sendto", SCMP_A4(SCMP_CMP_NE, 0));
  filter.allow("socketpair", SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
  return filter.compiled();
}

bool install_syscall_filter(const std::vector<sock_filter>& filter) {
  const sock_fprog program{static_cast<unsigned short>(filter.size()), const_cast<sock_filter*>(filter.data())};
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}

}  // namespace cohort
