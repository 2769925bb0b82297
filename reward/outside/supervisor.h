// The process above one program: starts it, tells what becomes of it, and kills all that it started when it ends or when
// nobody wants it any more.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "reward/outside/launcher.h"

namespace cohort {

// What a supervisor tells by its control socket, in this order: `supervised`; then `failed`, and that is all; or `started`, and once the
// program and everything below it are dead, `ended`.
struct ProgramReport {
  enum class Kind : int32_t {
    supervised,  // value: the supervisor's own process number
    failed,      // value: errno
    started,     // value: the program's process number
    ended,       // value: the program's status, as waitpid gives it
  };
  Kind kind;
  int32_t value;
};
void send_report(int control, const ProgramReport& report);

// Runs `command` until it ends or the other end of `ends.control` is closed or shut down. Processes that left the program's
// session or whose parents died are found too: the supervisor is their new parent. The calling process has one thread and no
// children, and ends.
[[noreturn]] void supervise(std::vector<std::string> command, ProgramEnds ends);

}  // namespace cohort
