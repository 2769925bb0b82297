// A run that is killed at any call that changes a file, from a checkpoint on to its end: the next one finds the old checkpoint or
// the new one, never a mixture.
#include <csignal>

#include "tests/faults/harness.h"

namespace cohort {
namespace {

// Kills one run after the other at calls first, first + by, ... until the run has no more calls.
int kill_at_calls(int first, int by) {
  const World world(4);
  int call = first;
  for (;; call += by) {
    const std::string name = "call" + std::to_string(call);
    // One that is kept: of each checkpoint an older one is removed as well.
    const std::vector<std::string> overrides = {"trainer.save_total_limit=1", "--quiet"};
    const Struck struck = train_with_fault(world, name, 1, {"kill", "calls", 3, 0, std::to_string(call)}, overrides);
    if (!struck.seconds) {  // that was all of them
      EXPECT_EQ(struck.outcome.exit_code, 0) << struck.outcome.err;
      break;
    }
    EXPECT_EQ(struck.outcome.exit_code, -1);
    const Outcome resumed = train(COHORT_BINARY, 1, world.config, {"run.name=" + name, "trainer.save_total_limit=1"});
    EXPECT_EQ(resumed.exit_code, 0) << call << resumed.err;
    EXPECT_NE(resumed.err.find("resuming from"), std::string::npos) << call << resumed.err;
    EXPECT_EQ(world.difference(name), "") << call;
    int complete = 0;
    for (const auto& entry : std::filesystem::directory_iterator(world.run(name) + "/checkpoints"))
      complete += std::filesystem::exists(entry.path() / "manifest.json");
    // Two: killed when the new one was complete and the old one not yet removed; the next save would remove it.
    EXPECT_TRUE(complete == 1 || complete == 2) << call;
  }
  return call - first;
}

// 8 shards of two checkpoints, manifests, renames, removals, metrics, completions, the final model.
TEST(QuickCalls, AKillAtSomeOfThemLosesNothing) { EXPECT_GE(kill_at_calls(3, 11), 60); }
TEST(Calls, AKillAtAnyOfThemLosesNothing) { EXPECT_GE(kill_at_calls(1, 1), 60); }

}  // namespace
}  // namespace cohort
