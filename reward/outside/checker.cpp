#include "reward/outside/checker.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>

#include "core/check.h"

namespace cohort {
namespace {

constexpr int kProtocol = 1;
constexpr int kReadsAtOnce = 16;                              // so that a flood cannot keep us from the clock
constexpr auto kDyingTime = std::chrono::milliseconds(300);   // between a closed pipe and the end that goes with it

Clock::time_point after(double seconds) {
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

// False: nothing more now. `fd` is reset at the end of what it reads from.
bool read_part(Fd& fd, std::string& part) {
  if (!fd) return false;
  part.resize(64 << 10);
  ssize_t got;
  do {
    got = read(fd.get(), part.data(), part.size());
  } while (got < 0 && errno == EINTR);
  part.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
  if (got == 0) fd.reset();
  return got > 0;
}

}  // namespace

Checker::Checker(Launcher& launcher, const CheckerSettings& settings)
    : settings_(settings),
      program_(launcher, settings.command),
      deadline_(after(settings.start_seconds)),
      lines_(settings.line_bytes) {}

void Checker::ask(int64_t id, const RewardInput& input) {
  CHECK(ready(), "a request for a checker that is not ready");
  if (waiting_.empty()) {
    deadline_ = after(settings_.seconds);
    written_ = 0;
  }
  waiting_.push_back(id);
  ++asked_;
  unsent_ += dump_json(request_json(id, input));
  unsent_ += '\n';
  send();
}

// A pipe that nobody reads any more is no fault by itself: what counts is that no answer comes.
void Checker::send() {
  while (!unsent_.empty() && program_.input) {
    const ssize_t sent = write(program_.input.get(), unsent_.data(), unsent_.size());
    if (sent >= 0) {
      unsent_.erase(0, static_cast<size_t>(sent));
    } else if (errno == EPIPE) {
      program_.input.reset();
    } else if (errno != EINTR) {
      return;
    }
  }
}

void Checker::add_to(std::vector<pollfd>& entries) const {
  if (broken()) return;
  entries.push_back({program_.control(), POLLIN, 0});
  entries.push_back({program_.output.get(), POLLIN, 0});  // poll passes over negative ones
  entries.push_back({program_.error.get(), POLLIN, 0});
  entries.push_back({unsent_.empty() ? -1 : program_.input.get(), POLLOUT, 0});
}

void Checker::step(std::vector<OutsideAnswer>& answers) {
  if (broken()) return;
  program_.look();
  const bool over = program_.over();  // then all that it wrote is in the pipes, and what another process writes there is not its
  send();
  read_errors();
  read_output(answers);
  if (broken()) return;
  if (!program_.output || over) {
    const std::string end = program_.finish(Clock::now() + kDyingTime);
    fail((program_.killed() ? "closed its standard output" : end) + (lines_.inside() ? " in the middle of a line" : ""));
  } else if (Clock::now() >= deadline_ && state_ == State::starting) {
    fail(fmt::format("did not write {{\"ready\": {}}} within {:g} s", kProtocol, settings_.start_seconds), true);
  } else if (Clock::now() >= deadline_ && !waiting_.empty()) {
    fail(fmt::format("gave no answer within {:g} s", settings_.seconds), true);
  }
}

void Checker::read_errors() {
  std::string part;
  for (int reads = 0; reads < kReadsAtOnce && read_part(program_.error, part); ++reads) {
    errors_.append(part);
    count(part.size());
  }
}

void Checker::read_output(std::vector<OutsideAnswer>& answers) {
  std::string part;
  for (int reads = 0; reads < kReadsAtOnce && !broken() && read_part(program_.output, part); ++reads) {
    lines_.append(part);
    count(part.size());
    while (!broken()) {
      const std::optional<std::string> line = lines_.next();
      if (!line) break;
      read_line(*line, answers);
    }
    if (lines_.too_long()) fail(fmt::format("wrote a line of more than {} bytes", settings_.line_bytes));
  }
}

void Checker::read_line(const std::string& line, std::vector<OutsideAnswer>& answers) {
  Json json;
  try {
    json = parse_json(line, "JSON", 8);
  } catch (const Error& error) {
    return fail(fmt::format("wrote the line {}, which is not JSON ({})", shown_text(line), error.what()));
  }
  if (state_ == State::starting) {
    const bool greeting = json.is_object() && json.size() == 1 && json.contains("ready");
    if (!greeting || json["ready"] != kProtocol)
      return fail(fmt::format("wrote {} as its first line; allowed is {{\"ready\": {}}}", shown_text(line),
                              kProtocol));
    state_ = State::ready;
    deadline_ = Clock::time_point::max();
    return;
  }
  OutsideAnswer answer = read_answer(json);
  if (!answer.id)
    return fail(fmt::format("wrote the line {}, which is no answer: {}", shown_text(line), answer.verdict.reason));
  const auto asked = std::ranges::find(waiting_, *answer.id);
  if (asked == waiting_.end())
    return fail(fmt::format("answered the id {}, which it was not asked or has answered before", *answer.id));
  const bool oldest = asked == waiting_.begin();
  waiting_.erase(asked);
  if (waiting_.empty())
    deadline_ = Clock::time_point::max();
  else if (oldest)
    deadline_ = after(settings_.seconds);
  written_ = 0;
  answers.push_back(std::move(answer));
}

void Checker::count(size_t bytes) {
  written_ += bytes;
  if (!broken() && written_ > settings_.output_bytes)
    fail(fmt::format("wrote more than {} bytes without an answer", settings_.output_bytes));
}

// `what`: what the program did.
void Checker::fail(const std::string& what, bool timed_out) {
  state_ = State::broken, timed_out_ = timed_out;
  deadline_ = Clock::time_point::max();
  program_.finish(Clock::now());
  std::string part;
  for (int reads = 0; reads < kReadsAtOnce && read_part(program_.error, part); ++reads) errors_.append(part);
  why_ = fmt::format("{} {}", shown_command(settings_.command), what);
  const std::string errors = errors_.text();
  if (!errors.empty()) why_ += "; its standard error ends with: " + errors;
}

}  // namespace cohort
