// A control group (cgroup version 2) around each run, where the system has delegated a subtree with the controllers `memory` and
// `pids`: a second, kernel-kept limit behind the sandbox's own watch. docs/sandbox.md says how to delegate one.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "core/fd.h"
#include "reward/code/sandbox.h"

namespace cohort {

// A folder of the hierarchy in which this process may make groups that have both controllers: its own group, or the one above.
struct GroupPlace {
  std::string folder;  // "" where there is none
  std::string found;   // for people: the folder, or what is missing
};
// `mounts`, `self`: /proc/self/mountinfo and /proc/self/cgroup.
GroupPlace find_group_place(const std::filesystem::path& mounts = "/proc/self/mountinfo",
                            const std::filesystem::path& self = "/proc/self/cgroup");

// PLACE/cohort-PID-START with this process, which began START ticks after the machine, in its leaf `worker`, so that it may start runs beside it. It is handed to the first of `users` that
// there is; none: this process stays who it is. Throws (exit code 1) where the system refuses.
class WorkerGroup {
 public:
  WorkerGroup(const GroupPlace& place, std::span<const unsigned> users);
  const std::string& folder() const { return folder_; }

 private:
  std::string folder_;
};
// Removes what a worker that is dead has left, its runs included. Its number must not have gone to another worker yet.
void remove_worker_group(const GroupPlace& place, pid_t worker);
// Those of workers that died with the process that would have done it. A worker that has made its groups and is not in them yet
// has empty groups and lives: its name tells.
void remove_dead_groups(const GroupPlace& place);

// The group of one run. Throws (exit code 1) where the system refuses.
class RunGroup {
 public:
  RunGroup(const WorkerGroup& worker, const SandboxLimits& limits);
  ~RunGroup();  // all of its processes are dead and waited for
  RunGroup(const RunGroup&) = delete;

  int fd() const { return fd_.get(); }  // for CLONE_INTO_CGROUP
  void kill() const;                    // everything in it, at once (from Linux 5.14; before, it does nothing)
  bool ran_out_of_memory() const;       // the kernel killed something in it for that

 private:
  std::string folder_;
  Fd fd_;
};

// Whether processes can be started in groups of this worker's. Throws (exit code 1) with what the system says otherwise.
void try_group(const WorkerGroup& worker);

}  // namespace cohort
