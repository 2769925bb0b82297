// The program's outermost frame: finds the command, parses its options, runs it, reports what it
// throws.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <optional>
#include <vector>

#include "cli/command.h"
#include "cli/cpu_check.h"
#include "cli/failure.h"
#include "core/check.h"
#include "core/text.h"

namespace cohort {
namespace {

constexpr std::array kCommands = {
    Command{"train", "train a model with GRPO, as CONFIG says", add_train},
    Command{"sft", "fine-tune a model on examples, as CONFIG says", add_sft},
    Command{"rm", "train a reward model from pairs of answers, as CONFIG says", add_rm},
    Command{"eval", "accuracy of a model on a config's evaluation data", add_eval},
    Command{"pipeline", "a recipe: stages of sft, train, sample, score, filter, merge and eval", add_pipeline},
    Command{"generate", "complete prompts", add_generate},
    Command{"score", "rewards of given completions; nothing is sampled", add_score},
    Command{"logprobs", "log-probability of each token of given texts", add_logprobs},
    Command{"tokenize", "text to token ids, and back", add_tokenize},
    Command{"render", "chat messages to text with the model's template", add_render},
    Command{"inspect", "what a model folder or a run directory holds", add_inspect},
    Command{"data", "check data files: bad lines, lengths, repeated prompts, leaks", add_data},
    Command{"plan", "memory, bytes on the wire and step time of a run on N ranks", add_plan},
    Command{"compare", "the first step and field at which two runs differ", add_compare},
    Command{"replay", "run one step of a run again and compare its bits", add_replay},
    Command{"import", "a GGUF file, or a folder, to a clean Hugging Face folder", add_import},
    Command{"doctor", "what this build and this machine offer", add_doctor},
    Command{"init", "a commented config to begin with", add_init},
    Command{"explain", "what a key of the config is", add_explain},
    Command{"convert-config", "a config of TRL, verl or OpenRLHF as one of cohort", add_convert_config},
    Command{"schema", "the JSON Schema of the config, for editors", add_schema},
    Command{"report", "curves and completions of runs as one HTML page", add_report},
    Command{"watch", "the report of a run in progress, in this machine's browser", add_watch},
    Command{"metrics", "the metrics of a run as CSV", add_metrics},
    Command{"completion", "completion of commands and config keys for bash or zsh", add_completion},
    Command{"man", "the manual page", add_man},
};

std::string command_list() {
  std::string text;
  for (const Command& command : kCommands) {
    text += fmt::format("  {:<14} {}\n", command.name, command.summary);
  }
  text += "  help           this text, or `cohort help COMMAND`\n";
  text += "  version        the version and how it was built";
  return text;
}

std::string usage() {
  return "cohort: reinforcement learning post-training of language models\n\n"
         "usage: cohort COMMAND [options]      (cohort COMMAND --help tells more)\n\n" +
         command_list() + "\n";
}

const Command* find_command(std::string_view name) {
  const auto found = std::find_if(kCommands.begin(), kCommands.end(),
                                  [&](const Command& c) { return c.name == name; });
  return found == kCommands.end() ? nullptr : &*found;
}

[[noreturn]] void unknown_command(const std::string& name) {
  std::vector<std::string> names = {"help", "version"};
  for (const Command& command : kCommands) names.emplace_back(command.name);
  const std::string nearest = nearest_name(name, names);
  const std::string hint = nearest.empty() ? "" : fmt::format("; did you mean '{}'?", nearest);
  fail(ExitCode::kUsage, "unknown command '{}'{}\n{}", name, hint, command_list());
}

int run_command(const Command& command, std::vector<std::string> args) {
  App app(std::string(command.summary), fmt::format("cohort {}", command.name));
  const Action action = command.add(app);
  const std::optional<std::string> help = app.parse(std::move(args));
  if (!help) return action();
  fmt::print("{}", *help);
  return 0;
}

int dispatch(std::vector<std::string> args) {
  if (args.empty()) {
    tell(usage());
    return static_cast<int>(ExitCode::kUsage);
  }
  std::string name = args.front();
  args.erase(args.begin());
  if (name == "--version" || name == "version") {
    fmt::print("{}", version_text());
    return 0;
  }
  if (name == "help" || name == "--help" || name == "-h") {
    if (args.empty()) {
      fmt::print("{}", usage());
      return 0;
    }
    name = args.front();
    args = {"--help"};
  }
  const Command* command = find_command(name);
  if (command == nullptr) unknown_command(name);
  return run_command(*command, std::move(args));
}

}  // namespace

std::span<const Command> commands() { return kCommands; }

int run_command_line(int argc, char** argv) {
  // Whoever reads what a command says may go before it ends: a training run goes on, and a command whose answers nobody reads
  // ends when it writes.
  std::signal(SIGPIPE, SIG_IGN);
  try {
    check_cpu();
    const int code = dispatch({argv + 1, argv + argc});
    if (std::fflush(stdout) != 0) fail_output("standard output", errno);
    return code;
  } catch (...) {
    const Failure failure = describe(std::current_exception());
    print_failure("", failure.message);
    return failure.exit_code;
  }
}

}  // namespace cohort
