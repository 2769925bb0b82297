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
  check_options(spec, {"command", "workers", "in_flight", "timeout_s", "start_timeout_s", "line_kb", "output_kb"});
  CheckerSettings settings;
  settings.command = read_command(spec);
  settings.workers = whole_option(spec, "workers", 1, 1024, 2);
  settings.in_flight = whole_option(spec, "in_flight", 1, 4096, 1);
  settings.seconds = number_option(spec, "timeout_s", 0.1, 3600, 10);
  settings.start_seconds = number_option(spec, "start_timeout_s", 0.1, 3600, 60);
  settings.line_bytes = 1024 * static_cast<size_t>(whole_option(spec, "line_kb", 1, 1 << 14, 64));
  settings.output_bytes = 1024 * static_cast<size_t>(whole_option(spec, "output_kb", 1, 1 << 20, 1024));
  CHECK_USAGE(settings.output_bytes >= settings.line_bytes, "reward '{}': 'output_kb' is less than 'line_kb'", spec.name);
  return settings;
}

}  // namespace

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
