// One process of the reward `command` and the conversation with it: requests out, answers back, whatever else it does.
#pragma once

#include <poll.h>

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "reward/outside/lines.h"
#include "reward/outside/outside.h"
#include "reward/outside/program.h"

namespace cohort {

struct CheckerSettings {
  std::vector<std::string> command;
  double start_seconds = 60;  // from its start to its first line, {"ready": 1}
  double seconds = 10;        // of one request, from when it is the oldest that waits for an answer
  size_t line_bytes = 64 << 10;
  size_t output_bytes = 1 << 20;  // of everything that it writes between two answers
  int64_t in_flight = 1;
  int64_t workers = 2;
};

// Not thread-safe. The calling process ignores SIGPIPE. Nothing but the end of a process (`say_goodbye`, the destructor) waits.
class Checker {
 public:
  Checker(Launcher& launcher, const CheckerSettings& settings);

  bool ready() const { return state_ == State::ready; }
  // It broke the protocol, a deadline or itself, and is dead. What it was asked and did not answer stays in waiting().
  bool broken() const { return state_ == State::broken; }
  bool timed_out() const { return timed_out_; }      // broken() because of a deadline
  const std::string& why() const { return why_; }    // broken(): for people, with the last lines of standard error

  // How many requests it was given so far, and those that it did not answer yet, oldest first.
  int64_t asked() const { return asked_; }
  const std::deque<int64_t>& waiting() const { return waiting_; }
  // Needs ready(). `id` >= 0 is another one each time.
  void ask(int64_t id, const RewardInput& input);

  // For poll; step() then looks at everything and does not wait. Answers are appended in the order of their arrival.
  void add_to(std::vector<pollfd>& entries) const;
  void step(std::vector<OutsideAnswer>& answers);
  // When step() is to be called even though nothing happened.
  Clock::time_point deadline() const { return deadline_; }

  // The program may end by itself now, until `deadline`.
  void say_goodbye() { program_.input.reset(); }
  void finish(Clock::time_point deadline) { program_.finish(deadline); }

 private:
  enum class State { starting, ready, broken };
  void send();
  void read_output(std::vector<OutsideAnswer>& answers);
  void read_errors();
  void read_line(const std::string& line, std::vector<OutsideAnswer>& answers);
  void count(size_t bytes);
  void fail(const std::string& what, bool timed_out = false);

  const CheckerSettings& settings_;
  Program program_;
  State state_ = State::starting;
  bool timed_out_ = false;
  std::string why_;
  Clock::time_point deadline_;
  int64_t asked_ = 0;
  std::deque<int64_t> waiting_;
  std::string unsent_;
  size_t written_ = 0;  // by the program, since its last answer
  LineReader lines_;
  LastLines errors_;
};

}  // namespace cohort
