#include "reward/outside/command.h"

#include "core/check.h"
#include "reward/options.h"
#include "reward/rewards.h"

namespace cohort {
namespace {

std::vector<std::string> read_command(const RewardSpec& spec) {
  const auto it = spec.options.find("command");
  CHECK_USAGE(it != spec.options.end() && it->is_array() && !it->empty(),
              "reward '{}': 'command' is {}; allowed is a list like [python3, checker.py], which is run as it is, without a "
              "shell",
              spec.name, it == spec.options.end() ? "missing" : it->dump());
  std::vector<std::string> command;
  size_t bytes = 0;
  for (const Json& word : *it) {
    CHECK_USAGE(word.is_string() && word.get_ref<const std::string&>().find('\0') == std::string::npos,
                "reward '{}': 'command' holds {}; allowed are texts without NUL characters", spec.name, word.dump());
    command.push_back(word.get<std::string>());
    bytes += command.back().size() + 1;
  }
  CHECK_USAGE(!command[0].empty(), "reward '{}': 'command' begins with an empty text; allowed is a program", spec.name);
  CHECK_USAGE(bytes <= Launcher::kMaxCommand, "reward '{}': 'command' has {} bytes; allowed are {}", spec.name, bytes,
              Launcher::kMaxCommand);
  return command;
}

CheckerSettings read_options(const RewardSpec& spec) {
  const OptionReader options(spec, command_options());
  CheckerSettings settings;
  settings.command = read_command(spec);
  settings.workers = options.integer("workers");
  settings.in_flight = options.integer("in_flight");
  settings.seconds = options.number("timeout_s");
  settings.start_seconds = options.number("start_timeout_s");
  settings.line_bytes = 1024 * static_cast<size_t>(options.integer("line_kb"));
  settings.output_bytes = 1024 * static_cast<size_t>(options.integer("output_kb"));
  CHECK_USAGE(settings.output_bytes >= settings.line_bytes, "reward '{}': 'output_kb' is less than 'line_kb'", spec.name);
  return settings;
}

}  // namespace

const OptionTable& command_options() {
  static const OptionTable table = {
      {.name = "command", .type = OptionType::texts, .help = "the program, found by PATH, and its arguments; there is no shell", .needed = true,
       .form = "a list like [python3, checker.py]"},
      {.name = "workers", .type = OptionType::integer, .help = "processes, of each rank; one starts with the run, the others when they are needed",
       .standard = 2, .bounds = {.low = 1, .high = 1024}},
      {.name = "in_flight", .type = OptionType::integer, .help = "requests that one process has at a time", .standard = 1,
       .bounds = {.low = 1, .high = 4096}},
      {.name = "timeout_s", .type = OptionType::number, .help = "for an answer, from when its request is the oldest that the process has",
       .standard = 10.0, .bounds = {.low = 0.1, .high = 3600}},
      {.name = "start_timeout_s", .type = OptionType::number, .help = "until the line that says the program is ready", .standard = 60.0,
       .bounds = {.low = 0.1, .high = 3600}},
      {.name = "line_kb", .type = OptionType::integer, .help = "of one answer", .standard = 64, .bounds = {.low = 1, .high = 1 << 14}},
      {.name = "output_kb", .type = OptionType::integer, .help = "of all that is written between two answers, standard error included; at least line_kb",
       .standard = 1024, .bounds = {.low = 1, .high = 1 << 20}},
  };
  return table;
}

void check_command(const RewardSpec& spec) { read_options(spec); }

CommandReward::CommandReward(const RewardSpec& spec) {
  CheckerSettings settings = read_options(spec);
  Launcher* launcher = find_launcher();
  CHECK(launcher != nullptr, "reward '{}': the process that starts programs was not started before threads and MPI were",
        spec.name);
  try {
    pool_ = std::make_unique<CheckerPool>(*launcher, std::move(settings));
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("reward '{}': {}", spec.name, error.what()));
  }
}

std::unique_ptr<Reward> make_command(const RewardSpec& spec) { return std::make_unique<CommandReward>(spec); }

}  // namespace cohort
