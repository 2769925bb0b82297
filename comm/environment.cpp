#include "comm/environment.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <mpi.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "core/text.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

std::string first_line(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

std::string text_of(const Environment& environment, const char* name) {
  const char* text = environment(name);
  return text == nullptr ? "" : text;
}

std::string launcher(const Environment& environment) {
  const std::string size = text_of(environment, "OMPI_COMM_WORLD_SIZE"), tasks = text_of(environment, "SLURM_STEP_NUM_TASKS");
  const auto rank = launched_rank(environment);
  const char* where = launched_on_one_host(environment) ? ", all on this host" : ", on several hosts";
  if (!size.empty()) return fmt::format("mpirun: rank {} of {}{}", rank.value_or(0), size, where);
  if (rank && !tasks.empty()) return fmt::format("srun: rank {} of {}{}", *rank, tasks, where);
  if (rank) return fmt::format("PMI: rank {}", *rank);
  return text_of(environment, "SLURM_JOB_ID").empty() ? "none" : "none, within a job of SLURM (srun --mpi=pmix and mpirun start ranks)";
}

std::string pmix_version(const Environment& environment) {
  if (void* const library = dlopen("libpmix.so.2", RTLD_LAZY | RTLD_LOCAL)) {
    const auto version = reinterpret_cast<const char* (*)()>(dlsym(library, "PMIx_Get_version"));
    const std::string text = version == nullptr ? "" : version();
    dlclose(library);
    if (!text.empty()) return text.substr(0, std::min(text.find(','), text.find(" (")));
  }
  const std::string told = text_of(environment, "PMIX_VERSION");
  return told.empty() ? "" : "PMIx " + told;
}

std::optional<int64_t> limit(__rlimit_resource resource) {
  rlimit found{};
  if (getrlimit(resource, &found) != 0 || found.rlim_cur == RLIM_INFINITY) return std::nullopt;
  return static_cast<int64_t>(found.rlim_cur);
}

double look_at_clock_ns() {
  using Clock = std::chrono::steady_clock;
  constexpr int kLooks = 2000;
  const Clock::time_point start = Clock::now();
  Clock::time_point last = start;
  for (int i = 0; i < kLooks; ++i) last = Clock::now();
  return std::chrono::duration<double, std::nano>(last - start).count() / kLooks;
}

std::string human(int64_t bytes) { return human_bytes(static_cast<uint64_t>(std::max<int64_t>(0, bytes))); }

Finding network(const CommEnvironment& e) {
  std::vector<std::string> texts;
  int outward = 0;
  for (const NetworkInterface& i : e.interfaces) {
    texts.push_back(fmt::format("{} {}{}", i.name, i.address, i.megabits ? fmt::format(" ({:.4g} Gb/s)", static_cast<double>(*i.megabits) / 1000) : ""));
    outward += i.loopback ? 0 : 1;
  }
  Finding found{"network", texts.empty() ? "no interface is up" : fmt::format("{}", fmt::join(texts, ", ")), ""};
  if (!e.networks.empty()) found.value += fmt::format("; OMPI_MCA_btl_tcp_if_include={}", e.networks);
  if (outward == 0) found.advice = "only ranks on this host can reach each other";
  if (outward > 1 && e.networks.empty())
    found.advice = "between hosts Open MPI uses all of them; where one leads nowhere, name the right one: OMPI_MCA_btl_tcp_if_include=NAME";
  return found;
}

}  // namespace

std::string mpi_version() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = {};
  int length = 0;
  if (MPI_Get_library_version(text, &length) != MPI_SUCCESS) return "unknown";
  const std::string whole(text, static_cast<size_t>(length));
  return whole.substr(0, whole.find_first_of(",\n"));
}

bool may_read_processes() {
  char from = 1, to = 0;
  const iovec local{&to, 1}, remote{&from, 1};
  return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == 1;
}

