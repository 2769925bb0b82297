// mpi_scenario NAME: what failure_test.cpp runs on several ranks. Each rank reports by lines "RANK
// TEXT" on standard output.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <mpi.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>

#include "comm/comm.h"
#include "comm/mpi_start.h"
#include "comm/signals.h"
#include "comm/watchdog.h"
#include "core/check.h"

namespace cohort {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

void report(const Comm& comm, const std::string& text) {
  const std::string line = fmt::format("{} {}\n", comm.rank(), text);
  if (write(STDOUT_FILENO, line.data(), line.size()) < 0) std::abort();
}

// Reports how `collective` failed, and after how long.
int failed(const Comm& comm, const std::function<void()>& collective) {
  const Clock::time_point start = Clock::now();
  try {
    collective();
  } catch (const Error& error) {
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    report(comm, fmt::format("code {} after {:.2f} s: {}", static_cast<int>(error.code()), seconds,
                             error.what()));
    return static_cast<int>(error.code());
  }
  report(comm, "succeeded");
  return 0;
}

// Lets all ranks report before the first one ends them.
int abort_together(Comm& comm, int code) {
  MPI_Barrier(MPI_COMM_WORLD);
  comm.abort(code);
  return 92;
}

void wait_for_the_end() {
  while (true) pause();
}

// As in a container that forbids it.
void forbid_reading_processes() {
  sock_filter program[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                           BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_vm_readv, 0, 1),
                           BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
                           BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const sock_fprog filter{std::size(program), program};
  CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0,
        "no seccomp");
}

int forbidden(Comm& comm) {
  std::vector<std::byte> data(1 << 20, std::byte{static_cast<uint8_t>(comm.rank())});
  comm.broadcast(data, 1, "large");
  report(comm, data.back() == std::byte{1} ? "received" : "got something else");
  return 0;
}

int clean(Comm& comm) {
  report(comm, fmt::format("of {}", comm.size()));
  return 0;
}

// The last rank comes to one collective and not to the next.
int deadline(Comm& comm) {
  comm.barrier("together");
  comm.set_deadline(1s);
  std::byte data[4] = {};
  if (comm.rank() != comm.size() - 1) failed(comm, [&] { comm.broadcast(data, 0, "weights"); });
  if (comm.rank() == 0) failed(comm, [&] { comm.barrier("afterwards"); });
  return abort_together(comm, 4);
}

// Rank 1 does not answer; rank 2 does.
int no_answer(Comm& comm) {
  comm.barrier("together");
  comm.set_deadline(1s);
  if (comm.rank() == 2) comm.post(0, std::as_bytes(std::span("here")));
  if (comm.rank() == 0) {
    const int both[] = {1, 2}, one[] = {1};
    report(comm, fmt::format("heard of rank {}", comm.receive(both, "work").from));
    failed(comm, [&] { comm.receive(one, "work"); });
    failed(comm, [&] { comm.receive(one, "more"); });
  }
  return abort_together(comm, 4);
}

// A rank that the system does not run any more.
int stopped(Comm& comm) {
  comm.barrier("together");
  if (comm.rank() == 1) std::raise(SIGSTOP);
  comm.set_deadline(1s);
  comm.abort(failed(comm, [&] { comm.barrier("weights"); }));
  return 92;
}

// Rank 0 enters `first`, the others `second`.
int out_of_step(Comm& comm, const std::function<void()>& first,
                const std::function<void()>& second) {
  return abort_together(comm, failed(comm, comm.rank() == 0 ? first : second));
}
int other_operation(Comm& comm) {
  return out_of_step(
      comm, [&] { comm.barrier("step"); }, [&] { comm.any(true, "stop"); });
}
int other_name(Comm& comm) {
  return out_of_step(
      comm, [&] { comm.barrier("step"); }, [&] { comm.barrier("stop"); });
}
int other_root(Comm& comm) {
  std::byte data[4] = {};
  return out_of_step(
      comm, [&] { comm.broadcast(data, 0, "weights"); },
      [&] { comm.broadcast(data, 1, "weights"); });
}
int other_size(Comm& comm) {
  std::byte data[4] = {}, more[5] = {};
  return out_of_step(
      comm, [&] { comm.broadcast(data, 0, "weights"); },
      [&] { comm.broadcast(more, 0, "weights"); });
}

