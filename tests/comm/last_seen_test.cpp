#include "comm/last_seen.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace cohort {
namespace {

TEST(LastSeen, TellsSectionStepAndCollective) {
  LastSeen seen;
  EXPECT_EQ(seen.where(), "its start");
  seen.enter_collective("barrier(a)", LastSeen::Clock::now());
  EXPECT_EQ(seen.where(), "its start, in barrier(a)");
  seen.leave_collective();
  seen.enter("rollout", 41, LastSeen::Clock::time_point::max());
  EXPECT_EQ(seen.where(), "section rollout of step 41");
  seen.leave();
  EXPECT_EQ(seen.where(), "section rollout of step 41");
  EXPECT_EQ(seen.exit_code(), -1);
}

TEST(LastSeen, WhoWaitsForOthersIsDueWithTheCollective) {
  LastSeen seen;
  const auto now = LastSeen::Clock::now();
  using std::chrono::seconds;
  EXPECT_EQ(seen.due(), LastSeen::Clock::time_point::max());
  seen.enter("checkpoint", 3, now + seconds(5));
  EXPECT_EQ(seen.due(), now + seconds(5));
  seen.enter_collective("barrier(a)", now + seconds(9));
  EXPECT_EQ(seen.due(), now + seconds(9));
  seen.enter_collective("barrier(b)", now + seconds(4));
  EXPECT_EQ(seen.due(), now + seconds(5));
  seen.leave_collective();
  EXPECT_EQ(seen.due(), now + seconds(5));
  seen.enter_collective("barrier(c)", now + seconds(9));
  seen.leave();  // no section, no deadline
  EXPECT_EQ(seen.due(), LastSeen::Clock::time_point::max());
}

TEST(LastSeen, CutsLongNames) {
  LastSeen seen;
  seen.enter(std::string(100, 'x'), 1, LastSeen::Clock::time_point::max());
  EXPECT_EQ(seen.section(), std::string(47, 'x'));
  seen.enter("short", 1, LastSeen::Clock::time_point::max());
  EXPECT_EQ(seen.section(), "short");
}

TEST(LastSeen, OutlivesTheProcessThatWrote) {
  LastSeen& seen = make_shared_last_seen();
  const pid_t child = fork();
  if (child == 0) {
    seen.enter("update", 5, LastSeen::Clock::time_point::max());
    seen.enter_collective("all_to_all(gradients)", LastSeen::Clock::now());
    seen.end(7);
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(seen.where(), "section update of step 5, in all_to_all(gradients)");
  EXPECT_EQ(seen.exit_code(), 7);
}

}  // namespace
}  // namespace cohort
