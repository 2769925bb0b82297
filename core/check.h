// Errors with an exit code, and the checks that raise them. Always on, in release builds too.
//
// A message says which file or key, what was found, what is allowed, and what to do.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>

namespace cohort {

// design: "Exit codes". The value is what the process returns.
enum class ExitCode : int {
  kOk = 0,
  kInternal = 1,
  kUsage = 2,       // bad command line or config
  kInput = 3,       // bad model, data or checkpoint file
  kRankFailed = 4,  // a rank failed or a deadline passed
  kNonFinite = 5,   // NaN or infinity in loss, gradient or weights
  kResources = 6,   // out of memory or disk
  kStopped = 75,    // saved and stopped on request: requeue me
};

class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

template <typename... Args>
[[noreturn]] void fail(ExitCode code, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(code, fmt::format(format, std::forward<Args>(args)...));
}

template <typename... Args>
std::string check_message(const char* file, int line, const char* condition,
                          fmt::format_string<Args...> format, Args&&... args) {
  return fmt::format("{} [{}:{}: {}]", fmt::format(format, std::forward<Args>(args)...), file, line,
                     condition);
}

}  // namespace cohort

// A broken promise between parts of cohort: exit code 1, with the place in the source.
#define CHECK(condition, ...)                                                        \
  do {                                                                               \
    if (!(condition)) [[unlikely]]                                                   \
      throw ::cohort::Error(::cohort::ExitCode::kInternal,                           \
                            ::cohort::check_message(__FILE__, __LINE__, #condition, __VA_ARGS__)); \
  } while (false)

// Something the user gave is wrong: the message alone, with the exit code of its kind.
#define CHECK_INPUT(condition, ...)                                                     \
  do {                                                                                  \
    if (!(condition)) [[unlikely]] ::cohort::fail(::cohort::ExitCode::kInput, __VA_ARGS__); \
  } while (false)
#define CHECK_USAGE(condition, ...)                                                     \
  do {                                                                                  \
    if (!(condition)) [[unlikely]] ::cohort::fail(::cohort::ExitCode::kUsage, __VA_ARGS__); \
  } while (false)
