#include "reward/code/nursery.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "core/check.h"
#include "reward/code/control_group.h"
#include "reward/code/wire.h"
#include "reward/code/worker.h"

namespace cohort {
namespace {

// What the parent asks: pid 0 for a new worker, else the worker to be killed.
struct Order {
  int32_t pid;
};

// Programs find nothing of the run's here: no tokens in the environment, no folder.
void forget_the_run() {
  for (char** entry = ::environ; *entry != nullptr; ++entry) std::memset(*entry, 0, std::strlen(*entry));
  clearenv();
  if (chdir("/") != 0) _exit(1);
}

// The run is over, and this process with it.
[[noreturn]] void end(const std::vector<pid_t>& workers, const GroupPlace& place) {
  if (place.folder.empty()) _exit(0);  // they die with this process
  for (const pid_t worker : workers) kill(worker, SIGKILL);
  for (const pid_t worker : workers) {
    while (waitpid(worker, nullptr, 0) < 0 && errno == EINTR) {
    }
    remove_worker_group(place, worker);
  }
  _exit(0);
}

[[noreturn]] void tend() {
  forget_the_run();
  const GroupPlace place = find_group_place();
  remove_dead_groups(place);
  const int socket = HelperProcess::kSocket;
  std::vector<pid_t> workers;
  while (true) {
    pollfd entry{socket, POLLIN, 0};
    poll(&entry, 1, 1000);  // a second: then dead workers are looked for
    for (pid_t dead; (dead = waitpid(-1, nullptr, WNOHANG)) > 0;) {
      std::erase(workers, dead);
      remove_worker_group(place, dead);
    }
    if (entry.revents == 0) continue;
    Order order;
    if (recv(socket, &order, sizeof order, 0) != sizeof order) end(workers, place);  // the parent is gone
    if (order.pid != 0) {
      // Only a child that was not waited for yet: its number cannot have gone to another process.
      if (std::erase(workers, order.pid) > 0) kill(order.pid, SIGKILL);
      continue;
    }
    auto [mine, workers_side] = socket_pair(SOCK_STREAM);
    const pid_t nursery = getpid(), worker = fork();
    if (worker == 0) {
      dup3(workers_side.get(), socket, O_CLOEXEC);
      syscall(SYS_close_range, socket + 1u, ~0u, 0);
      run_worker(socket, nursery, place);
    }
    const Order answer{worker};
    if (worker > 0) workers.push_back(worker);
    if (send(socket, &answer, sizeof answer, MSG_NOSIGNAL) < 0 || (worker > 0 && !send_fd(socket, mine.get())))
      _exit(0);
  }
}

std::unique_ptr<Nursery>& process_nursery() {
  static std::unique_ptr<Nursery> nursery;
  return nursery;
}

}  // namespace

Nursery::Nursery() : process_(tend) {}

std::optional<WorkerHandle> Nursery::make_worker(Clock::time_point deadline) {
  const std::lock_guard lock(mutex_);
  if (!process_.socket()) return std::nullopt;
  Order order{0};
  WorkerHandle worker;
  if (send(process_.socket().get(), &order, sizeof order, MSG_NOSIGNAL) == sizeof order) {
    pollfd entry{process_.socket().get(), POLLIN, 0};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (poll(&entry, 1, static_cast<int>(std::max<int64_t>(left, 0))) == 1 &&
        recv(process_.socket().get(), &order, sizeof order, MSG_DONTWAIT) == sizeof order) {
      worker.pid = order.pid;
      if (worker.pid < 0) return std::nullopt;  // the system has no process for us now; it may later
      worker.socket = receive_fd(process_.socket().get(), deadline);
    }
  }
  if (worker.socket) return worker;
  process_.hang_up();  // what it may answer later would be taken for the answer to another question
  return std::nullopt;
}

bool Nursery::dead() const {
  const std::lock_guard lock(mutex_);
  return !process_.socket();
}

void Nursery::kill_worker(pid_t worker) {
  const std::lock_guard lock(mutex_);
  const Order order{worker};
  if (process_.socket()) send(process_.socket().get(), &order, sizeof order, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void start_nursery() {
  if (!process_nursery()) process_nursery() = std::make_unique<Nursery>();
}

Nursery* find_nursery() {
  if (!process_nursery() && has_one_thread()) start_nursery();
  return process_nursery().get();
}

}  // namespace cohort
