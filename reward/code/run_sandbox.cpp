#include "reward/code/run_sandbox.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/check.h"
#include "core/clock.h"
#include "reward/code/file_view.h"
#include "reward/code/spawn.h"
#include "reward/code/tree_memory.h"
#include "reward/code/wire.h"

namespace cohort {
namespace {

constexpr auto kMemoryPeriod = std::chrono::milliseconds(10);

void make_nonblocking(const Fd& fd) { fcntl(fd.get(), F_SETFL, O_NONBLOCK); }

// What a program writes, up to a limit.
struct Sink {
  Fd fd;
  std::string* text;
};

// One program while it runs. Its result is filled in piece by piece.
class Running {
 public:
  Running(const SandboxProgram& program, int link, bool reports, const std::vector<sock_filter>& filter, const WorkerGroup* group)
      : program_(program) {
    if (group != nullptr) group_.emplace(*group, program.limits);
    auto [in_read, in_write] = make_pipe();
    auto [out_read, out_write] = make_pipe();
    auto [err_read, err_write] = make_pipe();
    Fd report_read, report_write;
    if (reports) std::tie(report_read, report_write) = make_pipe();
    for (const Fd* fd : {&in_write, &out_read, &err_read}) make_nonblocking(*fd);
    input_ = std::move(in_write);
    sinks_.push_back({std::move(out_read), &result.out});
    sinks_.push_back({std::move(err_read), &result.err});
    if (reports) {
      make_nonblocking(report_read);
      sinks_.push_back({std::move(report_read), &result.report});
    }
    start_ = Clock::now();
    tree_ = spawn(program, {in_read.get(), out_write.get(), err_write.get(), link, report_write.get()}, filter,
                  group_ ? group_->fd() : -1);
    if (program_.input.empty()) input_.reset();
  }
  ~Running() {
    kill();
    reap();
  }

  void kill() {
    if (dead_) return;
    if (group_) group_->kill();
    syscall(SYS_pidfd_send_signal, tree_.pidfd.get(), SIGKILL, nullptr, 0);
  }
  // Why it is about to be killed; the first reason counts.
  void end_as(SandboxEnd end) {
    if (!reason_) reason_ = end;
    kill();
  }
  bool dead() const { return dead_; }

  void add_to(std::vector<pollfd>& entries) const {
    entries.push_back({tree_.pidfd.get(), POLLIN, 0});
    entries.push_back({input_.get(), POLLOUT, 0});  // poll passes over negative ones
    for (const Sink& sink : sinks_) entries.push_back({sink.fd.get(), POLLIN, 0});
  }
  // Looks at everything, without waiting.
  void step() {
    if (dead_) return;
    feed();
    drain();
    pollfd ended{tree_.pidfd.get(), POLLIN, 0};
    if (poll(&ended, 1, 0) == 1) finish();
  }
  void check_memory() {
    if (dead_) return;
    const std::optional<int64_t> memory = tree_memory(tree_.init);
    // It was not waited for yet, so /proc hides it: what nobody counts has no limit.
    if (!memory) unseen_ = true, kill();
    if (memory && *memory > program_.limits.memory_bytes + inherited_) end_as(SandboxEnd::memory);
  }

  ProgramResult result;
  std::string error;  // why it could not run

