#include "trainer/metrics_hooks.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace cohort {
namespace {

Clock::time_point in_seconds(double seconds) {
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

// What is there, of a command that writes without end a part of it; false at the end.
template <typename Use>
bool drain(Fd& fd, Use use) {
  char buffer[4096];
  for (int reads = 0; fd && reads < 256; ++reads) {
    const ssize_t got = read(fd.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return true;  // nothing now
    if (got == 0) return false;
    use(std::string_view(buffer, static_cast<size_t>(got)));
  }
  return static_cast<bool>(fd);
}

}  // namespace

MetricsHooks::MetricsHooks(Launcher& launcher, const std::vector<std::string>& commands, double timeout_s) : timeout_s_(timeout_s) {
  for (const std::string& command : commands) {
    Hook& hook = hooks_.emplace_back();
    hook.command = command;
    hook.program = std::make_unique<Program>(launcher, std::vector<std::string>{"sh", "-c", command});
    hook.waiting_since = Clock::now();
  }
}

MetricsHooks::~MetricsHooks() { close(std::min(timeout_s_, 1.0), {}); }

void MetricsHooks::read_outputs(Hook& hook) {
  if (!drain(hook.program->output, [](std::string_view) {})) hook.program->output.reset();
  if (!drain(hook.program->error, [&](std::string_view bytes) { hook.errors.append(bytes); })) hook.program->error.reset();
}

void MetricsHooks::give_up(Hook& hook, const std::string& why) {
  read_outputs(hook);
  const std::string said = hook.errors.text();
  warnings_.push_back(fmt::format("log.hooks: '{}' {} after {} lines{}{}; the run goes on without it", hook.command, why, hook.lines,
                                  said.empty() ? "" : "; it said: ", said));
  hook.program.reset();  // kills what is left of it
}

void MetricsHooks::pump(Hook& hook) {
  read_outputs(hook);
  while (!hook.unsent.empty()) {
    const ssize_t sent = write(hook.program->input.get(), hook.unsent.data(), hook.unsent.size());
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) break;
    if (sent < 0) {  // it does not read any more: it has ended, or is about to
      hook.unsent.clear();
      return give_up(hook, hook.program->finish(in_seconds(std::min(timeout_s_, 1.0))));
    }
    hook.unsent.erase(0, static_cast<size_t>(sent));
    hook.waiting_since = Clock::now();
  }
  hook.program->look();
  if (hook.program->over()) return give_up(hook, hook.program->finish(Clock::now()));
  if (hook.unsent.empty()) hook.waiting_since = Clock::now();
  if (Clock::now() - hook.waiting_since > std::chrono::duration<double>(timeout_s_))
    give_up(hook, fmt::format("has read nothing for {} s and was killed", timeout_s_));
}

void MetricsHooks::send(const std::string& line) {
  for (Hook& hook : hooks_) {
    if (!hook.program) continue;
    hook.unsent += line + "\n";
    ++hook.lines;
    pump(hook);
  }
}

void MetricsHooks::close(double timeout_s, const std::function<bool()>& hurry) {
  Clock::time_point deadline = in_seconds(timeout_s);
  bool hurried = false;
  const auto in_time = [&] {
    if (!hurried && hurry && hurry()) hurried = true, deadline = std::min(deadline, in_seconds(1));
    return Clock::now() < deadline;
  };
  for (Hook& hook : hooks_) {
    while (hook.program && !hook.unsent.empty() && in_time()) {  // what it has not read yet
      pollfd entries[] = {{hook.program->input.get(), POLLOUT, 0}, {hook.program->error.get(), POLLIN, 0}, {hook.program->output.get(), POLLIN, 0}};
      poll(entries, 3, 50);
      pump(hook);
    }
    if (hook.program) hook.program->input.reset();
  }
  for (Hook& hook : hooks_) {
    while (hook.program && !hook.program->over() && in_time()) {
      pollfd entries[] = {{hook.program->control(), POLLIN, 0}, {hook.program->error.get(), POLLIN, 0}, {hook.program->output.get(), POLLIN, 0}};
      poll(entries, 3, 50);
      read_outputs(hook);
      hook.program->look();
    }
    if (!hook.program) continue;
    hook.program->look();  // another one may have taken all of the time
    const bool late = !hook.program->over();
    const std::string end = hook.program->finish(Clock::now());
    if (late) {
      give_up(hook, hurried ? "has not ended a second after the run was told to end, and was killed"
                            : fmt::format("has not ended {} s after its last line and was killed", timeout_s));
    } else if (end != "ended with exit code 0") {
      give_up(hook, end);
    }
    hook.program.reset();
  }
}

std::vector<std::string> MetricsHooks::take_warnings() { return std::exchange(warnings_, {}); }

}  // namespace cohort
