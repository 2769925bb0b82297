// What the program says about itself and about command lines it cannot follow.
#include "cli/command.h"
#include "tests/cli/run_cohort.h"
#include "tests/core/expect_error.h"

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
  for (const char* word : {"cohort ", "build", "-march=", "compiler", "CUDA      off (cmake -DCOHORT_CUDA=ON)\n"}) {
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

TEST(CommandLine, ASeedIsAWholeNumberThatFits) {
  for (const char* seed : {"-1", "1.5", "0x10", "", "1 ", "18446744073709551616"})
    EXPECT_REFUSED(run_cohort({"generate", "model", "--prompt", "a", "--seed", seed}), 2, "--seed",
                   "allowed is a whole number from 0 to 18446744073709551615");
  // Taken: what is refused next is the folder.
  EXPECT_REFUSED(run_cohort({"generate", "absent", "--prompt", "a", "--seed", "18446744073709551615"}), 3, "absent");
  EXPECT_REFUSED(run_cohort({"generate", "model", "--prompt", "a", "--top-k", "-1"}), 2, "--top-k: found '-1'; allowed is a whole number from 0 to 2147483647");
}

// Of every command: a number is one as a whole, finite and in its option's range, and none is cut to the nearest that fits.
TEST(CommandLine, ANumberIsWholeFiniteAndInItsRange) {
  int numbers = 0;
  for (const Command& command : commands()) {
    const std::string program = "cohort " + std::string(command.name);
    App listed(std::string(command.summary), program);
    command.add(listed);
    for (const OptionInfo& option : listed.options()) {
      if (!option.number) continue;
      ++numbers;
      const std::string name = option.names.back();
      for (const char* bad : {"nan", "-nan", "inf", "-inf", "infinity", "1e400", "99999999999999999999", "-99999999999999999999", " 1", "1x", "0x1"}) {
        App app(std::string(command.summary), program);
        command.add(app);
        EXPECT_ERROR(app.parse({name + "=" + bad}), kUsage, fmt::format("{}: found '{}'; allowed is a ", name, bad));
      }
    }
  }
  EXPECT_GE(numbers, 25);
}

TEST(CommandLine, AWholeNumberIsDecimal) {
  App app("", "test");
  int whole = 0;
  std::optional<double> real;
  app.add_option("--whole", whole, "").range(1, 10);
  app.add_option("--real", real, "");
  EXPECT_FALSE(app.parse({"--whole", "010", "--real", "1.5e-3"}));
  EXPECT_EQ(whole, 10);
  EXPECT_EQ(real, 1.5e-3);
  EXPECT_ERROR(app.parse({"--whole", "11"}), kUsage, "--whole: found '11'; allowed is a whole number from 1 to 10; see `test --help`");
  EXPECT_ERROR(app.parse({"--real", "nan"}), kUsage, "--real: found 'nan'; allowed is a finite number; see `test --help`");
}

// Runs `cohort ARGS` in a shell, its output through a pipe whose reader is gone; returns its exit code and what it said besides.
Outcome into_a_closed_pipe(const std::string& args, const std::string& redirect) {
  const TemporaryFolder folder;
  const std::string command = "( '" COHORT_BINARY "' " + args + " " + redirect + "; echo $? > '" + (folder / "code") + "' ) 2> '" +
                              (folder / "err") + "' | true";
  const Outcome shell = run_program("bash", {"-c", command});
  EXPECT_EQ(shell.exit_code, 0) << shell.err;
  return {std::stoi(read_all(folder / "code")), "", read_all(folder / "err")};
}

TEST(CommandLine, AnOutputThatNobodyReadsEndsACommandQuietly) {
  const TrainedModel trained;
  std::string texts;
  for (int i = 0; i < 20000; ++i) texts += "{\"text\": \"abcdefghij\"}\n";
  const std::string input = write_all(trained.folder / "texts.jsonl", texts);
  const Outcome records = into_a_closed_pipe("tokenize '" + trained.model() + "' --input '" + input + "'", "");
  EXPECT_EQ(records.exit_code, 3);
  EXPECT_EQ(records.err, "");
  const Outcome eval = into_a_closed_pipe("eval '" + trained.config() + "' --quiet --model '" + trained.model() + "'", "");
  EXPECT_EQ(eval.exit_code, 3);
  EXPECT_EQ(eval.err, "");
}

TEST(CommandLine, MessagesThatNobodyReadsDoNotEndACommand) {
  const TrainedModel trained;
  const std::string out = trained.folder / "out.jsonl", input = write_all(trained.folder / "in.jsonl", "{\"ids\": [1]}\n{}\n");
  const Outcome stats = into_a_closed_pipe("generate '" + trained.model() + "' --stats --max-completion-length 4 --input '" + input +
                                               "' --output '" + out + "'", "2>&1");
  EXPECT_EQ(stats.exit_code, 3) << "of the second record";
  EXPECT_NE(read_all(out).find("\"error\""), std::string::npos);
  // A run is done when its model is saved, whoever hears of it.
  const Outcome train = into_a_closed_pipe("train '" + trained.config() + "' run.name=unheard", "2>&1");
  EXPECT_EQ(train.exit_code, 0);
  EXPECT_TRUE(std::filesystem::exists(trained.folder / "runs/unheard/final/model.safetensors"));
}

}  // namespace
}  // namespace cohort
