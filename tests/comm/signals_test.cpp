#include "comm/signals.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>

#include "core/check.h"

namespace cohort {
namespace {

using Handler = void (*)(int);

Handler handler_of(int signal) {
  struct sigaction action = {};
  sigaction(signal, nullptr, &action);
  return action.sa_handler;
}

void other_handler(int) {}

TEST(StopSignals, AreNotRequestedBeforeASignal) {
  const StopSignals signals;
  EXPECT_FALSE(signals.requested());
}

TEST(StopSignals, UserSignalIsKept) {
  const StopSignals signals;
  for (int i = 0; i < 3; ++i) {
    std::raise(SIGUSR1);
    EXPECT_TRUE(signals.requested());
  }
}

TEST(StopSignals, FirstTerminationIsKept) {
  const StopSignals signals;
  std::raise(SIGTERM);
  EXPECT_TRUE(signals.requested());
}

TEST(StopSignals, ANewOneStartsUnrequested) {
  {
    const StopSignals signals;
    std::raise(SIGUSR1);
  }
  const StopSignals signals;
  EXPECT_FALSE(signals.requested());
}

TEST(StopSignals, EarlierHandlersComeBack) {
  const Handler earlier = std::signal(SIGUSR1, other_handler);
  {
    const StopSignals signals;
    EXPECT_NE(handler_of(SIGUSR1), other_handler);
    std::raise(SIGTERM);  // changes the handler of SIGTERM once more
  }
  EXPECT_EQ(handler_of(SIGUSR1), other_handler);
  EXPECT_EQ(handler_of(SIGTERM), SIG_DFL);
  std::signal(SIGUSR1, earlier);
}

TEST(StopSignals, CtrlCAsksOnlyWhereItIsToldTo) {
  const Handler earlier = std::signal(SIGINT, SIG_DFL);
  {
    const StopSignals signals;
    EXPECT_EQ(handler_of(SIGINT), SIG_DFL);
  }
  {
    const StopSignals signals(CtrlC::asks);
    std::raise(SIGINT);
    EXPECT_TRUE(signals.requested());
    EXPECT_EQ(handler_of(SIGINT), SIG_DFL) << "a second one ends the process";
  }
  EXPECT_EQ(handler_of(SIGINT), SIG_DFL);
  std::signal(SIGINT, SIG_IGN);
  {
    const StopSignals signals(CtrlC::asks);
    std::raise(SIGINT);
    EXPECT_FALSE(signals.requested()) << "a process in the background ignores it";
  }
  std::signal(SIGINT, earlier);
}

TEST(StopSignals, OnlyOneAtATime) {
  const StopSignals signals;
  EXPECT_THROW(StopSignals(), Error);
  std::raise(SIGUSR1);
  EXPECT_TRUE(signals.requested()) << "the refused one took the handlers away";
}

TEST(StopSignalsDeathTest, SecondTerminationEnds) {
  EXPECT_EXIT(
      {
        const StopSignals signals;
        std::raise(SIGTERM);
        std::raise(SIGTERM);
        std::_Exit(0);
      },
      testing::KilledBySignal(SIGTERM), "");
}

TEST(StopSignalsDeathTest, TerminationEndsAfterTheHandlersAreGone) {
  EXPECT_EXIT(
      {
        {
          const StopSignals signals;
          std::raise(SIGTERM);
        }
        std::raise(SIGTERM);
        std::_Exit(0);
      },
      testing::KilledBySignal(SIGTERM), "");
}

TEST(StopSignalsDeathTest, AUserSignalThatComesAfterwardsEndsNothing) {
  EXPECT_EXIT(
      {
        { const StopSignals signals; }
        std::raise(SIGUSR1);
        std::_Exit(0);
      },
      testing::ExitedWithCode(0), "");
}

TEST(StopSignalsDeathTest, InterruptEndsAsUsual) {
  EXPECT_EXIT(
      {
        const StopSignals signals;
        std::raise(SIGINT);
        std::_Exit(0);
      },
      testing::KilledBySignal(SIGINT), "");
}

}  // namespace
}  // namespace cohort
