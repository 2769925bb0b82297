#include "core/cpu_topology.h"

#include <hwloc.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>
#include <thread>

#include "core/check.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

struct FreeTopology {
  void operator()(hwloc_topology* topology) const { hwloc_topology_destroy(topology); }
};
struct FreeBitmap {
  void operator()(hwloc_bitmap_s* bitmap) const { hwloc_bitmap_free(bitmap); }
};
using Topology = std::unique_ptr<hwloc_topology, FreeTopology>;
using Bitmap = std::unique_ptr<hwloc_bitmap_s, FreeBitmap>;

Topology load_topology() {
  hwloc_topology_t raw = nullptr;
  if (hwloc_topology_init(&raw) != 0) return nullptr;
  Topology topology(raw);
  // Its way of asking each processor moves this thread over all of them; the system's tables say the same.
  hwloc_topology_set_components(raw, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, "x86");
  return hwloc_topology_load(raw) == 0 ? std::move(topology) : nullptr;
}

constexpr double kNoLimit = std::numeric_limits<double>::infinity();

// "LIMIT PERIOD" or, in two files, LIMIT and PERIOD; "max" and negative limits are none.
double quota_in(const std::string& text) {
  std::istringstream in(text);
  double limit = 0, period = 0;
  return in >> limit >> period && limit > 0 && period > 0 ? limit / period : kNoLimit;
}

std::string contents(const fs::path& file) {
  std::ifstream in(file);
  std::ostringstream text;
  text << in.rdbuf() << ' ';
  return text.str();
}

// Where a container sees only its own part of the tree, the path that the process is told does not exist: then only what does exist counts.
double least_quota(const fs::path& root, std::string path, const std::function<std::string(const fs::path&)>& read) {
  double quota = quota_in(read(root));
  while (path.size() > 1) {
    quota = std::min(quota, quota_in(read(root / path.substr(1))));
    path.resize(std::max<size_t>(1, path.rfind('/')));
  }
  return quota;
}

}  // namespace

int CpuTopology::usable() const {
  return std::max(1, static_cast<int>(std::min(static_cast<double>(cores.size()), std::floor(quota))));
}

int CpuTopology::cpus() const {
  size_t count = 0;
  for (const std::vector<int>& core : cores) count += core.size();
  return std::max(1, static_cast<int>(std::min(static_cast<double>(count), std::ceil(quota))));
}

double cgroup_cpu_quota(const fs::path& root, const fs::path& self) {
  double quota = kNoLimit;
  std::ifstream in(self);
  for (std::string line; std::getline(in, line);) {  // ID:CONTROLLERS:PATH
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = fmt::format(",{},", line.substr(first + 1, second - first - 1)), path = line.substr(second + 1);
    if (controllers == ",,") {
      quota = std::min(quota, least_quota(root, path, [](const fs::path& at) { return contents(at / "cpu.max"); }));
    } else if (controllers.find(",cpu,") != std::string::npos) {
      quota = std::min(quota, least_quota(root / "cpu", path, [](const fs::path& at) {
        return contents(at / "cpu.cfs_quota_us") + contents(at / "cpu.cfs_period_us");
      }));
    }
  }
  return quota;
}

CpuTopology process_topology() {
  CpuTopology result{.quota = cgroup_cpu_quota()};
  const Topology topology = load_topology();
  const Bitmap allowed(hwloc_bitmap_alloc());
  if (topology && allowed && hwloc_get_cpubind(topology.get(), allowed.get(), HWLOC_CPUBIND_THREAD) == 0) {
    const auto type = hwloc_get_nbobjs_by_type(topology.get(), HWLOC_OBJ_CORE) > 0 ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;
    for (hwloc_obj_t core = nullptr; (core = hwloc_get_next_obj_by_type(topology.get(), type, core)) != nullptr;) {
      std::vector<int> cpus;
      unsigned cpu;
      hwloc_bitmap_foreach_begin(cpu, core->cpuset) {
        if (hwloc_bitmap_isset(allowed.get(), cpu)) cpus.push_back(static_cast<int>(cpu));
      }
      hwloc_bitmap_foreach_end();
      if (!cpus.empty()) result.cores.push_back(std::move(cpus));
    }
    result.machine_cores = std::max(1, hwloc_get_nbobjs_by_type(topology.get(), type));
  }
  if (result.cores.empty()) {  // a system that hwloc does not know: the threads are left to it
    for (unsigned i = 0; i < std::max(1u, std::thread::hardware_concurrency()); ++i) result.cores.push_back({static_cast<int>(i)});
    result.machine_cores = static_cast<int>(result.cores.size());
  }
  return result;
}

ThreadPlan plan_threads(const CpuTopology& topology, int64_t wanted, std::string_view pin, const CoreSharing& sharing) {
  ThreadPlan plan;
  plan.threads = wanted > 0 ? static_cast<int>(wanted) : std::max(1, topology.usable() / sharing.ranks);
  const auto cores = static_cast<int>(topology.cores.size());
  if (pin == "off") return plan;
  if (pin == "auto" && (!sharing.alike || plan.threads * sharing.ranks != cores || topology.quota < cores)) return plan;

  const int begin = static_cast<int>(int64_t{cores} * sharing.index / sharing.ranks);
  const int end = static_cast<int>(int64_t{cores} * (sharing.index + 1) / sharing.ranks);
  bool more = true;
  for (size_t level = 0; more; ++level) {  // first one hardware thread of each core, then their siblings
    more = false;
    for (int core = begin; core < end; ++core) {
      if (level >= topology.cores[static_cast<size_t>(core)].size()) continue;
      plan.cpus.push_back(topology.cores[static_cast<size_t>(core)][level]);
      more = true;
    }
  }
  CHECK_USAGE(static_cast<int>(plan.cpus.size()) >= plan.threads,
              "run.pin_threads: on, but a rank's {} threads have a share of {} hardware threads (cores: {}, ranks: {}); set run.threads to "
              "0, start fewer ranks, or use run.pin_threads: auto",
              plan.threads, plan.cpus.size(), cores, sharing.ranks);
  plan.cpus.resize(static_cast<size_t>(plan.threads));
  return plan;
}

std::string oversubscription(const CpuTopology& topology, int64_t wanted, int threads, const CoreSharing& sharing,
                             const std::string& host) {
  const int cpus = topology.cpus();
  if (threads * sharing.ranks <= cpus) return "";
  const auto count = [](int n, const char* what) { return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s"); };
  std::string text = fmt::format("{} with {}{} on {} of {}: slower, the same result. ", count(sharing.ranks, "rank"),
                                 count(threads, "thread"), sharing.ranks > 1 ? " each" : "", count(cpus, "core"), host);
  text += wanted > 0 && sharing.ranks <= cpus ? fmt::format("Set run.threads to {}, or to 0", cpus / sharing.ranks)
                                              : fmt::format("Start at most {} there", count(cpus, "rank"));
  if (static_cast<int>(topology.cores.size()) < topology.machine_cores) {
    text += fmt::format("; the launcher or taskset allows {} of the host's {}: mpirun --bind-to none, or --map-by slot:PE=N, allows more",
                        topology.cores.size(), count(topology.machine_cores, "core"));
  } else if (topology.quota < static_cast<double>(topology.cores.size())) {
    text += fmt::format("; the container is allowed {:.1f} cores' worth of time", topology.quota);
  }
  return text;
}

}  // namespace cohort