CommEnvironment examine_environment(const Environment& environment) {
  CommEnvironment e{.launcher = launcher(environment),
                    .mpi = mpi_version(),
                    .pmix = pmix_version(environment),
                    .pmix_storage = text_of(environment, "PMIX_MCA_gds"),
                    .interfaces = network_interfaces(),
                    .networks = text_of(environment, "OMPI_MCA_btl_tcp_if_include"),
                    .open_files = limit(RLIMIT_NOFILE),
                    .locked_memory = limit(RLIMIT_MEMLOCK),
                    .reads_processes = may_read_processes(),
                    .clock = first_line("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
                    .clock_ns = look_at_clock_ns(),
                    .ranks = std::max(1, std::atoi(text_of(environment, "OMPI_COMM_WORLD_LOCAL_SIZE").c_str())),
                    .started_by_mpirun = environment("OMPI_COMM_WORLD_SIZE") != nullptr};
  std::error_code none;
  for (const auto& device : fs::directory_iterator("/sys/class/infiniband", none)) e.rdma.push_back(device.path().filename().string());
  struct statvfs shared{};
  if (statvfs("/dev/shm", &shared) == 0) {
    e.shared_memory = static_cast<int64_t>(shared.f_blocks * shared.f_frsize);
    e.shared_memory_free = static_cast<int64_t>(shared.f_bavail * shared.f_frsize);
  }
  timex state{};
  e.clock_synchronised = adjtimex(&state) >= 0 && (state.status & STA_UNSYNC) == 0;
  return e;
}

std::vector<Finding> findings(const CommEnvironment& e) {
  std::vector<Finding> all;
  all.push_back({"launcher", e.launcher, ""});
  all.push_back({"MPI", e.mpi, ""});
  all.push_back({"PMIx", e.pmix.empty() ? "no library found" : e.pmix, e.pmix.empty() ? "srun --mpi=pmix needs it: install libpmix2" : ""});
  if (e.started_by_mpirun && e.pmix_storage != "hash")
    all.back().advice = "mpirun may wait without end for a rank that is killed while it starts: export PMIX_MCA_gds=hash (docs/cluster.md)";
  all.push_back(network(e));
  const bool locked = !e.rdma.empty() && e.locked_memory;
  all.push_back({"RDMA", e.rdma.empty() ? "none" : fmt::format("{}", fmt::join(e.rdma, ", ")), ""});
  all.push_back({"memlock", e.locked_memory ? human(*e.locked_memory) : "unlimited",
                 locked ? "RDMA needs memory that is locked: ulimit -l unlimited (for SLURM's jobs: PropagateResourceLimitsExcept=MEMLOCK)" : ""});
  const int64_t files = 256 + 8 * e.ranks;
  all.push_back({"files", e.open_files ? std::to_string(*e.open_files) : "unlimited",
                 e.open_files && *e.open_files < files ? fmt::format("a rank may need {}: ulimit -n {}", files, std::max<int64_t>(files, 4096)) : ""});
  const int64_t segments = std::max<int64_t>(64, 16 * e.ranks) << 20;  // Open MPI's and PMIx's files, with room to spare
  Finding shared{"/dev/shm", "none", fmt::format("ranks on one host need {} there: mount a tmpfs", human(segments))};
  if (e.shared_memory)
    shared = {"/dev/shm", fmt::format("{} free of {}", human(*e.shared_memory_free), human(*e.shared_memory)),
              *e.shared_memory_free < segments
                  ? fmt::format("{} of this host need {}: remove what was left there, or give a container more (docker run --shm-size=1g)",
                                e.ranks == 1 ? "ranks" : fmt::format("{} ranks", e.ranks), human(segments))
                  : ""};
  all.push_back(shared);
  all.push_back({"copies", e.reads_processes ? "once, from one rank's memory into another's" : "twice, through shared memory",
                 e.reads_processes ? "" : "this container forbids process_vm_readv (docker run --cap-add=SYS_PTRACE allows it)"});
  all.push_back({"clock", fmt::format("{}, {:.0f} ns a look, {}", e.clock.empty() ? "unknown" : e.clock, e.clock_ns, e.clock_synchronised ? "synchronised" : "not synchronised"), ""});
  if (e.clock_ns > 500) all.back().advice = "a slow clock source costs time in every exchange: use tsc where the kernel offers it";
  if (!e.clock_synchronised) all.back().advice += std::string(all.back().advice.empty() ? "" : "; ") + "times of several hosts' logs may not fit (deadlines do not depend on it)";
  return all;
}

}  // namespace cohort
