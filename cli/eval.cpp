// cohort eval: accuracy, pass@k and majority of a model on a config's evaluation data.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/eval_table.h"
#include "cli/failure.h"
#include "cli/progress.h"
#include "cli/prompts.h"
#include "comm/watchdog.h"
#include "core/check.h"
#include "core/files.h"
#include "trainer/deadlines.h"
#include "trainer/evaluate.h"
#include "trainer/generator_setup.h"

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

Config load(const Options& o) {
  Config config = o.config.load();
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
  const double loading = meeting_timeout(config, config.comm.load_timeout_s), sampling = rollout_meeting_timeout(config);
  comm.set_deadline(in_ms(loading));  // all ranks load alike, but one may have to wait for its disk
  // Longer than ranks wait for each other in it: who waits names the rank that does not come.
  watchdog.enter("load", 0, in_ms(with_grace(loading)));
  const ThreadPlan threads = choose_threads(config.run, comm);
  ExecOwner owner(threads.threads, threads.cpus, rank_gpu(config.run, comm));
  const LoadedModel model = load_model(config.model.path, config.model.dtype, 1, owner.exec(), PolicyUse::inference, o.base);
  Dataset data = load_data(config.data).eval;
  CHECK_USAGE(!data.problems.empty(),
              "the config names no evaluation data: set data.eval, or data.task with eval_size");
  encode_prompts(data, model.tokenizer, model.chat_template, config.data, model.policy->config.vocab_size);
  const RewardSet rewards(config.reward);
  const int64_t sequences = std::ssize(data.problems) * config.rollout.num_generations_eval;
  Generator generator(*model.policy,
                      generator_config(config, model, Sampling::evaluation, sequences, comm, ranks_on_host(comm)),
                      longest_prompt(data));

  StatusLine line;
  StageProgress stage(line);
  const bool show = !o.quiet && comm.rank() == 0;
  std::vector<EvalResult> results;
  std::string completions;
  for (const DataPart& part : eval_parts(data)) {  // each as long as sampling and scoring of a step
    comm.set_deadline(in_ms(sampling));
    watchdog.enter("evaluation", 0, in_ms(with_grace(sampling)));
    const std::string name = part.name.empty() ? "evaluation" : "evaluation, " + part.name;
    EvalResult& result = results.emplace_back(evaluate(data, part, eval_setting(config), generator, model.tokenizer, rewards, 0, comm, owner.exec(),
                                                       [&](int64_t done, int64_t total) {
                                                         if (show) stage.update(name, done, total);
                                                       }, config.comm.reward_timeout_s));
    watchdog.leave();
    if (result.judged == 0)
      fail(ExitCode::kRankFailed, "{}: no problem has a score: {}", result.data,
           missing_text(*std::ranges::find(result.missing, size_t{0}, &MissingScores::reward), rewards));
    for (size_t i = 0; !o.completions.empty() && comm.rank() == 0 && i < result.completions.size(); ++i)
      completions += dump_json(eval_completion(result, data, part, i, rewards.specs())) + "\n";
    result.rollouts = {}, result.completions = {}, result.scores = {};  // of one set at a time
  }
  line.close();
  if (comm.rank() != 0) return 0;
  for (const EvalResult& result : results)
    for (const MissingScores& missing : result.missing) tell(fmt::format("cohort: warning: {}\n", missing_text(missing, rewards)));
  if (!o.completions.empty()) write_file_atomic(o.completions, completions);
  for (const EvalResult& result : results) fmt::print("{}\n", dump_json(result_line(result, config.model.path)));
  if (show) tell(eval_table({{"", eval_metrics(results)}}));
  return 0;
}

int run(const Options& o, Comm& comm, LastSeen& seen) {
  const Config config = load(o);
  Watchdog watchdog(rank_name(comm), ends_all_ranks(comm, seen), &seen);
  try {
    return evaluate_model(o, config, comm, watchdog);
  } catch (...) {
    throw located(std::current_exception(), watchdog);
  }
}

}  // namespace

Action add_eval(CLI::App& app) {
  auto o = std::make_shared<Options>();
  o->config.add_options(app);
  app.add_option("--model", o->model, "a model folder, in place of the config's model")
      ->type_name("DIR");
  app.add_option("--base", o->base, "the base of a model that is a LoRA adapter (default: the one that its adapter_config.json names)")
      ->type_name("DIR");
  app.add_option("--completions", o->completions, "write each problem's completions and scores here")
      ->type_name("FILE.jsonl");
  app.add_flag("--quiet", o->quiet, "no progress and no table");
  app.footer(
      "Prints one JSON object a set of data.eval: {\"model\", \"data\", \"set\"?, \"problems\", \"samples\", \"accuracy\", \"accuracy_ci95\", "
      "\"ci_method\", \"reward\", \"mean_length\", \"truncated\"}; with rollout.num_generations_eval above 1 also \"pass@k\" and \"maj@n\".\n"
      "Accuracy is the mean of the first reward. Sampling: rollout.eval_temperature (0: greedy), eval_top_p, eval_top_k, eval_min_p. "
      "docs/evaluation.md has the formulas.\n"
      "Several ranks: mpirun -n N cohort eval CONFIG; the result does not depend on N.");
  return [o] { return run_on_ranks(StopRequests::end, [&](Comm& comm, LastSeen& seen) { return run(*o, comm, seen); }); };
}

}  // namespace cohort