 private:
  void feed() {
    while (input_ && fed_ < program_.input.size()) {
      const ssize_t sent = write(input_.get(), program_.input.data() + fed_, program_.input.size() - fed_);
      if (sent > 0) {
        fed_ += static_cast<size_t>(sent);
      } else if (errno == EPIPE) {  // it does not read any more, which is its right
        fed_ = program_.input.size();
      } else {
        return;
      }
    }
    input_.reset();
  }
  // Bounded also in how much one call reads, so that a flood cannot keep us from the clock.
  void drain() {
    const auto limit = static_cast<size_t>(program_.limits.output_bytes);
    char part[65536];
    for (Sink& sink : sinks_) {
      for (int reads = 0; sink.fd && reads < 64; ++reads) {
        const ssize_t got = read(sink.fd.get(), part, sizeof part);
        if (got < 0) break;
        if (got == 0) {
          sink.fd.reset();
          break;
        }
        const size_t take = std::min(static_cast<size_t>(got), limit - sink.text->size());
        sink.text->append(part, take);
        if (take < static_cast<size_t>(got)) {
          end_as(SandboxEnd::output_limit);
          sink.fd.reset();
        }
      }
    }
  }
  void reap() {
    if (dead_) return;
    int status = 0;
    while (waitpid(tree_.init, &status, 0) < 0 && errno == EINTR) {
    }
    dead_ = true;
    result.seconds = seconds_since(start_);
  }
  void finish() {
    reap();
    drain();  // what lay in the pipes; all writers are dead
    for (Sink& sink : sinks_) sink.fd.reset();
    input_.reset();
    const Ending ending = read_status(tree_.status);
    result.cpu_seconds = ending.cpu_seconds;
    // Which may have met the init, or anything that the program needed.
    if (group_ && group_->ran_out_of_memory() && !reason_) reason_ = SandboxEnd::memory;
    if (unseen_) {
      result.end = SandboxEnd::infra_error;
      error = "/proc hides the processes of the sandbox, so their memory has no limit: mount /proc without hidepid";
      return;
    }
    if (!ending.error.empty() || (!ending.began && !reason_)) {
      result.end = SandboxEnd::infra_error;
      error = ending.error.empty() ? "the first process of the sandbox was killed from outside" : ending.error;
      return;
    }
    if (reason_) {
      result.end = *reason_;
    } else if (!ending.known) {
      result.end = SandboxEnd::infra_error;
      error = "the first process of the sandbox was killed from outside";
    } else if (WIFEXITED(ending.status)) {
      result.end = SandboxEnd::exited;
      result.status = WEXITSTATUS(ending.status);
    } else {
      result.status = WTERMSIG(ending.status);
      result.end = result.status == SIGXCPU ? SandboxEnd::timeout : SandboxEnd::signalled;
    }
    // Nobody is left who could move a file between the look and the read.
    if (result.end == SandboxEnd::exited && !program_.take.empty()) {
      const Fd work = receive_fd(tree_.work.get(), Clock::now());
      for (const std::string& name : program_.take)
        if (auto file = take_file(work.get(), name, program_.limits.scratch_bytes))
          result.files.push_back(std::move(*file));
    }
  }

  const SandboxProgram& program_;
  std::optional<RunGroup> group_;  // goes after the tree
  Tree tree_;
  Fd input_;
  size_t fed_ = 0;
  std::vector<Sink> sinks_;
  std::optional<SandboxEnd> reason_;
  Clock::time_point start_;
  bool dead_ = false, unseen_ = false;
  // What the init, and the program until it is executed, hold as copies of this process.
  const int64_t inherited_ = 2 * process_memory(getpid());
};

void wait_for_events(const std::vector<Running*>& runs, int client, Clock::time_point until) {
  std::vector<pollfd> entries = {{client, POLLRDHUP, 0}};
  for (const Running* run : runs)
    if (!run->dead()) run->add_to(entries);
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count() + 1;
  poll(entries.data(), entries.size(), static_cast<int>(std::clamp<int64_t>(left, 0, 1000)));
}

bool is_gone(int client) {
  pollfd entry{client, POLLRDHUP, 0};
  return client >= 0 && poll(&entry, 1, 0) == 1;
}

double longest(const SandboxRequest& request) {
  return std::max(request.program.limits.seconds, request.checker ? request.checker->limits.seconds : 0.0);
}

void run(const SandboxRequest& request, const std::vector<sock_filter>& filter, int client, const WorkerGroup* group,
         SandboxResult& result) {
  Fd link, checker_link;
  if (request.checker) std::tie(link, checker_link) = socket_pair(SOCK_STREAM);
  Running program(request.program, link.get(), false, filter, group);
  std::optional<Running> checker;
  if (request.checker) checker.emplace(*request.checker, checker_link.get(), true, filter, group);
  link.reset(), checker_link.reset();
  Running& last = checker ? *checker : program;
  std::vector<Running*> runs = {&program};
  if (checker) runs.push_back(&*checker);

  const Clock::time_point deadline =
      Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(longest(request)));
  Clock::time_point look = Clock::now() + kMemoryPeriod;
  while (!program.dead() || !last.dead()) {
    wait_for_events(runs, client, std::min(look, deadline));
    for (Running* run : runs) run->step();
    if (Clock::now() >= look) {
      for (Running* run : runs) run->check_memory();
      look = Clock::now() + kMemoryPeriod;
    }
    if (Clock::now() >= deadline || is_gone(client))
      for (Running* run : runs) run->end_as(SandboxEnd::timeout);
    if (last.dead() && !program.dead()) program.end_as(SandboxEnd::stopped);
  }
  result.program = std::move(program.result);
  result.error = program.error;
  if (checker) {
    result.checker = std::move(checker->result);
    if (result.error.empty()) result.error = checker->error;
  }
}

}  // namespace

SandboxResult run_sandbox(const SandboxRequest& request, const std::vector<sock_filter>& filter, int client, const WorkerGroup* group) {
  SandboxResult result;
  try {
    run(request, filter, client, group, result);
  } catch (const std::exception& error) {
    result = {};
    result.error = error.what();
  }
  return result;
}

}  // namespace cohort
