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

// Between what the program needs to start and what a run takes.
void squeeze(int limits) {
  const World world(4);
  const std::vector<std::string> common = {"run.threads=2", "--quiet"};
  const auto named = [&](const std::string& name) {
    std::vector<std::string> keys = common;
    keys.push_back("run.name=" + name);
    return keys;
  };
  const int64_t most = peak_of_a_run(world, named("peak"));
  ASSERT_GT(most, 0);
  int ended = 0;
  for (int i = 0; i < limits; ++i) {
    const std::string name = "limit" + std::to_string(i);
    const int64_t kilobytes = most / 2 + most / 2 * i / limits;
    const Outcome outcome = train_within(kilobytes, world, named(name));
    if (outcome.exit_code == 0) continue;  // what it takes varies a little, and caches are cut to what there is
    ++ended;
    EXPECT_EQ(outcome.exit_code, 6) << kilobytes << " of " << most << " KB: " << outcome.err;
    EXPECT_NE(outcome.err.find("cohort: error: "), std::string::npos) << kilobytes << " KB: " << outcome.err;
    const Outcome resumed = train_within(0, world, named(name));
    EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
    EXPECT_EQ(world.difference(name), "") << kilobytes << " KB";
  }
  EXPECT_GT(ended, limits / 4) << "hardly any limit was met";
}

TEST(QuickMemory, RunningOutLosesNothing) { squeeze(6); }
TEST(Memory, RunningOutLosesNothing) { squeeze(60); }

}  // namespace
}  // namespace cohort
