// A rank whose disk is slower than ranks usually wait for each other: it has comm.checkpoint_timeout_s, and so have those that wait.
#include "tests/faults/harness.h"

namespace cohort {
namespace {

constexpr int kSteps = 4;

TEST(QuickSlow, ADiskThatIsSlowerThanOthersUsuallyWaitEndsNothing) {
  const World world(kSteps);
  // The commit that the next checkpoint waits for, and that of the run's end; a rank like others, and the one that commits.
  for (const auto& [step, rank] : {std::pair(kSteps - 1, 1), {kSteps, 1}, {kSteps, 0}}) {
    const std::string name = "slow" + std::to_string(step) + "_" + std::to_string(rank);
    const Struck slow = train_with_fault(world, name, 2, {"slow", "checkpoint", step, rank, "4000"}, {"comm.timeout_s=1", "--quiet"});
    EXPECT_EQ(slow.outcome.exit_code, 0) << slow.outcome.err;
    EXPECT_GE(slow.seconds.value_or(0), 4) << "nothing was slow";
    EXPECT_EQ(world.difference(name), "");
  }
}

TEST(QuickSlow, ADiskThatIsSlowerThanItsOwnDeadlineEndsAll) {
  const World world(kSteps);
  const Struck slow = train_with_fault(world, "late", 2, {"slow", "checkpoint", kSteps, 1, "60000"},
                                       {"comm.timeout_s=1", "comm.checkpoint_timeout_s=2"});
  EXPECT_EQ(slow.outcome.exit_code, 4) << slow.outcome.err;
  EXPECT_LE(slow.seconds.value_or(60), 2 + 5);
  const std::string culprit = "rank 1 on " + host_name() + ": section checkpoint exceeded 2 s at step 4";
  EXPECT_NE(slow.outcome.err.find(culprit), std::string::npos) << slow.outcome.err;
  EXPECT_EQ(train(COHORT_BINARY, 3, world.config, {"run.name=late", "--quiet"}).exit_code, 0);
  EXPECT_EQ(world.difference("late"), "");
}

}  // namespace
}  // namespace cohort
