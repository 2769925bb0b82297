// What a supervisor makes of each end of its rank. EXPECT_EXIT's child becomes the supervisor, and its child the rank.
#include "comm/supervisor.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>

namespace cohort {
namespace {

using namespace std::chrono_literals;
using testing::ExitedWithCode;

void rank(const std::function<void(LastSeen&)>& body, StopRequests requests = StopRequests::handed_on) {
  LastSeen& seen = make_shared_last_seen();
  start_supervised("rank 3 on node07", seen, requests);
  seen.enter("update", 41, LastSeen::Clock::now() + 1h);
  body(seen);
  _exit(0);
}

TEST(SupervisorDeathTest, PassesOnTheCodeThatTheRankGave) {
  for (const int code : {0, 3, 75}) {
    EXPECT_EXIT(rank([&](LastSeen& seen) {
                  seen.end(code);
                  _exit(code);
                }),
                ExitedWithCode(code), "^$");
  }
}

TEST(SupervisorDeathTest, ASignalIsCodeFourWithRankSectionAndStep) {
  EXPECT_EXIT(rank([](LastSeen&) { raise(SIGKILL); }), ExitedWithCode(4),
              "cohort: error: rank 3 on node07: killed by signal 9 \\(Killed\\) from outside, or by the kernel for want of memory, in "
              "section update of step 41\n");
  EXPECT_EXIT(rank([](LastSeen& seen) {
                seen.enter_collective("all_gather(weights)", LastSeen::Clock::now() + 1h);
                raise(SIGBUS);
              }),
              ExitedWithCode(4), "killed by signal 7 \\(Bus error\\) in section update of step 41, in all_gather\\(weights\\)\n");
}

TEST(SupervisorDeathTest, AnExitThatTheRankDidNotMeanIsAFailure) {
  for (const int code : {0, 9})
    EXPECT_EXIT(rank([&](LastSeen&) { _exit(code); }), ExitedWithCode(4),
                "rank 3 on node07: ended with exit code ., before its work was done, in section update of step 41\n");
}

TEST(SupervisorDeathTest, AKillAfterTheRankHasSaidWhyKeepsItsCode) {
  EXPECT_EXIT(rank([](LastSeen& seen) {
                seen.end(5);
                raise(SIGKILL);
              }),
              ExitedWithCode(5), "^$");
}

TEST(SupervisorDeathTest, AStoppedRankIsEndedSoonAfterItsDeadline) {
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EXIT(rank([](LastSeen& seen) {
                seen.enter("rollout", 7, LastSeen::Clock::now() + 100ms);
                raise(SIGSTOP);
              }),
              ExitedWithCode(4), "rank 3 on node07: section rollout of step 7 went on past its deadline; it is stopped \\(SIGSTOP\\)\n");
  EXPECT_GE(std::chrono::steady_clock::now() - start, 1s) << "the rank's own watchdog was not given its time";
}

// It may have been stopped where it lawfully waits for another.
TEST(SupervisorDeathTest, ARankThatWaitsForOthersHasTheDeadlineOfTheirMeeting) {
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EXIT(rank([](LastSeen& seen) {
                seen.enter("checkpoint", 7, LastSeen::Clock::now() + 100ms);
                seen.enter_collective("barrier(checkpoint folder)", LastSeen::Clock::now() + 1500ms);
                raise(SIGSTOP);
              }),
              ExitedWithCode(4), "section checkpoint of step 7, in barrier\\(checkpoint folder\\) went on past its deadline; it is stopped");
  EXPECT_GE(std::chrono::steady_clock::now() - start, 1500ms + 2500ms);
}

TEST(SupervisorDeathTest, AStartHasADeadlineFromBeforeThereIsARank) {
  const auto start = [](const std::function<void(LastSeen&)>& body) {
    LastSeen& seen = make_shared_last_seen();
    const auto deadline = LastSeen::Clock::now() + 100ms;
    seen.enter("", 0, deadline);
    start_supervised("rank 3 on node07", seen, StopRequests::end);
    body(seen);
    pause();
  };
  EXPECT_EXIT(start([](LastSeen& seen) { seen.enter_collective("MPI_Init of 4 ranks", seen.deadline()); }), ExitedWithCode(4),
              "rank 3 on node07: waits in MPI_Init of 4 ranks since its start [23]\\.[0-9] s ago: not all have come \\(comm.load_timeout_s\\)");
  EXPECT_EXIT(start([](LastSeen&) {}), ExitedWithCode(4), "rank 3 on node07: its start went on past its deadline; its watchdog says nothing");
  EXPECT_EXIT(start([](LastSeen& seen) {
                seen.enter_collective("MPI_Init of 4 ranks", seen.deadline());
                raise(SIGSTOP);
              }),
              ExitedWithCode(4), "rank 3 on node07: its start, in MPI_Init of 4 ranks went on past its deadline; it is stopped");
}

// The function that a stack is to show.
volatile std::sig_atomic_t rounds = 0;
[[gnu::noinline]] void go_round(LastSeen&) {
  while (true) rounds = rounds + 1;
}

TEST(SupervisorDeathTest, AStallReportHasTheStackOfARankThatComputesForever) {
  EXPECT_EXIT(rank([](LastSeen& seen) {
                seen.report_stalls(true);
                seen.enter("update", 7, LastSeen::Clock::now() + 100ms);
                go_round(seen);
              }),
              ExitedWithCode(4),
              "stall report: rank 3 on node07, process [0-9]+ in section update of step 7\n.*state R.*main.*"
              "error: rank 3 on node07: section update of step 7 went on past its deadline");
}

// Whoever ends the job may do so because this rank does not come.
TEST(SupervisorDeathTest, ARankThatComputesTellsItsStackWhenItIsEnded) {
  EXPECT_EXIT(rank([](LastSeen& seen) {
                seen.report_stalls(true);
                struct sigaction action = {};
                action.sa_handler = [](int) { _exit(9); };
                sigaction(SIGUSR1, &action, nullptr);
                kill(getppid(), SIGTERM);
                go_round(seen);
              }),
              ExitedWithCode(4), "stall report: rank 3.*main.*ended with exit code 9");
  EXPECT_EXIT(rank([](LastSeen& seen) {
                seen.report_stalls(true);
                seen.enter_collective("barrier(x)", LastSeen::Clock::now() + 1h);
                struct sigaction action = {};
                action.sa_handler = [](int) { _exit(9); };
                sigaction(SIGUSR1, &action, nullptr);
                kill(getppid(), SIGTERM);
                go_round(seen);
              }),
              ExitedWithCode(4), "^cohort: error: rank 3") << "it waits for others";
}

TEST(SupervisorDeathTest, TheSecondUserSignalTellsWhereTheRankIs) {
  for (const StopRequests requests : {StopRequests::handed_on, StopRequests::end})
    EXPECT_EXIT(rank(
                    [](LastSeen& seen) {
                      kill(getppid(), SIGUSR2);
                      const auto end = LastSeen::Clock::now() + 1s;
                      while (LastSeen::Clock::now() < end) rounds = rounds + 1;
                      seen.end(0);
                      _exit(0);
                    },
                    requests),
                ExitedWithCode(0), "stall report: rank 3 on node07, process [0-9]+ in section update of step 41\n.*main");
}

// The rank waits until it has been asked, and says so with its exit code.
volatile std::sig_atomic_t asked = 0;
void wait_until_asked(LastSeen& seen, int times) {
  struct sigaction action = {};
  action.sa_handler = [](int) { asked = asked + 1; };
  sigaction(SIGUSR1, &action, nullptr);
  kill(getppid(), times == 1 ? SIGUSR1 : SIGTERM);
  while (asked == 0) usleep(1000);
  if (times == 2) {
    kill(getppid(), SIGTERM);
    while (true) pause();
  }
  seen.end(75);
  _exit(75);
}

TEST(SupervisorDeathTest, RequestsToStopAreHandedOn) {
  EXPECT_EXIT(rank([](LastSeen& seen) { wait_until_asked(seen, 1); }), ExitedWithCode(75), "^$");
}

TEST(SupervisorDeathTest, TheSecondTerminationEnds) {
  EXPECT_EXIT(rank([](LastSeen& seen) { wait_until_asked(seen, 2); }), testing::KilledBySignal(SIGTERM), "^$");
}

TEST(SupervisorDeathTest, RequestsThatNobodyAnswersEnd) {
  EXPECT_EXIT(rank(
                  [](LastSeen&) {
                    kill(getppid(), SIGUSR1);
                    while (true) pause();
                  },
                  StopRequests::end),
              testing::KilledBySignal(SIGUSR1), "^$");
}

// A pipe whose other end the rank holds: it closes when the rank is gone.
TEST(Supervisor, ARankDiesWithItsSupervisor) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t supervisor = fork();
  if (supervisor == 0) {
    close(ends[0]);
    rank([&](LastSeen&) {
      if (write(ends[1], "r", 1) != 1) _exit(1);
      while (true) pause();
    });
  }
  close(ends[1]);
  char byte;
  ASSERT_EQ(read(ends[0], &byte, 1), 1);
  kill(supervisor, SIGKILL);
  EXPECT_EQ(read(ends[0], &byte, 1), 0);
  close(ends[0]);
  waitpid(supervisor, nullptr, 0);
}

}  // namespace
}  // namespace cohort
