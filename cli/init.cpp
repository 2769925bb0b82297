// cohort init: a commented config to begin with.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/starters.h"
#include "core/check.h"

namespace cohort {

Action add_init(App& app) {
  struct Options {
    std::string name;
    bool data = false;
  };
  auto o = std::make_shared<Options>();
  std::vector<std::string> names;
  std::string list = "Starters:\n";
  for (const Starter& starter : starters()) {
    names.emplace_back(starter.name);
    list += fmt::format("  {:<12} {}\n", starter.name, starter.summary);
  }
  std::ranges::sort(names);
  app.add_option("TASK", o->name, "which starter").required().one_of(names);
  app.add_flag("--data", o->data, "print rows to try it with, in place of the config; only for starters that read a file");
  app.footer(list +
             "\n  cohort init arithmetic > my.yaml && cohort train my.yaml\n"
             "  cohort init jsonl > my.yaml && cohort init jsonl --data > problems.jsonl && cohort train my.yaml");
  return [o] {
    for (const Starter& starter : starters()) {
      if (starter.name != o->name) continue;
      CHECK_USAGE(!o->data || !starter.rows.empty(), "--data: starter '{}' reads no file: cohort makes its problems; leave --data out", o->name);
      fmt::print("{}", o->data ? starter.rows : starter.config);
    }
    return 0;
  };
}

}  // namespace cohort
