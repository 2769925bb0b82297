// The cores that this process may use, and how the ranks of a host share them out among their threads.
//
// What mpirun, srun, taskset and the container allow is kept to: threads are only placed inside it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace cohort {

struct CpuTopology {
  // The physical cores that this process may run on, NUMA node by node; of each, the numbers of its hardware threads.
  std::vector<std::vector<int>> cores;
  int machine_cores = 1;  // physical cores of the host that this process can see, allowed or not
  double quota = std::numeric_limits<double>::infinity();  // CPUs' worth of time that its cgroup allows

  int cpus() const;    // hardware threads that can work at once, at least 1
  int usable() const;  // physical cores that can work at once, at least 1: min(cores, quota)
};

CpuTopology process_topology();

// The least limit of this process's cgroup and those around it (cpu.max of version 2, cpu.cfs_quota_us of version 1);
// infinity without one. `root`: where cgroups are mounted; `self`: the file that names this process's.
double cgroup_cpu_quota(const std::filesystem::path& root = "/sys/fs/cgroup", const std::filesystem::path& self = "/proc/self/cgroup");

// A rank among those that may use the same cores.
struct CoreSharing {
  int index = 0, ranks = 1;
  bool alike = true;  // all of them may use exactly the same cores
};

struct ThreadPlan {
  int threads = 1;
  std::vector<int> cpus;  // the hardware thread of each; empty: the system places them
};

// Threads of a rank and where they run. wanted 0: its share of the usable physical cores, at least 1. Rank i of n takes the i-th of n slices
// of the cores, so that it stays within a NUMA node where it can; each physical core gets a thread before any gets a second.
// pin: "off"; "on" (exit code 2 where the share has fewer hardware threads than the rank has threads); "auto": where the ranks' threads
// are as many as the cores, as otherwise another program, or another run, may need the very core that a thread cannot leave.
ThreadPlan plan_threads(const CpuTopology& topology, int64_t wanted, std::string_view pin, const CoreSharing& sharing);

// What to change when the ranks on `host` have more threads than can work at once, or "".
std::string oversubscription(const CpuTopology& topology, int64_t wanted, int threads, const CoreSharing& sharing,
                             const std::string& host);

}  // namespace cohort
