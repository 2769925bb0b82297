// What the program says about its configs: explain, schema, init, convert-config, completion, man.
#include <set>

#include "cli/app_tree.h"
#include "cli/completion.h"
#include "cli/starters.h"
#include "tests/cli/run_cohort.h"
#include "trainer/config_describe.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

TEST(Explain, PrintsAKeyASectionOrAll) {
  const Outcome key = run_cohort({"explain", "algorithm.epsilon"});
  EXPECT_EQ(key.exit_code, 0) << key.err;
  EXPECT_EQ(key.out, explain("algorithm.epsilon"));
  EXPECT_EQ(run_cohort({"explain"}).out, list_keys());
  EXPECT_EQ(run_cohort({"explain", "--markdown"}).out, config_markdown());
  EXPECT_REFUSED(run_cohort({"explain", "lerning_rate"}), 2, "unknown key 'lerning_rate'", "did you mean 'learning_rate'?");
}

TEST(Schema, IsOneJsonDocument) {
  const Outcome outcome = run_cohort({"schema"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(parse_json(outcome.out, "schema"), config_json_schema());
}

// Each starter as it is printed: planned as it stands, and trained for a step with small numbers.
class StarterConfig : public testing::TestWithParam<Starter> {};

TEST_P(StarterConfig, RunsAtOnce) {
  const Starter& starter = GetParam();
  const TemporaryFolder folder;
  const Outcome printed = run_cohort({"init", std::string(starter.name)});
  ASSERT_EQ(printed.exit_code, 0) << printed.err;
  EXPECT_EQ(printed.out, starter.config);
  const std::string config = write_all(folder / "my.yaml", printed.out);
  const Outcome dry = run_cohort({std::string(starter.command), config, "--dry-run"});
  EXPECT_EQ(dry.exit_code, 0) << dry.err;

  std::vector<std::string> command = {std::string(starter.command), config, "run.dir=" + (folder / "runs"), "run.threads=1", "trainer.max_steps=1",
                                      "--quiet", "trainer.logical_ranks=1"};
  if (starter.command == "train") command.emplace_back("trainer.prompts_per_step=2");
  const Outcome rows = run_cohort({"init", std::string(starter.name), "--data"});
  if (starter.rows.empty()) {
    EXPECT_REFUSED(rows, 2, "reads no file");
    command.insert(command.end(), {"trainer.warm_start.steps=2", "data.task.eval_size=4"});
  } else {
    ASSERT_EQ(rows.exit_code, 0) << rows.err;
    EXPECT_NE(printed.out.find(fmt::format("train: {}\n", starter.file)), std::string::npos);
    EXPECT_NE(printed.out.find(fmt::format("cohort {} my.yaml", starter.command)), std::string::npos);
    command.push_back("data.train=" + write_all(folder / "rows.jsonl", rows.out));
  }
  const Outcome outcome = run_cohort(command);
  const bool no_sandbox = starter.name == "code" && run_cohort({"doctor", "--sandbox"}).exit_code != 0;
  if (no_sandbox) {
    EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
    GTEST_SKIP() << "this machine has no sandbox";
  }
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::string run = (folder / "runs/") + std::string(starter.name);
  const Json metrics = parse_json(read_all(run + "/metrics.jsonl"), "metrics.jsonl");
  EXPECT_EQ(metrics["step"], 1);
  for (const auto& [name, value] : metrics.items())
    if (name.ends_with("/none")) {
      EXPECT_EQ(value, 0) << name << ": its rows cannot be judged";
    }
}

INSTANTIATE_TEST_SUITE_P(Init, StarterConfig, testing::ValuesIn(starters().begin(), starters().end()),
                         [](const auto& starter) {
                           std::string name(starter.param.name);
                           std::erase(name, '-');
                           return name;
                         });

TEST(Init, AnUnknownStarterIsRefusedWithTheList) {
  const Outcome outcome = run_cohort({"init", "arithmetik"});
  EXPECT_REFUSED(outcome, 2, "TASK", "arithmetic");
  const Outcome help = run_cohort({"init", "--help"});
  for (const Starter& starter : starters()) EXPECT_NE(help.out.find(starter.summary), std::string::npos) << help.out;
}

TEST(ConvertConfig, TheConfigGoesToOutputAndTheNotesToError) {
  const TemporaryFolder folder;
  const std::string file = write_all(folder / "trl.yaml",
                                     "model_name_or_path: m\nnum_generations: 8\nper_device_train_batch_size: 16\nuse_vllm: true\n"
                                     "reward_funcs: [accuracy_reward]\ndataset_name: train.jsonl\n");
  const Outcome outcome = run_cohort({"convert-config", file, "--processes", "2"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("  prompts_per_step: 4 "), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.err.find(file + ":4: use_vllm: "), std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.err.find("still to be done"), std::string::npos);
  const std::string converted = write_all(folder / "mine.yaml", outcome.out);
  EXPECT_EQ(run_cohort({"score", converted, "--input", "/dev/null", "--quiet"}).exit_code, 0) << "it is a config";
  EXPECT_REFUSED(run_cohort({"convert-config", folder / "absent.yaml"}), 2, "absent.yaml");
}

// What bash offers behind the words, as the shell splits them.
std::vector<std::string> completed(const std::vector<std::string>& words) {
  static const std::string script = run_cohort({"completion", "bash"}).out;
  const TemporaryFolder folder;
  const std::string file = write_all(folder / "script", script + "COMP_WORDS=(\"$@\")\nCOMP_CWORD=$(($# - 1))\n_cohort\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n");
  std::vector<std::string> args = {file};
  args.insert(args.end(), words.begin(), words.end());
  const Outcome outcome = run_program("bash", args);
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.err, "");
  std::vector<std::string> offered;
  std::istringstream lines(outcome.out);
  for (std::string line; std::getline(lines, line);)
    if (!line.empty()) offered.push_back(line);
  return offered;
}
using Words = std::vector<std::string>;

TEST(Completion, BashOffersCommandsOptionsAndWords) {
  EXPECT_EQ(completed({"cohort", "tra"}), Words{"train"});
  EXPECT_EQ(completed({"cohort", ""}).size(), command_tree().size() + 4);
  EXPECT_EQ(completed({"cohort", "train", "c.yaml", "--dr"}), Words{"--dry-run"});
  EXPECT_EQ(completed({"cohort", "generate", "m", "--dtype", ""}), (Words{"auto", "float32", "bfloat16"}));
  EXPECT_EQ(completed({"cohort", "completion", "z"}), Words{"zsh"});
  EXPECT_EQ(completed({"cohort", "help", "repl"}), Words{"replay"});
  EXPECT_EQ(completed({"cohort", "explain", "algorithm.eps"}), (Words{"algorithm.epsilon", "algorithm.epsilon_high"}));
  EXPECT_EQ(completed({"cohort", "explain", "reward.repetition."}),
            (Words{"reward.repetition.n", "reward.repetition.max_penalty", "reward.repetition.unit"}));
  EXPECT_EQ(completed({"cohort", "init", "r1"}), Words{"r1-zero"});
}

TEST(Completion, BashOffersKeysAndTheirValuesBehindTheConfig) {
  EXPECT_EQ(completed({"cohort", "train", "c.yaml", "optim.adam_b"}), (Words{"optim.adam_beta1=", "optim.adam_beta2="}));
  EXPECT_EQ(completed({"cohort", "train", "c.yaml", ""}).size(), config_keys().size() + 1);
  EXPECT_EQ(completed({"cohort", "eval", "--model", "m", "c.yaml", "run.thr"}), Words{"run.threads="});
  // A "=" is a word of its own.
  EXPECT_EQ(completed({"cohort", "train", "c.yaml", "run.device", "="}), (Words{"cpu", "cuda"}));
  EXPECT_EQ(completed({"cohort", "train", "c.yaml", "run.device", "=", "cu"}), Words{"cuda"});
  EXPECT_EQ(completed({"cohort", "train", "c.yaml", "data.shuffle", "=", "f"}), Words{"false"});
}

TEST(Completion, FilesWhereAFileIsMeant) {
  const TemporaryFolder folder;
  write_all(folder / "my run.yaml", "");
  EXPECT_EQ(completed({"cohort", "train", folder / "my"}), Words{folder / "my run.yaml"});
  EXPECT_EQ(completed({"cohort", "eval", "c.yaml", "--model", folder / "my"}), Words{folder / "my run.yaml"});
  EXPECT_EQ(completed({"cohort", "train", "c.yaml", "data.train", "=", folder / "my"}), Words{folder / "my run.yaml"});
  for (const std::string& key : file_keys()) {
    const std::vector<std::string> keys = key_paths();
    EXPECT_NE(std::ranges::find(keys, key), keys.end()) << key;
  }
}

TEST(Completion, ZshHasEveryCommandOptionAndKey) {
  const Outcome outcome = run_cohort({"completion", "zsh"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.out.rfind("#compdef cohort\n", 0), 0u);
  for (const CommandInfo& command : command_tree()) {
    EXPECT_NE(outcome.out.find("\n    " + command.name + ") _arguments"), std::string::npos) << command.name;
    for (const OptionInfo& option : command.options) {
      const std::string& name = option.names.back();
      EXPECT_NE(outcome.out.find(name == "section.key=value" ? "_cohort_keys" : name), std::string::npos) << name;
    }
  }
  for (const std::string& path : explained_paths()) EXPECT_NE(outcome.out.find(" " + path), std::string::npos) << path;
  EXPECT_REFUSED(run_cohort({"completion", "fish"}), 2, "SHELL", "bash");
}

// What zsh offers behind the words: its own functions for files and options are stood in for, and say what they were asked.
std::string completed_by_zsh(const Words& words) {
  const TemporaryFolder folder;
  std::string script = "compdef() { :; }\ncompadd() { print -r -- \"$@\"; }\n_files() { print -r -- FILES; }\n_describe() { print -r -- DESCRIBE; }\n"
                       "compset() { [[ ${words[CURRENT]} == *=* ]]; }\n_arguments() { print -r -- \"$@\"; [[ \"$*\" == *_cohort_keys* ]] && _cohort_keys; }\n" +
                       run_cohort({"completion", "zsh"}).out + "words=(";
  for (const std::string& word : words) script += "'" + word + "' ";
  script += ")\nCURRENT=$#words\n_cohort\n";
  const Outcome outcome = run_program("zsh", {"-f", write_all(folder / "script", script)});
  EXPECT_EQ(outcome.err, "");
  return outcome.out;
}

TEST(Completion, ZshOffersWhatBashDoes) {
  if (run_program("zsh", {"-c", "true"}).exit_code != 0) GTEST_SKIP() << "no zsh";
  EXPECT_EQ(completed_by_zsh({"cohort", ""}), "DESCRIBE\n");
  EXPECT_NE(completed_by_zsh({"cohort", "generate", "m", "--dtype", ""}).find("--dtype=[of weights and activations; auto\\: the checkpoint\x27s]:value:(auto float32 bfloat16)"), std::string::npos);
  const auto last_line = [](const std::string& text) { return text.substr(text.rfind('\n', text.size() - 2) + 1); };
  EXPECT_NE(last_line(completed_by_zsh({"cohort", "train", "c.yaml", "optim."})).find(" optim.adam_beta1 "), std::string::npos);
  EXPECT_EQ(last_line(completed_by_zsh({"cohort", "train", "c.yaml", "run.device="})), "-- cpu cuda\n");
  EXPECT_EQ(last_line(completed_by_zsh({"cohort", "train", "c.yaml", "data.train="})), "FILES\n");
}

TEST(Man, GroffHasNothingToSayAboutIt) {
  const Outcome page = run_cohort({"man"});
  const TemporaryFolder folder;
  const Outcome outcome = run_program("groff", {"-man", "-ww", "-Tutf8", write_all(folder / "cohort.1", page.out)});
  if (outcome.exit_code == 127) GTEST_SKIP() << "no groff";
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.err, "");
  EXPECT_NE(outcome.out.find("trainer.max_steps"), std::string::npos);
}

TEST(AppTree, TellsFlagsFromOptionsAndArguments) {
  for (const CommandInfo& command : command_tree()) {
    if (command.name != "generate") continue;
    EXPECT_EQ(command.argument(0)->names.front(), "MODEL");
    EXPECT_TRUE(command.argument(0)->required);
    EXPECT_EQ(command.argument(1), nullptr);
    for (const OptionInfo& option : command.options) {
      const std::string& name = option.names.back();
      EXPECT_TRUE(name != "--stats" || !option.takes_value);
      EXPECT_TRUE(name != "--help" || !option.takes_value);
      EXPECT_TRUE(name != "--dtype" || (option.takes_value && option.words == Words{"auto", "float32", "bfloat16"} && option.standard == "auto"));
    }
  }
}

TEST(Man, HasEveryCommandOptionAndKeyAndNoLineThatRoffWouldTakeForARequest) {
  const Outcome outcome = run_cohort({"man"});
  EXPECT_EQ(outcome.exit_code, 0);
  const auto roff = [](const std::string& text) {
    std::string out;
    for (const char c : text) {
      if (c == '-') out += '\\';
      out += c;
    }
    return out;
  };
  for (const CommandInfo& command : command_tree()) {
    EXPECT_NE(outcome.out.find("\n.SS " + roff(command.name) + "\n"), std::string::npos) << command.name;
    for (const OptionInfo& option : command.options) EXPECT_NE(outcome.out.find(roff(option.names.back())), std::string::npos) << option.names.back();
  }
  for (const std::string& path : explained_paths()) {
    if (path == "reward") continue;  // a section of its own
    EXPECT_NE(outcome.out.find("\\fB" + path + "\\fR"), std::string::npos) << path;
  }
  std::istringstream lines(outcome.out);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || (line[0] != '.' && line[0] != '\'')) continue;
    const std::string request = line.substr(0, line.find(' '));
    EXPECT_TRUE((std::set<std::string>{".TH", ".SH", ".SS", ".TP", ".PP", ".B", ".I", ".BR", ".nf", ".fi"}).contains(request)) << line;
  }
}

}  // namespace
}  // namespace cohort
