// cohort doctor: what this build and this machine offer.
#include <fmt/format.h>

#include <memory>

#include "cli/command.h"
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

int run(bool sandbox) {
  start_nursery();
  print_machine();
  if (!sandbox) {
    fmt::print("sandbox   not tested; see --sandbox\n");
    return 0;
  }
  return static_cast<int>(print_sandbox() ? ExitCode::kOk : ExitCode::kUsage);
}

}  // namespace

Action add_doctor(CLI::App& app) {
  auto sandbox = std::make_shared<bool>(false);
  app.add_flag("--sandbox", *sandbox,
               "test what the reward 'code' needs to run programs safely; exit code 2 when something is missing");
  app.footer("What the lines mean and how to get what is missing: docs/sandbox.md.");
  return [sandbox] { return run(*sandbox); };
}

}  // namespace cohort
