// Work stealing: a rank that waits for another's work is not the one that is blamed, and the bits are those of the static deal.
#include "tests/faults/harness.h"

namespace cohort {
namespace {

constexpr int kSteps = 4;

std::vector<std::string> stealing(const std::string& name, std::vector<std::string> more = {}) {
  more.insert(more.end(), {"run.name=" + name, "rollout.load_balancing=work_stealing", "rollout.max_num_seqs=1"});
  return more;
}

TEST(QuickStealing, WhoHangsOrDiesWhileOthersWaitForItsWorkIsNamed) {
  const World world(kSteps);
  const std::string host = host_name();
  for (const auto& [kind, words] : {std::pair<std::string, std::string>{"loop", "rank 1 on " + host + ": section rollout exceeded 5 s at step 3"},
                                    {"stop", "rank 1 on " + host + ": section rollout of step 3 went on past its deadline; it is stopped (SIGSTOP)"},
                                    {"kill", "rank 1 on " + host + ": killed by signal 9 (Killed)"}}) {
    const std::string name = "steal_" + kind;
    const Struck struck = train_with_fault(world, name, 3, {kind, "rollout", 3, 1, ""}, stealing(name, with_deadlines(kDeadline)));
    const std::string& err = struck.outcome.err;
    ASSERT_TRUE(struck.seconds) << err;
    EXPECT_EQ(struck.outcome.exit_code, 4) << err;
    EXPECT_LE(*struck.seconds, kDeadline + 5) << err;
    EXPECT_NE(err.find(words), std::string::npos) << words << "\nis not in\n" << err;
    for (const char* other : {"rank 0 on ", "rank 2 on "}) EXPECT_EQ(err.find(other + host + ": section"), std::string::npos) << err;
    const Outcome resumed = train(COHORT_BINARY, 2, world.config, stealing(name, {"--quiet"}));
    EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
    EXPECT_EQ(world.difference(name), "") << err;
  }
}

}  // namespace
}  // namespace cohort
