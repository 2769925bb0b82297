#include "reward/outside/launcher.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>

#include "core/check.h"
#include "core/clock.h"
#include "reward/code/wire.h"
#include "reward/outside/process_tree.h"
#include "reward/outside/supervisor.h"

namespace cohort {
namespace {

constexpr int kSocket = HelperProcess::kSocket;
constexpr size_t kEnds = 4;

// A command with the descriptors of its ends, as one message.
struct Order {
  explicit Order(std::string& bytes) : data{bytes.data(), bytes.size()} {
    message.msg_iov = &data, message.msg_iovlen = 1;
    message.msg_control = control, message.msg_controllen = sizeof control;
  }
  iovec data;
  alignas(cmsghdr) char control[CMSG_SPACE(kEnds * sizeof(int))] = {};
  msghdr message{};
};

// Nothing when the parent is gone.
std::optional<ProgramEnds> receive_order(std::string& bytes) {
  bytes.resize(Launcher::kMaxCommand);
  Order order(bytes);
  ssize_t size;
  do {
    size = recvmsg(kSocket, &order.message, MSG_CMSG_CLOEXEC);
  } while (size < 0 && errno == EINTR);
  const cmsghdr* header = size > 0 ? CMSG_FIRSTHDR(&order.message) : nullptr;
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(kEnds * sizeof(int)))
    return std::nullopt;
  bytes.resize(static_cast<size_t>(size));
  std::array<int, kEnds> fds;
  std::memcpy(fds.data(), CMSG_DATA(header), sizeof fds);
  return ProgramEnds{Fd(fds[0]), Fd(fds[1]), Fd(fds[2]), Fd(fds[3])};
}

std::vector<std::string> split_command(const std::string& bytes) {
  std::vector<std::string> command;
  for (size_t at = 0; at < bytes.size(); at += command.back().size() + 1) command.emplace_back(bytes.c_str() + at);
  return command;
}

// The launcher's children. Whose supervisor dies becomes the launcher's child, and is killed: a program may do anything to its
// supervisor, being the same user's.
class Supervisors {
 public:
  void add(pid_t supervisor) { running_.push_back(supervisor); }
  bool empty() const { return running_.empty(); }

  void reap() {
    if (wait_for_dead()) kill_orphans();
  }
  // The run is over: they end by themselves once they see it, and are killed where they do not.
  void end() {
    for (const Clock::time_point deadline = Clock::now() + kEndTime; !empty() && Clock::now() < deadline; poll(nullptr, 0, 10)) {
      for (const pid_t supervisor : running_) kill(supervisor, SIGCONT);
      reap();
    }
    running_.clear();
    kill_orphans();
  }

 private:
  static constexpr auto kEndTime = std::chrono::seconds(12), kOrphanTime = std::chrono::seconds(10);

  // Whether one of them was killed.
  bool wait_for_dead() {
    bool killed = false;
    int status;
    for (pid_t dead; (dead = waitpid(-1, &status, WNOHANG)) > 0;) killed = (std::erase(running_, dead) > 0 && WIFSIGNALED(status)) || killed;
    return killed;
  }
  void kill_orphans() {
    const Clock::time_point deadline = Clock::now() + kOrphanTime;
    for (std::vector<pid_t> below; !(below = descendants(getpid(), running_)).empty() && Clock::now() < deadline; poll(nullptr, 0, 1)) {
      for (const pid_t pid : below) kill(pid, SIGKILL);
      wait_for_dead();
    }
  }

  std::vector<pid_t> running_;
};

void serve() {
  // Not killed with the parent but continued, should a program have stopped it: it has others to end.
  prctl(PR_SET_PDEATHSIG, SIGCONT);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  Supervisors supervisors;
  std::string bytes;
  while (true) {
    pollfd entry{kSocket, POLLIN, 0};
    poll(&entry, 1, supervisors.empty() ? -1 : 1000);
    supervisors.reap();
    if (entry.revents == 0) continue;
    std::optional<ProgramEnds> ends = receive_order(bytes);
    if (!ends) break;
    const pid_t supervisor = fork();
    if (supervisor == 0) {
      close(kSocket);
      supervise(split_command(bytes), std::move(*ends));
    }
    if (supervisor > 0) supervisors.add(supervisor);
    if (supervisor < 0) send_report(ends->control.get(), {ProgramReport::Kind::failed, errno});
  }
  supervisors.end();
}

std::unique_ptr<Launcher>& process_launcher() {
  static std::unique_ptr<Launcher> launcher;
  return launcher;
}

}  // namespace

Launcher::Launcher() : process_(serve) {
  const timeval patience{.tv_sec = 10, .tv_usec = 0};  // with a launcher that takes no orders
  setsockopt(process_.socket().get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

bool Launcher::start(const std::vector<std::string>& command, const ProgramEnds& ends) {
  std::string bytes;
  for (const std::string& word : command) bytes.append(word.c_str(), word.size() + 1);
  CHECK(!bytes.empty() && bytes.size() <= kMaxCommand, "a command of {} bytes", bytes.size());
  const std::array<int, kEnds> fds = {ends.input.get(), ends.output.get(), ends.error.get(), ends.control.get()};
  Order order(bytes);
  cmsghdr* header = CMSG_FIRSTHDR(&order.message);
  header->cmsg_level = SOL_SOCKET, header->cmsg_type = SCM_RIGHTS, header->cmsg_len = CMSG_LEN(sizeof fds);
  std::memcpy(CMSG_DATA(header), fds.data(), sizeof fds);
  kill(pid(), SIGCONT);  // should a program have stopped it
  return sendmsg(process_.socket().get(), &order.message, MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
}

void start_launcher() {
  if (!process_launcher()) process_launcher() = std::make_unique<Launcher>();
}

Launcher* find_launcher() {
  if (!process_launcher() && has_one_thread()) start_launcher();
  return process_launcher().get();
}

}  // namespace cohort
