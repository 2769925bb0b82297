// cohort metrics: metrics.jsonl as a table.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "cli/command.h"
#include "cli/records.h"
#include "core/check.h"
#include "trainer/compare_runs.h"

namespace cohort {
namespace {

struct Options {
  std::string run;
  RecordFiles files;
};

// As RFC 4180 has it: a name, or a value that is a text, may hold what a table is made of.
std::string field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string(2, c) : std::string(1, c);
  return quoted + "\"";
}

int run(const Options& o) {
  const std::map<int64_t, Json> steps = read_metrics(o.run);
  CHECK_INPUT(!steps.empty(), "{}: no metrics: metrics.jsonl is missing or empty", o.run);
  std::vector<std::string> columns;  // in the order of their first appearance: not every step has an evaluation
  for (const auto& [step, metrics] : steps)
    for (const auto& [name, value] : metrics.items())
      if (std::ranges::find(columns, name) == columns.end()) columns.push_back(name);
  RecordWriter writer(o.files);
  std::vector<std::string> head;
  for (const std::string& column : columns) head.push_back(field(column));
  writer.write_text(fmt::format("{}", fmt::join(head, ",")));
  for (const auto& [step, metrics] : steps) {
    std::string line;
    for (const std::string& column : columns) {
      if (&column != &columns.front()) line += ',';
      if (metrics.contains(column)) line += field(metrics[column].is_string() ? metrics[column].get<std::string>() : dump_json(metrics[column]));
    }
    writer.write_text(line);
  }
  return writer.finish();
}

}  // namespace

Action add_metrics(App& app) {
  auto o = std::make_shared<Options>();
  o->files.input.clear();
  app.add_option("RUN", o->run, "a run directory").required();
  app.add_option("--output", o->files.output, "CSV to write; - is standard output").show_default();
  app.footer("One line a step, one column a metric; a metric that a step does not have is empty there.");
  return [o] { return run(*o); };
}

}  // namespace cohort
