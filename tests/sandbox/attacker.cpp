// A program that tries what a program in the sandbox must not be able to do. Each attempt that succeeds prints a line
// with BREACH; the tests look for none, and for how the run ended. Run as: attacker NAME.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace {

void must_fail(const char* what, long result) {
  if (result >= 0) std::printf("BREACH: %s\n", what);
}
void must_not_open(const std::string& path, int flags) {
  must_fail(("opened " + path).c_str(), open(path.c_str(), flags, 0600));
}

[[noreturn]] void spin() {
  while (true) asm volatile("");
}

void fork_bomb() {
  while (true) fork();
}

// Many processes, each with a little.
void allocation_bomb() {
  for (int i = 0; i < 8; ++i) fork();
  for (int i = 0; i < 64; ++i) {
    char* block = static_cast<char*>(std::malloc(1 << 20));
    if (block != nullptr) std::memset(block, 1, 1 << 20);
  }
  spin();
}

// Memory that would be in no process's count.
void hidden_memory() {
  must_fail("shared anonymous memory",
            reinterpret_cast<long>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) == -1
                ? -1
                : 0);
  errno = 0;
  must_fail("huge pages", reinterpret_cast<long>(mmap(nullptr, 2 << 20, PROT_READ | PROT_WRITE,
                                                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0)) == -1
                              ? -1
                              : 0);
  if (errno != ENOSYS) std::puts("BREACH: huge pages are only not there");
  must_fail("memfd_create", syscall(SYS_memfd_create, "x", 0));
  must_fail("memfd_secret", syscall(447, 0));
  must_fail("shmget", shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600));
  must_not_open("/dev/zero", O_RDWR);
  void* page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  must_fail("MADV_PAGEOUT", madvise(page, 4096, 21));
  must_fail("mlock", mlock(page, 4096));
}

void one_huge_block() {
  if (std::malloc(size_t{1} << 40) != nullptr) std::puts("BREACH: a terabyte");
}

void endless_output(int fd) {
  const std::string line(4096, 'x');
  while (write(fd, line.data(), line.size()) >= 0) {
  }
}

void daemon_that_stays() {
  if (fork() > 0) _exit(0);
  setsid();
  if (fork() > 0) _exit(0);
  setsid();
  for (int number = 1; number < 64; ++number) signal(number, SIG_IGN);
  while (true) pause();
}

// While the parent ends, a child changes `program` between a file and links to what lies outside.
void symlink_race() {
  if (FILE* file = std::fopen("mine", "w")) std::fputs("mine", file), std::fclose(file);
  symlink("/usr/bin/env", "link");
  symlink("mine", "program");
  if (fork() > 0) {
    usleep(2000);
    _exit(0);
  }
  for (int i = 0;; ++i) {
    unlink("program");
    if (i % 3 == 0) symlink("/usr/bin/env", "program");
    if (i % 3 == 1) symlink("/etc/passwd", "program");
    if (i % 3 == 2) link("mine", "program");
  }
}

void odd_artifacts(const char* kind) {
  const std::string name = kind;
  if (name == "folder") mkdir("program", 0755);
  if (name == "pipe") must_fail("mkfifo", mkfifo("program", 0644));
  if (name == "huge") must_fail("a file beyond the limit", truncate("program", int64_t{1} << 40));
  if (name == "hard-link") must_fail("a hard link to a file of the host", link("/usr/bin/env", "program"));
}

