// The commands of `cohort`: each file of this folder adds one command's options and says how to run
// it.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace cohort {

// Runs a command whose options are parsed; returns the exit code of the process.
using Action = std::function<int()>;

struct Command {
  std::string_view name, summary;
  Action (*add)(CLI::App& app);  // adds the options; the action owns what they are parsed into
};
std::span<const Command> commands();

Action add_train(CLI::App& app);
Action add_sft(CLI::App& app);
Action add_rm(CLI::App& app);
Action add_eval(CLI::App& app);
Action add_pipeline(CLI::App& app);
Action add_generate(CLI::App& app);
Action add_score(CLI::App& app);
Action add_logprobs(CLI::App& app);
Action add_tokenize(CLI::App& app);
Action add_render(CLI::App& app);
Action add_inspect(CLI::App& app);
Action add_data(CLI::App& app);
Action add_import(CLI::App& app);
Action add_compare(CLI::App& app);
Action add_replay(CLI::App& app);
Action add_plan(CLI::App& app);
Action add_doctor(CLI::App& app);
Action add_explain(CLI::App& app);
Action add_schema(CLI::App& app);
Action add_init(CLI::App& app);
Action add_convert_config(CLI::App& app);
Action add_metrics(CLI::App& app);
Action add_report(CLI::App& app);
Action add_watch(CLI::App& app);
Action add_completion(CLI::App& app);
Action add_man(CLI::App& app);

std::string version_text();  // version, build type, architecture, compiler, CUDA

// The whole program: parses the command line, runs the command, prints errors. Returns the exit
// code.
int run_command_line(int argc, char** argv);

}  // namespace cohort
