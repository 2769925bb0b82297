// The commands of `cohort`: each file of this folder adds one command's options and says how to run
// it.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "cli/app.h"

namespace cohort {

// Runs a command whose options are parsed; returns the exit code of the process.
using Action = std::function<int()>;

struct Command {
  std::string_view name, summary;
  Action (*add)(App& app);  // adds the options; the action owns what they are parsed into
};
std::span<const Command> commands();

Action add_train(App& app);
Action add_sft(App& app);
Action add_rm(App& app);
Action add_eval(App& app);
Action add_pipeline(App& app);
Action add_generate(App& app);
Action add_score(App& app);
Action add_logprobs(App& app);
Action add_tokenize(App& app);
Action add_render(App& app);
Action add_inspect(App& app);
Action add_data(App& app);
Action add_import(App& app);
Action add_compare(App& app);
Action add_replay(App& app);
Action add_plan(App& app);
Action add_doctor(App& app);
Action add_explain(App& app);
Action add_schema(App& app);
Action add_init(App& app);
Action add_convert_config(App& app);
Action add_metrics(App& app);
Action add_report(App& app);
Action add_watch(App& app);
Action add_completion(App& app);
Action add_man(App& app);

std::string version_text();  // version, build type, architecture, compiler, CUDA

// The whole program: parses the command line, runs the command, prints errors. Returns the exit
// code.
int run_command_line(int argc, char** argv);

}  // namespace cohort
