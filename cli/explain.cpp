// cohort explain: what a key of the config is; cohort schema: the same for editors.
#include <fmt/format.h>

#include <memory>

#include "cli/command.h"
#include "trainer/config_describe.h"

namespace cohort {

Action add_explain(App& app) {
  struct Options {
    std::string query;
    bool markdown = false;
  };
  auto o = std::make_shared<Options>();
  app.add_option("KEY", o->query, "a key (algorithm.epsilon, or epsilon), a section, a reward or its option (reward.math, reward.math.mode), or what TRL, verl, OpenRLHF or NeMo-RL call it; without it: all keys");
  app.add_flag("--markdown", o->markdown, "the page docs/config.md");
  return [o] {
    fmt::print("{}", o->markdown ? config_markdown() : explain(o->query));
    return 0;
  };
}

Action add_schema(App& app) {
  app.footer(
      "A JSON Schema (draft 2020-12) of config files. An editor with a YAML language server completes and checks keys by it, from the line\n"
      "`# yaml-language-server: $schema=cohort.schema.json` at the top of a config, after `cohort schema > cohort.schema.json`.");
  return [] {
    fmt::print("{}\n", dump_json(config_json_schema(), 2));
    return 0;
  };
}

}  // namespace cohort
