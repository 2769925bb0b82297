// cohort eval: accuracy, pass@k and majority of a model on a config's evaluation data.
#include <fmt/format.h>

#include <memory>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/eval_table.h"
#include "cli/failure.h"
#include "cli/progress.h"
#include "comm/watchdog.h"
#include "core/check.h"
#include "core/files.h"
#include "trainer/sample_model.h"

namespace cohort {
namespace {

struct Options {
  ConfigArguments config;
  std::string model, base, completions;
  bool quiet = false;
};

Json interval(const Interval& ci) { return {ci.low, ci.high}; }

// Of one set.
Json result_line(const EvalResult& result, const std::string& model) {
  Json line = {{"model", model}, {"data", result.data}};
  if (!result.set.empty()) line["set"] = result.set;
  line["problems"] = result.problems;
  line["samples"] = result.samples;
  line["accuracy"] = result.accuracy;
  line["accuracy_ci95"] = interval(result.accuracy_ci);
  line["ci_method"] = result.ci_method;
  for (const PassAtK& pass : result.pass_at_k) {
    line[fmt::format("pass@{}", pass.k)] = pass.value;
    line[fmt::format("pass@{}_ci95", pass.k)] = interval(pass.ci);
  }
  if (result.majority) {
    line[fmt::format("maj@{}", result.samples)] = result.majority->value;
    line[fmt::format("maj@{}_ci95", result.samples)] = interval(result.majority->ci);
  }
  line["reward"] = result.reward;
  line["mean_length"] = result.mean_length;
  line["truncated"] = result.truncated;
  return line;
}

Config with_model(Config config, const Options& o) {
  if (!o.model.empty()) {
    config.model.path = o.model;
    config.model.init.reset();
  }
  CHECK_USAGE(!config.model.init,
              "model.init has no trained weights to evaluate: give a model folder with --model, "
              "e.g. {}",
              (config.run_dir() / "final").string());
  return config;
}

int evaluate_model(const Options& o, const Config& config, Comm& comm, Watchdog& watchdog) {
  const std::shared_ptr<Gpu> gpu = load_gpu(config, comm, watchdog);
  const ThreadPlan threads = choose_threads(config.run, comm);
  ExecOwner owner(threads.threads, threads.cpus, gpu);
  StatusLine line;
  StageProgress stage(line);
  std::vector<std::string> warnings;
  std::string completions;
  SampleCallbacks callbacks{.warning = [&](const std::string& text) { warnings.push_back(text); }};
  if (!o.quiet) callbacks.progress = [&](const std::string& what, int64_t done, int64_t total) { stage.update(what, done, total); };
  if (!o.completions.empty())
    callbacks.completion = [&](const EvalResult& result, const Dataset& data, const DataPart& part, size_t i) {
      completions += dump_json(eval_completion(result, data, part, i, config.reward)) + "\n";
    };
  const std::vector<EvalResult> results = sample_model(config, SampledData::eval, comm, watchdog, callbacks, owner.exec(), o.base);
  stage.close();
  if (comm.rank() != 0) return 0;
  for (const std::string& warning : warnings) tell(fmt::format("cohort: warning: {}\n", warning));
  if (!o.completions.empty()) write_file_atomic(o.completions, completions);
  for (const EvalResult& result : results) fmt::print("{}\n", dump_json(result_line(result, config.model.path)));
  if (!o.quiet) tell(eval_table({{"", eval_metrics(results)}}));
  return 0;
}

int run(const Options& o, const Config& given, Comm& comm, LastSeen& seen) {
  const Config config = with_model(given, o);
  Watchdog watchdog(rank_name(comm), ends_all_ranks(comm, seen), &seen);
  try {
    return evaluate_model(o, config, comm, watchdog);
  } catch (...) {
    throw located(std::current_exception(), watchdog);
  }
}

}  // namespace

Action add_eval(App& app) {
  auto o = std::make_shared<Options>();
  o->config.add_options(app);
  app.add_option("--model", o->model, "a model folder, in place of the config's model")
      .type_name("DIR");
  app.add_option("--base", o->base, "the base of a model that is a LoRA adapter (default: the one that its adapter_config.json names)")
      .type_name("DIR");
  app.add_option("--completions", o->completions, "write each problem's completions and scores here")
      .type_name("FILE.jsonl");
  app.add_flag("--quiet", o->quiet, "no progress and no table");
  app.footer(
      "Prints one JSON object a set of data.eval: {\"model\", \"data\", \"set\"?, \"problems\", \"samples\", \"accuracy\", \"accuracy_ci95\", "
      "\"ci_method\", \"reward\", \"mean_length\", \"truncated\"}; with rollout.num_generations_eval above 1 also \"pass@k\" and \"maj@n\".\n"
      "Accuracy is the mean of the first reward. Sampling: rollout.eval_temperature (0: greedy), eval_top_p, eval_top_k, eval_min_p. "
      "docs/evaluation.md has the formulas.\n"
      "Several ranks: mpirun -n N cohort eval CONFIG; the result does not depend on N.");
  return [o] {
    const EarlyConfig config(o->config);
    return run_on_ranks(
        StopRequests::end, [&](Comm& comm, LastSeen& seen) { return run(*o, config.get(), comm, seen); }, config.start_limit());
  };
}

}  // namespace cohort
