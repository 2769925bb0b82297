// Evaluations have deadlines, too.
#include "tests/faults/harness.h"

namespace cohort {
namespace {

Outcome evaluate_with(const std::string& fault, int ranks, const World& world) {
  setenv("COHORT_FAULT", fault.c_str(), 1);
  std::vector<std::string> keys = with_deadlines(1);
  keys.insert(keys.end(), {"--model", world.run("whole") + "/final"});
  const Outcome outcome = run_ranks(COHORT_WITH_FAULTS, ranks, "eval", world.config, keys, not_longer_than(std::chrono::seconds(60)));
  unsetenv("COHORT_FAULT");
  return outcome;
}

TEST(QuickEval, ARankThatHangsIsNamedAndEndsAll) {
  const World world(1);
  const std::string who = "rank 1 on " + host_name();
  for (const char* section : {"load", "evaluation"}) {
    const Outcome loop = evaluate_with(std::string("loop ") + section + " 0 1 -", 2, world);
    EXPECT_EQ(loop.exit_code, 4) << loop.err;
    EXPECT_NE(loop.err.find(who + " (last seen in "), std::string::npos) << loop.err;
    const Outcome stopped = evaluate_with(std::string("stop ") + section + " 0 1 -", 2, world);
    EXPECT_EQ(stopped.exit_code, 4) << stopped.err;
    EXPECT_NE(stopped.err.find(who), std::string::npos) << stopped.err;
  }
  const Outcome alone = evaluate_with("loop evaluation 0 0 -", 1, world);
  EXPECT_EQ(alone.exit_code, 4) << alone.err;
  EXPECT_NE(alone.err.find("section evaluation exceeded"), std::string::npos) << alone.err;
}

TEST(QuickEval, ARankThatDiesIsNamedWithItsSection) {
  const World world(1);
  const Outcome killed = evaluate_with("kill evaluation 0 1 -", 3, world);
  EXPECT_EQ(killed.exit_code, 4) << killed.err;
  EXPECT_NE(killed.err.find("rank 1 on " + host_name() + ": killed by signal 9 (Killed)"), std::string::npos) << killed.err;
  EXPECT_NE(killed.err.find("in section evaluation of step 0"), std::string::npos) << killed.err;
}

}  // namespace
}  // namespace cohort
