// cohort convert-config: a config of TRL, verl or OpenRLHF as one of cohort.
#include <fmt/format.h>

#include <memory>

#include "cli/command.h"
#include "cli/failure.h"
#include "core/check.h"
#include "core/files.h"
#include "core/yaml.h"
#include "trainer/config_convert.h"

namespace cohort {
namespace {

struct Options {
  std::string file;
  int64_t processes = 1;
};

std::string read_config(const std::string& file) {
  try {
    return read_file(file, kMaxYamlBytes);
  } catch (const Error& error) {
    throw Error(ExitCode::kUsage, error.what());  // as for any config
  }
}

int run(const Options& o) {
  const ConvertedConfig converted = convert_config(read_config(o.file), o.file, o.processes);
  fmt::print("{}", converted.yaml);
  std::string report;
  for (const std::string& note : converted.notes) report += note + "\n";
  for (const std::string& what : converted.to_do) report += fmt::format("still to be done: {}\n", what);
  tell(report + fmt::format("{} keys translated, {} notes\n", converted.translated, converted.notes.size()));
  return 0;
}

}  // namespace

Action add_convert_config(App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("FILE", o->file, "a YAML config of TRL, verl or OpenRLHF").required();
  app.add_option("--processes", o->processes, "that it was written for: TRL's batch sizes are those of one")
      .range(1, 65536)
      .show_default();
  app.footer(
      "The config goes to standard output, with the name that each key had; what has no translation, or another meaning, is said on standard\n"
      "error with its line: cohort convert-config grpo.yaml > mine.yaml. References (${...}) and Python objects are not followed.");
  return [o] { return run(*o); };
}

}  // namespace cohort
