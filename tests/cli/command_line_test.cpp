// What the program says about itself and about command lines it cannot follow.
#include "cli/command.h"
#include "tests/cli/run_cohort.h"

namespace cohort {
namespace {

TEST(CommandLine, AnUnknownCommandIsRefusedWithTheList) {
  const Outcome outcome = run_cohort({"trian"});
  EXPECT_REFUSED(outcome, 2, "unknown command 'trian'", "did you mean 'train'?");
  for (const Command& command : commands()) {
    EXPECT_NE(outcome.err.find("  " + std::string(command.name)), std::string::npos);
  }
}

TEST(CommandLine, WithoutACommandTheUsageGoesToStandardError) {
  const Outcome outcome = run_cohort({});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_EQ(outcome.out, "");
  EXPECT_NE(outcome.err.find("usage: cohort COMMAND"), std::string::npos);
}

TEST(CommandLine, HelpOfEveryCommandNamesItsOptionsAndSucceeds) {
  const Outcome all = run_cohort({"help"});
  EXPECT_EQ(all.exit_code, 0);
  for (const Command& command : commands()) {
    const std::string name(command.name);
    EXPECT_NE(all.out.find(name), std::string::npos);
    const Outcome help = run_cohort({name, "--help"});
    EXPECT_EQ(help.exit_code, 0) << name;
    EXPECT_NE(help.out.find("cohort " + name), std::string::npos) << help.out;
    EXPECT_EQ(help.out, run_cohort({"help", name}).out);
  }
}

TEST(CommandLine, VersionNamesTheBuild) {
  const Outcome outcome = run_cohort({"--version"});
  EXPECT_EQ(outcome.exit_code, 0);
  for (const char* word : {"cohort ", "build", "-march=", "compiler", "CUDA"}) {
    EXPECT_NE(outcome.out.find(word), std::string::npos) << word;
  }
}

TEST(CommandLine, AMissingArgumentAndAnUnknownOptionAreRefused) {
  EXPECT_REFUSED(run_cohort({"train"}), 2, "CONFIG", "cohort train --help");
  EXPECT_REFUSED(run_cohort({"generate", "model", "--temprature", "1"}), 2, "--temprature");
  EXPECT_REFUSED(run_cohort({"generate", "model", "--temperature", "-1"}), 2, "--temperature");
  EXPECT_REFUSED(run_cohort({"logprobs", "model", "--dtype", "float16"}), 2, "--dtype", "bfloat16");
  EXPECT_REFUSED(run_cohort({"generate", "model", "--prompt", "a", "--input", "b"}), 2, "--prompt");
}

}  // namespace
}  // namespace cohort