void network() {
  for (const int family :
       {AF_INET, AF_INET6, AF_UNIX, AF_VSOCK, AF_NETLINK, AF_PACKET, AF_ALG, AF_BLUETOOTH, AF_XDP, 45 /* MCTP */})
    for (const int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET})
      must_fail("socket", socket(family, type, 0));
  // What no socket() gives, a pair might become.
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) != 0) std::puts("no pair of sockets");
  if (send(pair[0], "x", 1, 0) != 1) std::puts("BREACH: a pair that cannot send");
  sockaddr_in four{};
  four.sin_family = AF_INET, four.sin_port = htons(80), four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  must_fail("connect IPv4", connect(pair[0], reinterpret_cast<sockaddr*>(&four), sizeof four));
  sockaddr_in6 six{};
  six.sin6_family = AF_INET6, six.sin6_port = htons(80), six.sin6_addr = in6addr_loopback;
  must_fail("connect IPv6", connect(pair[0], reinterpret_cast<sockaddr*>(&six), sizeof six));
  sockaddr_vm machine{};
  machine.svm_family = AF_VSOCK, machine.svm_cid = VMADDR_CID_HOST, machine.svm_port = 22;
  must_fail("connect vsock", connect(pair[0], reinterpret_cast<sockaddr*>(&machine), sizeof machine));
  for (const std::string& path : {std::string("/run/dbus/system_bus_socket"), std::string("/var/run/docker.sock"),
                                  std::string("\0cohort-test", 12)}) {
    sockaddr_un local{};
    local.sun_family = AF_UNIX;
    std::memcpy(local.sun_path, path.data(), path.size());
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
    must_fail("connect unix", connect(pair[0], reinterpret_cast<sockaddr*>(&local), size));
    must_fail("sendto unix", sendto(pair[0], "x", 1, 0, reinterpret_cast<sockaddr*>(&local), size));
    if (errno != EPERM) std::puts("BREACH: sendto looked at an address");
    must_fail("bind unix", bind(pair[0], reinterpret_cast<sockaddr*>(&local), size));
  }
  int tcp[2];
  must_fail("socketpair IPv4", socketpair(AF_INET, SOCK_STREAM, 0, tcp));
  char byte = 0;
  iovec data{&byte, 1};
  msghdr message{};
  message.msg_iov = &data, message.msg_iovlen = 1;
  must_fail("sendmsg", sendmsg(pair[0], &message, 0));
}

void snooping() {
  for (const char* path :
       {"/proc", "/proc/self/environ", "/proc/self/mem", "/proc/1/environ", "/proc/1/maps", "/proc/version",
        "/sys/kernel", "/dev/mem", "/dev/kmsg", "/dev/vda", "/dev/tty", "/dev/fuse", "/dev/kvm"})
    must_not_open(path, O_RDONLY);
  must_fail("mount proc", mount("proc", "/tmp", "proc", 0, nullptr));
  must_fail("syslog", syscall(SYS_syslog, 3, nullptr, 0));
}

void tracing() {
  must_fail("PTRACE_TRACEME", ptrace(PTRACE_TRACEME, 0, nullptr, nullptr));
  const pid_t child = fork();
  if (child == 0)
    while (true) pause();
  for (const pid_t target : {1, 2, static_cast<int>(child)}) {
    must_fail("PTRACE_ATTACH", ptrace(PTRACE_ATTACH, target, nullptr, nullptr));
    must_fail("PTRACE_SEIZE", ptrace(PTRACE_SEIZE, target, nullptr, nullptr));
    char byte = 0;
    iovec here{&byte, 1}, there{&byte, 1};
    must_fail("process_vm_readv", process_vm_readv(target, &here, 1, &there, 1, 0));
    must_fail("process_vm_writev", process_vm_writev(target, &here, 1, &there, 1, 0));
    must_fail("pidfd_open", syscall(SYS_pidfd_open, target, 0));
    must_fail("kcmp", syscall(SYS_kcmp, target, target, 0, 0, 0));
  }
  must_fail("userfaultfd", syscall(SYS_userfaultfd, 0));
  kill(child, SIGKILL);
}

void killing() {
  for (const int number : {SIGKILL, SIGSTOP, SIGTERM, SIGSEGV}) kill(1, number);
  must_fail("a signal to a process outside", kill(4'000'000, SIGKILL));
  kill(-1, SIGKILL);
  std::puts("alive");
  std::fflush(stdout);
  kill(0, SIGKILL);
}

void filling() {
  signal(SIGXFSZ, SIG_IGN);
  const std::string block(1 << 16, 'x');
  long written = 0;
  for (int i = 0; i < 100; ++i) {
    const std::string path = (i % 2 == 0 ? "/tmp/f" : "/dev/shm/f") + std::to_string(i);
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT, 0600);
    ssize_t got;
    while (fd >= 0 && (got = write(fd, block.data(), block.size())) > 0) written += got;
    if (fd >= 0) close(fd);
  }
  int files = 0;
  while (files < 100'000) {
    const int fd = open(("/box/n" + std::to_string(files)).c_str(), O_WRONLY | O_CREAT, 0600);
    if (fd < 0) break;
    close(fd), ++files;
  }
  std::printf("%ld %d\n", written, files);
}