// Rank 0 sends more than rank 1 expects; too much to go without rank 1's help.
int lengths(Comm& comm) {
  comm.set_deadline(1s);
  std::vector<std::byte> data(8 << 20), more((8 << 20) + 1), received(8 << 20);
  failed(comm, [&] {
    if (comm.rank() == 0) {
      const std::span<const std::byte> send[] = {{}, more};
      const std::span<std::byte> receive[] = {{}, received};
      comm.all_to_all(send, receive, "gradients");
    } else {
      const std::span<const std::byte> send[] = {data, {}};
      const std::span<std::byte> receive[] = {received, {}};
      comm.all_to_all(send, receive, "gradients");
    }
  });
  return abort_together(comm, 1);
}

int killed(Comm& comm) {
  comm.barrier("together");
  if (comm.rank() == 1) std::raise(SIGKILL);
  comm.barrier("without rank 1");
  return 0;
}

int aborted(Comm& comm) {
  comm.barrier("together");
  if (comm.rank() == 1) comm.abort(77);
  comm.barrier("without rank 1");
  return 0;
}

// Rank 1 computes forever; its watchdog's thread ends all.
int watchdog(Comm& comm) {
  Watchdog dog(fmt::format("rank {} on {}", comm.rank(), comm.host()),
               [&](const std::string& message) {
                 report(comm, message);
                 comm.abort(static_cast<int>(ExitCode::kRankFailed));
               });
  if (comm.rank() == 1) {
    dog.enter("update", 41, 200ms);
    for (std::atomic<int> i = 0; true; ++i) {
    }
  }
  comm.barrier("without rank 1");
  return 0;
}

// Its watchdog ends a rank that waits in a collective.
int watchdog_in_collective(Comm& comm) {
  if (comm.rank() == 1) wait_for_the_end();
  Watchdog dog("", [&](const std::string& message) {
    report(comm, message);
    comm.abort(static_cast<int>(ExitCode::kRankFailed));
  });
  dog.enter("update", 41, 200ms);
  comm.barrier("without rank 1");
  return 0;
}

// An exception destroys the communicator of rank 1 on its way; main() turns it into 3.
int thrown(Comm& comm) {
  if (comm.rank() == 1) throw std::runtime_error("a bad file");
  comm.barrier("without rank 1");
  return 0;
}

// A rank that leaves early must not end the others.
int early(Comm& comm) {
  if (comm.rank() == 1) return 0;
  const Clock::time_point end = Clock::now() + 1s;
  while (Clock::now() < end) {
  }
  report(comm, "done");
  return 0;
}

int signals(Comm& comm) {
  const StopSignals stop;
  comm.barrier("handlers are there");
  report(comm, "ready");
  int64_t step = 0;
  while (!comm.any(stop.requested(), "stop")) ++step;
  report(comm, fmt::format("stopped at step {}", step));
  return static_cast<int>(ExitCode::kStopped);
}

const std::map<std::string, int (*)(Comm&)> kScenarios = {
    {"clean", clean},
    {"forbidden", forbidden},
    {"deadline", deadline},
    {"no_answer", no_answer},
    {"stopped", stopped},
    {"other_operation", other_operation},
    {"other_name", other_name},
    {"other_root", other_root},
    {"other_size", other_size},
    {"lengths", lengths},
    {"killed", killed},
    {"aborted", aborted},
    {"watchdog", watchdog},
    {"watchdog_in_collective", watchdog_in_collective},
    {"thrown", thrown},
    {"early", early},
    {"signals", signals}};

int run(const std::string& name) {
  if (name == "forbidden") forbid_reading_processes();
  if (name == "never_starts" || name == "never_finishes") {
    const bool first = std::getenv("OMPI_COMM_WORLD_RANK") == std::string("0");
    if (name == "never_starts" && !first) wait_for_the_end();
    start_mpi(name == "never_starts" ? 500ms : 60s);
    if (name == "never_finishes" && !first) wait_for_the_end();
    finish_mpi(500ms);
    return 0;
  }
  const std::unique_ptr<Comm> comm = make_comm();
  int initialized = 0;
  MPI_Initialized(&initialized);
  if (initialized != (comm->size() > 1)) return 90;
  return kScenarios.at(name)(*comm);
}

}  // namespace
}  // namespace cohort

int main(int argc, char** argv) {
  if (argc != 2) return 91;
  try {
    return cohort::run(argv[1]);
  } catch (const std::runtime_error&) {
    return 3;
  }
}
