// cohort eval: accuracy of a model on a config's evaluation data.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>

#include "cli/arguments.h"
#include "cli/command.h"
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

Json completion_row(const Dataset& data, const EvalResult& result, size_t i,
                    const std::vector<RewardSpec>& rewards) {
  const RewardSet::Row& row = result.scores[i];
  const auto or_null = [](const std::optional<double>& v) { return v ? Json(*v) : Json(nullptr); };
  Json scores = Json::object();
  for (size_t r = 0; r < rewards.size(); ++r) scores[rewards[r].name] = or_null(row.scores[r]);
  return {{"id", data.problems[i].id},
          {"prompt_ids", data.problems[i].tokens},
          {"completion", result.completions[i]},
          {"finish_reason", finish_reason_name(result.rollouts[i].finish_reason)},
          {"reward", or_null(row.total)},
          {"rewards", scores}};
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
  const int64_t problems = static_cast<int64_t>(data.problems.size());
  Generator generator(*model.policy,
                      generator_config(config, model, Sampling::evaluation, problems, comm, ranks_on_host(comm)),
                      longest_prompt(data));

  StatusLine line;
  StageProgress stage(line);
  const bool show = !o.quiet && comm.rank() == 0;
  comm.set_deadline(in_ms(sampling));
  watchdog.enter("evaluation", 0, in_ms(with_grace(sampling)));
  const EvalResult result = evaluate(data, generator, model.tokenizer, rewards, 0, comm,
                                     owner.exec(), [&](int64_t done, int64_t total) {
                                       if (show) stage.update("evaluation", done, total);
                                     }, config.comm.reward_timeout_s);
  line.close();
  watchdog.leave();
  if (result.judged == 0)
    fail(ExitCode::kRankFailed, "{}: no problem has a score: {}", data.name,
         missing_text(*std::ranges::find(result.missing, size_t{0}, &MissingScores::reward), rewards));
  if (comm.rank() != 0) return 0;
  for (const MissingScores& missing : result.missing) tell(fmt::format("cohort: warning: {}\n", missing_text(missing, rewards)));
  if (!o.completions.empty()) {
    std::string text;
    for (size_t i = 0; i < data.problems.size(); ++i) {
      text += dump_json(completion_row(data, result, i, rewards.specs())) + "\n";
    }
    write_file_atomic(o.completions, text);
  }
  fmt::print("{}\n", dump_json({{"model", config.model.path},
                                {"data", data.name},
                                {"problems", result.problems},
                                {"accuracy", result.accuracy},
                                {"reward", result.reward},
                                {"mean_length", result.mean_length},
                                {"truncated", result.truncated}}));
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
  app.add_option("--completions", o->completions, "write each problem's completion and scores here")
      ->type_name("FILE.jsonl");
  app.add_flag("--quiet", o->quiet, "no progress");
  app.footer(
      "Prints one JSON object: {\"model\", \"data\", \"problems\", \"accuracy\", \"reward\", "
      "\"mean_length\", \"truncated\"}.\nOne completion a problem at rollout.eval_temperature; "
      "accuracy is the mean of the first reward.\nSeveral ranks: mpirun -n N cohort eval CONFIG; "
      "the result does not depend on N.");
  return [o] { return run_on_ranks(StopRequests::end, [&](Comm& comm, LastSeen& seen) { return run(*o, comm, seen); }); };
}

}  // namespace cohort