void kernel_interfaces() {
  must_fail("io_uring_setup", syscall(SYS_io_uring_setup, 8, nullptr));
  if (errno != ENOSYS) std::puts("BREACH: io_uring_setup was looked at");
  must_fail("io_uring_enter", syscall(SYS_io_uring_enter, 0, 0, 0, 0, nullptr, 0));
  must_fail("io_uring_register", syscall(SYS_io_uring_register, 0, 0, nullptr, 0));
  must_fail("keyctl", syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 1));
  must_fail("add_key", syscall(SYS_add_key, "user", "name", "data", 4, KEY_SPEC_SESSION_KEYRING));
  must_fail("request_key", syscall(SYS_request_key, "user", "name", nullptr, 0));
  must_fail("bpf", syscall(SYS_bpf, 0, nullptr, 0));
  must_fail("perf_event_open", syscall(SYS_perf_event_open, nullptr, 0, -1, -1, 0));
  must_fail("fanotify_init", syscall(SYS_fanotify_init, 0, 0));
  must_fail("open_by_handle_at", syscall(SYS_open_by_handle_at, AT_FDCWD, nullptr, 0));
  must_fail("seccomp", syscall(SYS_seccomp, 1, 0, nullptr));
  must_fail("sync", syscall(SYS_syncfs, 0));
  must_fail("sched_setscheduler", syscall(SYS_sched_setscheduler, 0, 0, nullptr));
  must_fail("splice", syscall(SYS_splice, 0, nullptr, 1, nullptr, 1, 0));
  must_fail("vmsplice", syscall(SYS_vmsplice, 1, nullptr, 0, 0));
  must_fail("fsopen", syscall(SYS_fsopen, "tmpfs", 0));
  must_fail("TIOCSTI", ioctl(0, TIOCSTI, "x"));
  must_fail("mq_open", syscall(SYS_mq_open, "/x", O_CREAT, 0600, nullptr));
  must_fail("prctl dumpable", prctl(PR_SET_DUMPABLE, 1));
}

