// cohort doctor: what this build and this machine offer.
#include <fmt/format.h>

#include <cstdlib>
#include <memory>
#include <set>
#include <span>

#include "cli/command.h"
#include "cli/doctor_gpus.h"
#include "cli/failure.h"
#include "comm/environment.h"
#include "core/check.h"
#include "core/cpu_topology.h"
#include "core/free_memory.h"
#include "core/text.h"
#include "reward/code/nursery.h"
#include "reward/code/pool.h"

namespace cohort {
namespace {

void print_machine() {
  const CpuTopology cpus = process_topology();
  fmt::print("{}processor fit for the kernels\n", version_text());  // else this program had not started
  fmt::print("cores     {} usable of {}\n", cpus.usable(), cpus.machine_cores);
  const std::optional<int64_t> memory = free_memory();
  fmt::print("memory    {}\n", memory ? human_bytes(static_cast<uint64_t>(*memory)) + " free" : "unknown");
  fmt::print("{}", gpu_lines());
}

// Whether all that is required is there.
bool print_sandbox() {
  const std::vector<Means> means = SandboxPool(*find_nursery(), 1).examine();
  bool fit = true;
  for (const Means& m : means) fit = fit && (m.present || !m.required);
  fmt::print("sandbox   {}\n{}",
             fit ? "works: the reward 'code' can be enabled" : "does not work: the reward 'code' is refused",
             means_table(means));
  return fit;
}

std::string environment_text(const Environment& environment) {
  std::string text;
  for (const Finding& f : findings(examine_environment(environment))) {
    text += fmt::format("{:<10}{}\n", f.name, f.value);
    if (!f.advice.empty()) text += fmt::format("{:<10}! {}\n", "", f.advice);
  }
  return text;
}

// Of rank 0's host, and of each further one.
void print_environment(Comm& comm) {
  const std::string host = comm.host(), mine = environment_text([](const char* name) { return std::getenv(name); });
  const auto hosts = comm.all_gather(std::as_bytes(std::span(host)), "hosts"), texts = comm.all_gather(std::as_bytes(std::span(mine)), "environments");
  if (comm.rank() != 0) return;
  const auto text = [](const std::vector<std::byte>& bytes) { return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()); };
  std::set<std::string> told;
  for (size_t rank = 0; rank < hosts.size(); ++rank) {
    if (!told.insert(text(hosts[rank])).second) continue;
    if (rank > 0) fmt::print("\n{}, rank {}\n", text(hosts[rank]), rank);
    fmt::print("{}", text(texts[rank]));
  }
}

int run(bool sandbox, Comm& comm) {
  if (comm.rank() == 0) print_machine();
  print_environment(comm);
  if (comm.rank() != 0) return 0;
  if (!sandbox) {
    fmt::print("sandbox   not tested; see --sandbox\n");
    return 0;
  }
  return static_cast<int>(print_sandbox() ? ExitCode::kOk : ExitCode::kUsage);
}

}  // namespace

Action add_doctor(App& app) {
  auto sandbox = std::make_shared<bool>(false);
  app.add_flag("--sandbox", *sandbox,
               "test what the reward 'code' needs to run programs safely; exit code 2 when something is missing");
  app.footer(
      "mpirun -n N cohort doctor: that ranks find each other, and what each host offers them. What the lines mean and how to get\n"
      "what is missing: docs/cluster.md, and docs/sandbox.md for the sandbox.");
  return [sandbox] { return run_on_ranks(StopRequests::end, [&](Comm& comm, LastSeen&) { return run(*sandbox, comm); }); };
}

}  // namespace cohort
