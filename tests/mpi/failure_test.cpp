// Ranks that fail, hang, leave or are signalled: every job ends, soon, with the right exit code and
// words.
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "core/check.h"

namespace cohort {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

struct Outcome {
  int exit_code = -1;  // 128 + N: ended by signal N
  double seconds = 0;
  std::string output;  // standard output and error of all ranks

  int count(const std::string& text) const {
    int found = 0;
    for (size_t at = output.find(text); at != std::string::npos; at = output.find(text, at + 1))
      ++found;
    return found;
  }
};

// Runs the command; `seen` is called with what it printed so far and its process id. Kills it after
// a minute.
Outcome run(std::vector<std::string> command,
            const std::function<void(const std::string&, pid_t)>& seen = {}) {
  int ends[2];
  CHECK(pipe(ends) == 0, "no pipe");
  const Clock::time_point start = Clock::now();
  const pid_t child = fork();
  CHECK(child >= 0, "no process");
  if (child == 0) {
    setpgid(0, 0);
    dup2(ends[1], STDOUT_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    std::vector<char*> arguments;
    for (std::string& word : command) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  close(ends[1]);
  Outcome outcome;
  char buffer[4096];
  pollfd readable{ends[0], POLLIN, 0};
  while (true) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(start + 60s - Clock::now());
    if (left.count() <= 0 || poll(&readable, 1, static_cast<int>(left.count())) == 0) {
      kill(-child, SIGKILL);
      outcome.output += "[killed by the test]";
      break;
    }
    const ssize_t got = read(ends[0], buffer, sizeof buffer);
    if (got <= 0) break;
    outcome.output.append(buffer, static_cast<size_t>(got));
    if (seen) seen(outcome.output, child);
  }
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  outcome.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

std::vector<std::string> mpirun(int ranks, const std::string& scenario) {
  return {MPIRUN,
          "--oversubscribe",
          "--allow-run-as-root",
          "--bind-to",
          "none",
          "-n",
          std::to_string(ranks),
          SCENARIO,
          scenario};
}

Outcome run_ranks(int ranks, const std::string& scenario) { return run(mpirun(ranks, scenario)); }

std::string host() {
  char name[256] = {};
  gethostname(name, sizeof name - 1);
  return name;
}

// Far above what is measured (about a second), far below the deadline of ten minutes that the ranks
// wait with.
constexpr double kSoon = 20;

TEST(MpiFailure, ACleanJobSucceeds) {
  const Outcome outcome = run_ranks(3, "clean");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_EQ(outcome.count(" of 3\n"), 3) << outcome.output;
  EXPECT_EQ(outcome.output.size(), 3 * std::string("0 of 3\n").size())
      << "MPI has something to say: " << outcome.output;
}

TEST(MpiFailure, OneProcessDoesNotTouchMpi) {
  for (const auto& command : {std::vector<std::string>{SCENARIO, "clean"}, mpirun(1, "clean")}) {
    const Outcome outcome = run(command);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.output;  // 90: MPI was initialised
    EXPECT_EQ(outcome.output, "0 of 1\n");
  }
}

TEST(MpiFailure, AContainerThatForbidsReadingProcessesIsServedWithoutComplaint) {
  const Outcome outcome = run_ranks(2, "forbidden");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_EQ(outcome.count(" received\n"), 2) << outcome.output;
  EXPECT_EQ(outcome.count("\n"), 2) << "MPI has something to say: " << outcome.output;
}

TEST(MpiFailure, StartingAndFinishingWithoutTheOthersHasALimit) {
  for (const auto& [scenario, call] :
       {std::pair("never_starts", "MPI_Init"), {"never_finishes", "MPI_Finalize"}}) {
    const Outcome outcome = run_ranks(2, scenario);
    EXPECT_EQ(outcome.exit_code, 4) << outcome.output;
    EXPECT_EQ(outcome.count(std::string("cohort: error: ") + call + " did not return within 0.5 s"),
              1)
        << outcome.output;
    EXPECT_LT(outcome.seconds, kSoon);
  }
}

TEST(MpiFailure, TheDeadlineNamesTheRankThatDidNotCome) {
  const Outcome outcome = run_ranks(3, "deadline");
  EXPECT_EQ(outcome.exit_code, 4) << outcome.output;
  for (const char* rank : {"0", "1"}) {
    const size_t at = outcome.output.find(std::string(rank) + " code 4 after 1.");
    ASSERT_NE(at, std::string::npos) << outcome.output;
    const std::string line = outcome.output.substr(at, outcome.output.find('\n', at) - at);
    EXPECT_NE(line.find(": broadcast(weights) waited 1"), std::string::npos) << line;
    EXPECT_NE(
        line.find("did not arrive: rank 2 on " + host() + " (last seen in barrier(together), "),
        std::string::npos)
        << line;
  }
  EXPECT_EQ(outcome.count("barrier(afterwards) after a collective that failed"), 1)
      << outcome.output;
}

TEST(MpiFailure, AStoppedRankIsNamedAndEnded) {
  const Outcome outcome = run_ranks(2, "stopped");
  EXPECT_EQ(outcome.exit_code, 4) << outcome.output;
  EXPECT_EQ(outcome.count("did not arrive: rank 1 on " + host()), 1) << outcome.output;
  EXPECT_LT(outcome.seconds, kSoon);
}

TEST(MpiFailure, RanksThatCallDifferentThingsAllHearOfIt) {
  struct Case {
    const char *scenario, *first, *second;
  };
  for (const Case& c : {Case{"other_operation", "barrier(step) (call 2, 0 bytes, root 0)",
                             "any(stop) (call 2, 0 bytes, root 0)"},
                        Case{"other_name", "barrier(step) (call 2, 0 bytes, root 0)",
                             "barrier(stop) (call 2, 0 bytes, root 0)"},
                        Case{"other_root", "broadcast(weights) (call 2, 4 bytes, root 0)",
                             "broadcast(weights) (call 2, 4 bytes, root 1)"},
                        Case{"other_size", "broadcast(weights) (call 2, 4 bytes, root 0)",
                             "broadcast(weights) (call 2, 5 bytes, root 0)"}}) {
    const Outcome outcome = run_ranks(3, c.scenario);
    EXPECT_EQ(outcome.exit_code, 1) << outcome.output;
    const auto words = [](const std::string& mine, const std::string& rank,
                          const std::string& theirs) {
      return "out of step: this one enters " + mine + ", but rank " + rank + " on " + host() +
             " enters " + theirs;
    };
    EXPECT_EQ(outcome.count(words(c.first, "1", c.second)), 1) << outcome.output;
    EXPECT_EQ(outcome.count(words(c.second, "0", c.first)), 2) << outcome.output;
    EXPECT_LT(outcome.seconds, kSoon);
  }
}

TEST(MpiFailure, WrongLengthsAreFoundBeforeTheyArriveAndDataThatIsStuckHasADeadline) {
  const Outcome outcome = run_ranks(2, "lengths");
  EXPECT_EQ(outcome.exit_code, 1) << outcome.output;
  EXPECT_EQ(outcome.count("all_to_all(gradients): rank 0 on " + host() +
                          " sends 8388609 bytes where 8388608 are expected"),
            1)
      << outcome.output;
  EXPECT_EQ(outcome.count("0 code 4 after 1."), 1) << outcome.output;
  EXPECT_EQ(outcome.count("all_to_all(gradients) waited 1"), 1) << outcome.output;
  EXPECT_EQ(outcome.count("every rank arrived, but not all data to and from rank 1 on " + host()),
            1)
      << outcome.output;
}

TEST(MpiFailure, AKilledRankEndsTheJob) {
  const Outcome outcome = run_ranks(3, "killed");
  EXPECT_EQ(outcome.exit_code, 128 + SIGKILL) << outcome.output;
  EXPECT_LT(outcome.seconds, kSoon);
}

TEST(MpiFailure, WhoDoesNotAnswerIsNamed) {
  const Outcome outcome = run_ranks(3, "no_answer");
  EXPECT_EQ(outcome.exit_code, 4) << outcome.output;
  EXPECT_EQ(outcome.count("0 heard of rank 2\n"), 1) << outcome.output;
  EXPECT_EQ(outcome.count("0 code 4 after 1."), 1) << outcome.output;
  EXPECT_EQ(outcome.count(": receive(work) waited 1"), 1) << outcome.output;
  EXPECT_EQ(outcome.count(" s; did not answer: rank 1 on " + host() + "\n"), 1) << outcome.output;
  EXPECT_EQ(outcome.count("receive(more) from 1 ranks, or after a collective that failed"), 1) << outcome.output;
}

TEST(MpiFailure, AbortEndsTheJobWithItsCode) {
  const Outcome outcome = run_ranks(3, "aborted");
  EXPECT_EQ(outcome.exit_code, 77) << outcome.output;
  EXPECT_LT(outcome.seconds, kSoon);
}

TEST(MpiFailure, TheWatchdogEndsARankThatComputesForever) {
  const Outcome outcome = run_ranks(2, "watchdog");
  EXPECT_EQ(outcome.exit_code, 4) << outcome.output;
  EXPECT_EQ(outcome.count("1 rank 1 on " + host() + ": section update exceeded 0.2 s at step 41\n"),
            1)
      << outcome.output;
  EXPECT_LT(outcome.seconds, kSoon);
}

TEST(MpiFailure, TheWatchdogEndsARankThatWaitsInACollective) {
  const Outcome outcome = run_ranks(2, "watchdog_in_collective");
  EXPECT_EQ(outcome.exit_code, 4) << outcome.output;
  EXPECT_LT(outcome.seconds, kSoon);
}

TEST(MpiFailure, AnExceptionIsNotHeldUpByTheOthers) {
  const Outcome outcome = run_ranks(2, "thrown");
  EXPECT_EQ(outcome.exit_code, 3) << outcome.output;
  EXPECT_LT(outcome.seconds, kSoon);
}

TEST(MpiFailure, ARankThatLeavesEarlyWaitsForTheOthers) {
  const Outcome outcome = run_ranks(2, "early");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_EQ(outcome.output, "0 done\n");
}

TEST(MpiFailure, ASignalToMpirunStopsAllRanksAtTheSameStep) {
  bool sent = false;
  const Outcome outcome = run(mpirun(3, "signals"), [&](const std::string& output, pid_t child) {
    if (sent || output.find("0 ready") == std::string::npos) return;
    sent = kill(child, SIGUSR1) == 0;
  });
  EXPECT_EQ(outcome.exit_code, 75) << outcome.output;
  const std::string words = " stopped at step ";
  const size_t at = outcome.output.find(words);
  ASSERT_NE(at, std::string::npos) << outcome.output;
  const std::string line = outcome.output.substr(at, outcome.output.find('\n', at) + 1 - at);
  EXPECT_EQ(outcome.count(line), 3) << outcome.output;
}

}  // namespace
}  // namespace cohort
