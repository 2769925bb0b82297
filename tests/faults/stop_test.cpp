// Requests to save and stop, from a process's first moments on.
#include <csignal>

#include "tests/faults/harness.h"

namespace cohort {
namespace {

// Whether the process has a handler of its own for the signal.
bool catches(pid_t process, int signal) {
  std::istringstream lines(read_all("/proc/" + std::to_string(process) + "/status"));
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("SigCgt:")) return ((std::stoull(line.substr(7), nullptr, 16) >> (signal - 1)) & 1) != 0;
  return false;
}

// As soon as it can be asked, which is before it has read its config.
TEST(QuickStop, ASignalInTheFirstMomentsSavesAndStops) {
  const World world(4);
  for (const int signal : {SIGUSR1, SIGTERM}) {
    const std::string name = "run.name=early" + std::to_string(signal);
    const Outcome stopped = train(COHORT_BINARY, 1, world.config, {name}, [&](pid_t child, const std::string&) {
      if (!catches(child, signal)) return false;
      kill(child, signal);
      return true;
    });
    EXPECT_EQ(stopped.exit_code, 75) << stopped.err;
    EXPECT_NE(stopped.err.find("save and stop requested"), std::string::npos) << stopped.err;
    EXPECT_EQ(train(COHORT_BINARY, 1, world.config, {name, "--quiet"}).exit_code, 0);
    EXPECT_EQ(world.difference("early" + std::to_string(signal)), "");
  }
}

// On one of several ranks, before it knows the others.
TEST(QuickStop, ASignalToARankBeforeMpiStartsStopsAll) {
  const World world(4);
  const Struck stopped = train_with_fault(world, "mpi", 3, {"ask", "start", 0, 1, ""}, {});
  EXPECT_EQ(stopped.outcome.exit_code, 75) << stopped.outcome.err;
  EXPECT_EQ(train(COHORT_BINARY, 2, world.config, {"run.name=mpi", "--quiet"}).exit_code, 0);
  EXPECT_EQ(world.difference("mpi"), "");
}

// mpirun's children are the supervisors: they hand the request on.
TEST(QuickStop, ASignalToMpirunOrToASupervisorStopsAtTheEndOfTheStep) {
  const World world(4);
  const std::vector<std::string> longer = {"trainer.max_steps=3000", "trainer.save_steps=0"};
  for (const bool to_supervisor : {false, true}) {
    std::vector<std::string> overrides = longer;
    overrides.push_back(std::string("run.name=asked") + (to_supervisor ? "1" : "0"));
    const Outcome stopped = train(COHORT_BINARY, 2, world.config, overrides, [&](pid_t child, const std::string& err) {
      if (err.find("step    1/3000") == std::string::npos) return false;
      pid_t asked = child;
      if (to_supervisor) asked = std::stoi(read_all("/proc/" + std::to_string(child) + "/task/" + std::to_string(child) + "/children"));
      kill(asked, to_supervisor ? SIGTERM : SIGUSR1);
      return true;
    });
    EXPECT_EQ(stopped.exit_code, 75) << stopped.err;
    EXPECT_NE(stopped.out.find("stopped on request"), std::string::npos) << stopped.out;
  }
}

}  // namespace
}  // namespace cohort