void namespaces() {
  for (const int flag :
       {CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWPID, CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWCGROUP}) {
    must_fail("unshare", unshare(flag));
    const long child = syscall(SYS_clone, flag | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
    if (child == 0) _exit(0);
    must_fail("clone", child);
    clone_args args{};
    args.flags = static_cast<unsigned long long>(flag), args.exit_signal = SIGCHLD;
    const long other = syscall(SYS_clone3, &args, sizeof args);
    if (other == 0) _exit(0);
    must_fail("clone3", other);
  }
  must_fail("setns", setns(0, 0));
}

void foreign_calls() {
  std::puts("before");
  std::fflush(stdout);
#ifdef __x86_64__
  long result = 20;  // getpid by the numbers of 32 bit programs
  asm volatile("int $0x80" : "+a"(result));
#else
  raise(SIGSYS);
#endif
  std::puts("BREACH: a call by other numbers");
}

void environment() {
  for (char** entry = environ; *entry != nullptr; ++entry) std::puts(*entry);
}

// argv[2]: a file of the host that must not be there.
void outside(const char* secret) {
  for (const char* path : {"/etc/passwd", "/etc/shadow", "/root", "/home", "/var", "/run", "/opt", "/srv", "/mnt",
                           "/boot", "/host", "/scratch", "/box/../etc/passwd", "/box/../../../../etc/passwd"})
    must_not_open(path, O_RDONLY);
  must_not_open(secret, O_RDONLY);
  for (const char* path : {"/new", "/usr/new", "/bin/new", "/etc/new", "/dev/new", "/lib/new"})
    must_not_open(path, O_WRONLY | O_CREAT);
  must_not_open("/usr/bin/env", O_WRONLY);
  must_not_open("/etc/ld.so.cache", O_RDWR);
  must_fail("mkdir /new", mkdir("/new", 0755));
  must_fail("chmod /usr", chmod("/usr", 0777));
  must_fail("chmod /", chmod("/", 0777));
  must_fail("rename", rename("/usr", "/tmp/usr"));
  must_fail("unlink", unlink("/usr/bin/env"));
  must_fail("remount", mount(nullptr, "/usr", nullptr, MS_REMOUNT | MS_BIND, nullptr));
  must_fail("bind", mount("/", "/tmp", nullptr, MS_BIND, nullptr));
  must_fail("umount", umount2("/usr", MNT_DETACH));
  must_fail("umount scratch", umount2("/tmp", MNT_DETACH));
  must_fail("pivot_root", syscall(SYS_pivot_root, "/tmp", "/tmp"));
  must_fail("chroot", chroot("/tmp"));
  must_fail("mknod", mknod("/tmp/disk", S_IFBLK | 0600, 0xfe00));
  must_fail("setuid", setuid(0));
  must_fail("setgroups", syscall(SYS_setgroups, 0, nullptr));
  if (getuid() == 0 || geteuid() == 0) std::puts("BREACH: root");
  // Up and out from a folder that was opened before it moved.
  mkdir("/tmp/a", 0755), mkdir("/tmp/a/b", 0755);
  const int inner = open("/tmp/a/b", O_RDONLY | O_DIRECTORY);
  rename("/tmp/a/b", "/box/b");
  for (int i = 0; i < 20; ++i) fchdir(inner), chdir("..");
  must_not_open("etc/passwd", O_RDONLY);
}

void descriptors() {
  for (int fd = 3; fd < 4096; ++fd)
    if (fcntl(fd, F_GETFD) >= 0) std::printf("BREACH: descriptor %d\n", fd);
  rlimit more{RLIM_INFINITY, RLIM_INFINITY};
  for (const auto resource :
       {RLIMIT_AS, RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_NOFILE, RLIMIT_NPROC, RLIMIT_CORE, RLIMIT_MEMLOCK})
    must_fail("a higher limit", setrlimit(resource, &more));
  must_fail("a limit of the init", prlimit(1, RLIMIT_NOFILE, nullptr, &more));
  must_fail("sched_setaffinity of the init", syscall(SYS_setpriority, PRIO_PROCESS, 0, -20));
}

void leave_files() {
  for (const char* path : {"/box/left", "/tmp/left", "/dev/shm/left"}) close(open(path, O_WRONLY | O_CREAT, 0666));
}
void find_files() {
  for (const char* path : {"/box/left", "/tmp/left", "/dev/shm/left"}) must_not_open(path, O_RDONLY);
}

void stop_itself() {
  raise(SIGSTOP);
  std::puts("went on");
}

void overflow_stack(int depth) {
  volatile char frame[65536];
  frame[0] = 'x';
  if (depth < 1'000'000) overflow_stack(depth + 1);
  frame[1] = frame[0];
}

void echo() {
  char part[65536];
  ssize_t got;
  while ((got = read(0, part, sizeof part)) > 0)
    for (ssize_t done = 0; done < got;) done += write(1, part + done, static_cast<size_t>(got - done));
}

void tell_user() { std::printf("%d %d %d\n", getuid(), getpid(), getppid()); }

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const char* argument = argc > 2 ? argv[2] : "";
  const std::map<std::string, std::function<void()>> attacks = {
      {"fork-bomb", fork_bomb},
      {"allocation-bomb", allocation_bomb},
      {"hidden-memory", hidden_memory},
      {"one-huge-block", one_huge_block},
      {"endless-output", [] { endless_output(1); }},
      {"endless-error", [] { endless_output(2); }},
      {"daemon", daemon_that_stays},
      {"symlink-race", symlink_race},
      {"odd-artifact", [&] { odd_artifacts(argument); }},
      {"network", network},
      {"snooping", snooping},
      {"tracing", tracing},
      {"killing", killing},
      {"filling", filling},
      {"kernel-interfaces", kernel_interfaces},
      {"namespaces", namespaces},
      {"foreign-calls", foreign_calls},
      {"environment", environment},
      {"outside", [&] { outside(argument); }},
      {"descriptors", descriptors},
      {"leave-files", leave_files},
      {"find-files", find_files},
      {"stop-itself", stop_itself},
      {"overflow-stack", [] { overflow_stack(0); }},
      {"echo", echo},
      {"tell-user", tell_user},
      {"spin", [] { spin(); }},
      {"wait",
       [] {
         while (true) pause();
       }},
      {"exit", [&] { std::exit(std::atoi(argument)); }},
      {"nothing", [] {}},
  };
  const auto attack = attacks.find(argv[1]);
  if (attack == attacks.end()) return 2;
  attack->second();
  std::fflush(stdout);
  return 0;
}
