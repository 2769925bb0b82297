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

// Ranks that are being started: one process never becomes one, or stands still before MPI_Init is over.
struct Start {
  TemporaryFolder folder;
  std::string config = write_all(folder / "config.yaml", faults_config(folder / "runs", 1));
  std::vector<std::string> overrides = {"comm.load_timeout_s=3", "--quiet"};

  // The signal comes as soon as a rank exists, which is long before MPI_Init is over.
  Outcome stop_one(bool supervisor) const {
    bool sent = false;
    const Watch stop = signal_after(0, SIGSTOP, 3, 1, supervisor, sent);
    const Outcome outcome = train(COHORT_BINARY, 3, config, overrides, [&, guard = not_longer_than(std::chrono::seconds(60))](pid_t child, const std::string& err) {
      const std::vector<pid_t> supervisors = children_of(child);
      if (supervisors.size() == 3 && !children_of(supervisors[1]).empty()) stop(child, err);
      return guard(child, err);
    });
    EXPECT_TRUE(sent);
    return outcome;
  }
};

TEST(QuickStall, RanksThatWaitInMpiInitForOneThatNeverComesAllSaySo) {
  const Start start;
  const std::string wrapper = write_all(start.folder / "wrapper.sh", "#!/bin/sh\n[ \"$OMPI_COMM_WORLD_RANK\" = 1 ] && exec sleep 60\nexec " COHORT_BINARY " \"$@\"\n");
  std::filesystem::permissions(wrapper, std::filesystem::perms::owner_all);
  const Outcome outcome = run_ranks(wrapper, 3, "train", start.config, start.overrides, not_longer_than(std::chrono::seconds(15)));
  EXPECT_EQ(outcome.exit_code, 4) << outcome.err;
  const auto waits = [&](int rank) {
    return outcome.err.find("cohort: error: rank " + std::to_string(rank) + " on " + host_name() + ": waits in MPI_Init of 3 ranks since its start ") != std::string::npos;
  };
  EXPECT_TRUE(waits(0) && waits(2) && !waits(1)) << outcome.err;
}

TEST(QuickStall, ARankThatIsStoppedInItsStartIsSaidToBe) {
  const Outcome outcome = Start().stop_one(false);
  EXPECT_EQ(outcome.exit_code, 4) << outcome.err;
  EXPECT_NE(outcome.err.find("its start"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("it is stopped (SIGSTOP)"), std::string::npos) << outcome.err;
}

// Its rank goes on, and mpirun waits for the supervisor.
TEST(QuickStall, ASupervisorThatIsStoppedDoesNotOutlastItsRank) {
  const Outcome outcome = Start().stop_one(true);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("was stopped (SIGSTOP), and is continued"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace cohort
