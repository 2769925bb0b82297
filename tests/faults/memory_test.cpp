// Memory that really ends: a limit of the address space, wherever a run is when it meets it.
#include "tests/faults/harness.h"

namespace cohort {
namespace {

Outcome train_within(int64_t kilobytes, const World& world, const std::vector<std::string>& keys, const Watch& watch = {}) {
  const std::string limit = kilobytes == 0 ? "" : "ulimit -v " + std::to_string(kilobytes) + "; ";
  std::vector<std::string> args = {"-c", limit + "exec \"$0\" \"$@\"", COHORT_BINARY, "train", world.config};
  args.insert(args.end(), keys.begin(), keys.end());
  return run_program("sh", args, "", watch);
}

// Kilobytes of address space that a run takes at most.
int64_t peak_of_a_run(const World& world, const std::vector<std::string>& keys) {
  int64_t peak = 0;
  train_within(0, world, keys, [&](pid_t child, const std::string&) {
    const std::string status = read_all("/proc/" + std::to_string(child) + "/status");
    if (const size_t at = status.find("VmPeak:"); at != std::string::npos) peak = std::max<int64_t>(peak, std::atoll(status.c_str() + at + 7));
    return false;
  });
  return peak;
}

// The least, to within a percent, that the program itself needs to start.
int64_t least_to_start(int64_t most) {
  int64_t too_little = 0;
  while (most - too_little > most / 100) {
    const int64_t middle = (most + too_little) / 2;
    const Outcome started = run_program("sh", {"-c", "ulimit -v " + std::to_string(middle) + "; exec \"$0\" version", COHORT_BINARY});
    (started.exit_code == 0 ? most : too_little) = middle;
  }
  return most;
}

// Between what the program needs to start and what a run takes, most of them near the former.
void squeeze(int limits) {
  const World world(4);
  const auto named = [&](const std::string& name) { return std::vector<std::string>{"run.threads=2", "--quiet", "run.name=" + name}; };
  const int64_t most = peak_of_a_run(world, named("peak")), least = least_to_start(most);
  ASSERT_GT(most, least);
  int ended = 0;
  for (int i = 0; i < limits; ++i) {
    const std::string name = "limit" + std::to_string(i);
    const int64_t kilobytes = least + (most - least) * i * i / (limits * limits);
    const Outcome outcome = train_within(kilobytes, world, named(name));
    if (outcome.exit_code == 0) continue;  // some of what it takes it can do without
    ++ended;
    EXPECT_EQ(outcome.exit_code, 6) << kilobytes << " of " << least << " to " << most << " KB: " << outcome.err;
    EXPECT_NE(outcome.err.find("cohort: error: "), std::string::npos) << kilobytes << " KB: " << outcome.err;
    const Outcome resumed = train_within(0, world, named(name));
    EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
    EXPECT_EQ(world.difference(name), "") << kilobytes << " KB";
  }
  EXPECT_GE(ended, 2) << "hardly any limit was met";
}

TEST(QuickMemory, RunningOutLosesNothing) { squeeze(8); }
TEST(Memory, RunningOutLosesNothing) { squeeze(60); }

}  // namespace
}  // namespace cohort
