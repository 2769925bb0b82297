// log.hooks: every line to every command, in order; and what a command does wrong is its own loss.
#include "trainer/metrics_hooks.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>

#include <filesystem>

#include "core/files.h"
#include "tests/core/expect_error.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

class Hooks : public testing::Test {
 protected:
  void SetUp() override {
    signal(SIGPIPE, SIG_IGN);  // as the program does
    std::string name = (fs::temp_directory_path() / "cohort-hooks-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder = name;
  }
  void TearDown() override { fs::remove_all(folder); }
  // Sends the line again and again until there is a warning, as steps would; gives up after a minute.
  static std::vector<std::string> send_until_warned(MetricsHooks& hooks, const std::string& line) {
    const Clock::time_point start = Clock::now();
    while (seconds_since(start) < 60) {
      hooks.send(line);
      if (std::vector<std::string> warnings = hooks.take_warnings(); !warnings.empty()) return warnings;
    }
    return {};
  }
  Launcher launcher;
  fs::path folder;
};

TEST_F(Hooks, EveryLineReachesEveryCommandInOrder) {
  MetricsHooks hooks(launcher, {"cat > " + (folder / "a").string(), "tr a-z A-Z | sort -r > " + (folder / "b").string(), "cat > /dev/null"}, 30);
  std::string all;
  for (int step = 1; step <= 500; ++step) {
    const std::string line = fmt::format("{{\"step\":{},\"text\":\"{}\"}}", step, std::string(1000, 'x'));
    hooks.send(line);
    all += line + "\n";
  }
  hooks.finish();
  EXPECT_EQ(hooks.take_warnings(), std::vector<std::string>{});
  EXPECT_EQ(read_file(folder / "a"), all);
  EXPECT_EQ(fs::file_size(folder / "b"), all.size());
}

TEST_F(Hooks, ACommandThatEndsIsToldOnceWithItsLastWords) {
  MetricsHooks hooks(launcher, {"head -n 1 > /dev/null; echo no more >&2; exit 3", "cat > " + (folder / "good").string()}, 30);
  const std::vector<std::string> warnings = send_until_warned(hooks, "{}");
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].find("log.hooks: 'head -n 1 > /dev/null; echo no more >&2; exit 3' ended with exit code 3 after "), std::string::npos)
      << warnings[0];
  EXPECT_NE(warnings[0].find("; it said: no more; the run goes on without it"), std::string::npos) << warnings[0];
  for (int i = 0; i < 3; ++i) hooks.send("{\"last\":1}");
  hooks.finish();
  EXPECT_EQ(hooks.take_warnings(), std::vector<std::string>{});
  EXPECT_TRUE(read_file(folder / "good").ends_with("{}\n{\"last\":1}\n{\"last\":1}\n{\"last\":1}\n")) << "the other one gets all";
}

TEST_F(Hooks, ACommandThatIsNotThereIsToldByTheShell) {
  MetricsHooks hooks(launcher, {"cohort-no-such-program"}, 30);
  const std::vector<std::string> warnings = send_until_warned(hooks, "{}");
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].find("ended with exit code 127"), std::string::npos) << warnings[0];
  EXPECT_NE(warnings[0].find("not found"), std::string::npos) << warnings[0];
}

TEST_F(Hooks, ACommandThatDoesNotReadIsKilledAfterTheTimeout) {
  MetricsHooks hooks(launcher, {"exec sleep 1000"}, 0.2);
  const Clock::time_point start = Clock::now();
  const std::vector<std::string> warnings = send_until_warned(hooks, std::string(10000, 'x'));
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].find("has read nothing for 0.2 s and was killed"), std::string::npos) << warnings[0];
  EXPECT_LT(seconds_since(start), 30);
  hooks.send("{}");  // is for nobody
  hooks.finish();
  EXPECT_EQ(hooks.take_warnings(), std::vector<std::string>{});
}

TEST_F(Hooks, ACommandThatDoesNotEndIsKilledAtTheEnd) {
  MetricsHooks hooks(launcher, {"cat > /dev/null; exec sleep 1000", "cat > /dev/null; exit 1"}, 0.5);
  hooks.send("{}");
  const Clock::time_point start = Clock::now();
  hooks.finish();
  EXPECT_LT(seconds_since(start), 30);
  const std::vector<std::string> warnings = hooks.take_warnings();
  ASSERT_EQ(warnings.size(), 2u);
  EXPECT_NE(warnings[0].find("has not ended 0.5 s after its last line and was killed after 1 lines"), std::string::npos) << warnings[0];
  EXPECT_NE(warnings[1].find("ended with exit code 1"), std::string::npos) << warnings[1];
}

TEST_F(Hooks, ARunThatFailsDoesNotWaitForThem) {
  const Clock::time_point start = Clock::now();
  {
    MetricsHooks hooks(launcher, {"exec sleep 1000"}, 1000);
    hooks.send("{}");
  }
  EXPECT_LT(seconds_since(start), 30);
}

}  // namespace
}  // namespace cohort
