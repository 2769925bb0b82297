// cohort data check: what is wrong with data files, before a run is.
#include <fmt/format.h>

#include <memory>
#include <optional>

#include "cli/command.h"
#include "core/check.h"
#include "core/yaml.h"
#include "trainer/config_value.h"
#include "trainer/data_check.h"
#include "trainer/data_columns.h"
#include "trainer/dataset.h"
#include "trainer/model_setup.h"

namespace cohort {
namespace {

struct Options {
  std::string action, model, columns, config, format = "text", answer = "answer";
  std::vector<std::string> files, eval;
  int64_t max_prompt_length = 0;
  bool strict = false;
};

Json given_columns(const std::string& yaml) {
  if (yaml.empty()) return Json::object();
  const std::string where = "--columns";
  const YAML::Node node = parse_yaml(yaml, where, false);
  CHECK_USAGE(node.IsMap(), "{}: found {}; allowed: a map like \"{{prompt: question}}\"", where, describe(node));
  Json columns = yaml_to_json(node, {where, false});
  check_columns(columns, where);
  return columns;
}

void add_files(const DataFiles& files, const DataSection& data, bool eval, std::vector<CheckedSource>& sources) {
  if (!files.path.empty()) sources.push_back({files.path, data.columns, eval});
  for (const DataSource& source : files.sources) sources.push_back({source.path, columns_of(source, data), eval});
}

// The files that are named, and those of the config.
std::vector<CheckedSource> sources_of(const Options& o, const DataSection& data) {
  std::vector<CheckedSource> sources;
  add_files(data.train, data, false, sources);
  add_files(data.eval, data, true, sources);
  CHECK_USAGE(o.config.empty() || !sources.empty(), "{}: data.task makes its problems, and there is no file to check", o.config);
  const Json columns = given_columns(o.columns);
  for (const std::string& file : o.files) sources.push_back({file, columns, false});
  for (const std::string& file : o.eval) sources.push_back({file, columns, true});
  CHECK_USAGE(!sources.empty(), "no file to check; name files, or --config CONFIG");
  return sources;
}

int run(const Options& o) {
  CHECK_USAGE(o.config.empty() || o.columns.empty(), "--columns and --config: the config's data.columns says it; remove one of the two");
  DataCheckSetting setting{.answer = o.answer};
  ModelSection model{.path = o.model};
  if (!o.config.empty()) {
    const Config config = load_config(o.config, {}, ConfigUse::recorded);  // for training or for cohort sft
    setting.config = config.data;
    if (o.model.empty()) model = config.model;
  }
  if (o.max_prompt_length > 0) setting.config.max_prompt_length = o.max_prompt_length;
  const std::vector<CheckedSource> sources = sources_of(o, setting.config);

  std::optional<Tokenizer> tokenizer;
  std::optional<ChatTemplate> chat_template;
  if (model.init || !model.path.empty()) {
    tokenizer.emplace(tokenizer_of(model));
    chat_template.emplace(ChatTemplate::load(model.init ? "/dev/null" : model.path));  // a model from scratch has none
    setting.tokenizer = &*tokenizer;
    setting.chat_template = &*chat_template;
  } else {
    CHECK_USAGE(o.max_prompt_length == 0, "--max-prompt-length counts tokens, which --model tells apart; give --model MODEL as well");
  }
  const DataReport report = check_data(sources, setting);
  fmt::print("{}", o.format == "json" ? dump_json(report_json(report), 2) + "\n" : report_text(report));
  const bool fails = report.errors() > 0 || (o.strict && report.warnings() > 0);
  return static_cast<int>(fails ? ExitCode::kInput : ExitCode::kOk);
}

}  // namespace

Action add_data(App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("ACTION", o->action, "what to do: check").required().one_of({"check"});
  app.add_option("FILE", o->files, "JSONL that is trained on, also packed with gzip").type_name("");
  app.add_option("--eval", o->eval, "JSONL of evaluation, whose prompts training must not see; may be given several times")
      .type_name("FILE")
      .one_value();
  app.add_option("--config", o->config, "check data.train and data.eval of a config, with its columns, model and limits").type_name("CONFIG");
  app.add_option("--columns", o->columns, "as data.columns: \"{prompt: question, answer: reward_model.ground_truth}\"").type_name("MAP");
  app.add_option("--answer", o->answer, "the column that answers are in").show_default();
  app.add_option("--model", o->model, "a Hugging Face folder: lengths are in tokens, prompts through its chat template").type_name("DIR");
  app.add_option("--max-prompt-length", o->max_prompt_length, "tokens that a prompt may have (default: data.max_prompt_length, 512)")
      .range(int64_t{1}, int64_t{1} << 20);
  app.add_option("--format", o->format, "of what is printed").one_of({"text", "json"}).show_default();
  app.add_flag("--strict", o->strict, "warnings count as errors");
  app.footer(
      "Errors (exit code 3): lines that training refuses, prompts that are too long, prompts of evaluation that training sees.\n"
      "Warnings: prompts that stand twice, with different answers, columns that rows lack or that have several types, empty answers, blank prompts.\n"
      "  cohort data check train.jsonl --eval test.jsonl.gz --columns \"{prompt: question}\"\n"
      "docs/data.md has the columns of GSM8K, MATH and verl, and how parquet becomes JSONL.");
  return [o] { return run(*o); };
}

}  // namespace cohort
