// cohort report: runs as one HTML page that needs no network.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <vector>

#include "cli/command.h"
#include "cli/failure.h"
#include "cli/report_page.h"
#include "core/files.h"
#include "core/text.h"
#include "trainer/report_data.h"

namespace cohort {
namespace {

struct Options {
  std::vector<std::string> runs;
  std::string output;
};

int run(const Options& o) {
  const std::vector<std::filesystem::path> runs(o.runs.begin(), o.runs.end());
  const std::string page = report_page(report_data(runs));
  if (o.output == "-") {
    fmt::print("{}", page);
    return 0;
  }
  const std::filesystem::path file = o.output.empty() ? runs.front() / "report.html" : std::filesystem::path(o.output);
  write_file_atomic(file, page);
  tell_result(fmt::format("{}  {}\n", file.string(), human_bytes(page.size())));
  return 0;
}

}  // namespace

Action add_report(App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("RUN", o->runs, "run directories; several are compared on one page").required().values(1, 7);
  app.add_option("--output", o->output, "the page; - is standard output (default: report.html in the first run directory)");
  app.footer("The page opens from disk, without network: curves, evaluations, completions with log-probs and rewards, config, events.");
  return [o] { return run(*o); };
}

}  // namespace cohort
