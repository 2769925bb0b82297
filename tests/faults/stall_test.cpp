// train --stall-report: a rank that hangs tells where.
#include "tests/faults/harness.h"

namespace cohort {
namespace {

Struck stall(const World& world, const Fault& fault, std::vector<std::string> overrides) {
  overrides.push_back("--stall-report");
  return train_with_fault(world, "stall_" + fault.kind + fault.section, 2, fault, overrides);
}

// Its own watchdog, on its thread.
TEST(QuickStall, TheWatchdogTellsTheStackOfARankThatComputesForever) {
  const World world(4);
  const Struck loop = stall(world, {"loop", "update", 3, 1, ""}, with_deadlines(2));
  EXPECT_EQ(loop.outcome.exit_code, 4);
  const std::string& err = loop.outcome.err;
  const size_t report = err.find("cohort: stall report: rank 1 on " + host_name());
  ASSERT_NE(report, std::string::npos) << err;
  EXPECT_NE(err.find("cohort::TrainRun::update(", report), std::string::npos) << err;
  EXPECT_NE(err.find("    cohort::run_command_line(", report), std::string::npos) << err;
}

// The others give up first and end the job; then its supervisor asks it.
TEST(QuickStall, OthersThatGiveUpMakeItTell) {
  const World world(4);
  const Struck loop = stall(world, {"loop", "update", 3, 1, ""}, {"comm.timeout_s=2"});
  EXPECT_EQ(loop.outcome.exit_code, 4);
  const std::string& err = loop.outcome.err;
  EXPECT_NE(err.find("did not arrive: rank 1"), std::string::npos) << err;
  const size_t report = err.find("cohort: stall report: rank 1 on " + host_name());
  ASSERT_NE(report, std::string::npos) << err;
  EXPECT_NE(err.find("cohort::TrainRun::update(", report), std::string::npos) << err;
}

TEST(QuickStall, ARankThatIsStoppedIsSaidToBe) {
  const World world(4);
  const Struck stopped = stall(world, {"stop", "rollout", 3, 1, ""}, with_deadlines(3));  // others wait for three of them
  EXPECT_EQ(stopped.outcome.exit_code, 4);
  EXPECT_NE(stopped.outcome.err.find("does not answer"), std::string::npos) << stopped.outcome.err;
}

}  // namespace
}  // namespace cohort
