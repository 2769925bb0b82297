// What runs in the sandbox and what comes back: plain data, with no expected output in it. docs/sandbox.md has the
// threat model.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace cohort {

// Bounds of one program and all that it starts. Seconds are wall clock; counts are per run.
struct SandboxLimits {
  double seconds = 10;
  int64_t memory_bytes =
      int64_t{512} << 20;                   // anonymous memory of the whole tree, looked at every 10 ms (tree_memory.h)
  int64_t address_space_bytes = 0;          // of each process (RLIMIT_AS); 0: twice memory_bytes
  int64_t output_bytes = int64_t{1} << 20;  // of standard output and of standard error, each
  int64_t scratch_bytes = int64_t{64} << 20;  // what /box, /tmp and /dev/shm hold together; also the largest file
  int64_t processes = 16;                     // and threads
  int64_t open_files = 64;                    // of each process

  bool operator==(const SandboxLimits&) const = default;
};

struct SandboxFile {
  std::string name;  // a plain name, no '/'
  std::string bytes;
  bool executable = false;

  bool operator==(const SandboxFile&) const = default;
};

struct SandboxProgram {
  std::vector<std::string> command;  // command[0] is a path as the sandbox sees it
  std::vector<SandboxFile> files;    // laid in /box, which is the working directory
  std::string input;                 // standard input
  std::vector<std::string> take;     // names in /box that are handed back after the end
  std::vector<std::string> binds;    // paths of the host that show up read-only at the same place, beside the system's
  std::vector<std::string> environment;  // NAME=value, beside PATH, HOME, LANG and the like
  SandboxLimits limits;

  bool operator==(const SandboxProgram&) const = default;
};

// With a checker two sandboxes run at a time, joined by a stream: descriptor 3 of both. The checker's descriptor 4 goes
// to the caller and to nobody else. The run ends when the checker ends (without one: when the program ends).
struct SandboxRequest {
  SandboxProgram program;
  std::optional<SandboxProgram> checker;

  bool operator==(const SandboxRequest&) const = default;
};

enum class SandboxEnd : uint8_t {
  exited,        // by itself, status is its exit code
  signalled,     // status is the signal
  stopped,       // the run was over
  timeout,       // wall clock or processor time
  memory,        // the tree held more than memory_bytes
  output_limit,  // standard output, standard error or the report held more than output_bytes
  infra_error,   // it never ran: the machine's fault, never the program's
};
const char* sandbox_end_name(SandboxEnd end);

struct ProgramResult {
  SandboxEnd end = SandboxEnd::infra_error;
  int status = 0;
  std::string out, err;            // at most output_bytes each
  std::string report;              // the checker's descriptor 4, at most output_bytes
  std::vector<SandboxFile> files;  // those of `take` that are regular files of at most scratch_bytes
  double seconds = 0, cpu_seconds = 0;

  bool operator==(const ProgramResult&) const = default;
};

struct SandboxResult {
  ProgramResult program;
  std::optional<ProgramResult> checker;
  std::string error;  // not empty: infra_error, and this is why

  bool operator==(const SandboxResult&) const = default;
};

}  // namespace cohort
