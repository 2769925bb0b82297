#include "pipeline/sampling.h"

#include <algorithm>

#include "core/check.h"
#include "trainer/deadlines.h"
#include "trainer/generator_setup.h"

namespace cohort {
namespace {

// The problem as its file had it, and what came of it.
Json sampled_row(const EvalResult& result, const Problem& problem, size_t i, const std::vector<RewardSpec>& rewards) {
  const auto or_null = [](const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); };
  Json row = {{"id", problem.id}, {"prompt", problem.messages.empty() ? Json(problem.prompt) : problem.messages}};
  for (const auto& [name, value] : problem.columns.items())
    if (name != "messages") row[name] = value;  // fine-tuning would take them for an example of their own
  row["sample"] = i % static_cast<size_t>(result.samples);
  row["completion"] = result.completions[i];
  row["ids"] = result.rollouts[i].tokens;
  row["finish_reason"] = finish_reason_name(result.rollouts[i].finish_reason);
  if (problem.opens_thinking) row["opens_thinking"] = true;
  const RewardSet::Row& scores = result.scores[i];
  row["reward"] = or_null(scores.total);
  row["rewards"] = Json::object();
  for (size_t r = 0; r < rewards.size(); ++r) row["rewards"][rewards[r].name] = or_null(scores.scores[r]);
  return row;
}

}  // namespace

SampledModel sample_model(const Config& config, SampledData which, Comm& comm, Watchdog& watchdog, TrainObserver& observer, const Exec& ex) {
  CHECK_USAGE(!config.model.init, "model.init has no trained weights to sample: set model.path, e.g. to the model that an earlier stage left");
  const bool training = which == SampledData::train;
  const double loading = meeting_timeout(config, config.comm.load_timeout_s), sampling = rollout_meeting_timeout(config);
  comm.set_deadline(in_ms(loading));
  watchdog.enter("load", 0, in_ms(with_grace(loading)));
  const LoadedModel model = load_model(config.model.path, config.model.dtype, 1, ex, PolicyUse::inference);
  TaskData sets = load_data(config.data);
  Dataset& data = training ? sets.train : sets.eval;
  CHECK_USAGE(!data.problems.empty(), "the config names no data to {}", training ? "sample: set data.train or data.task"
                                                                                : "evaluate: set data.eval, or data.task with eval_size");
  encode_prompts(data, model.tokenizer, model.chat_template, config.data, model.policy->config.vocab_size);
  const RewardSet rewards(config.reward);
  EvalSetting setting = eval_setting(config);
  if (training) setting.samples = config.rollout.num_generations, setting.pass_at_k = {};
  const Sampling draws = training ? Sampling::training : Sampling::evaluation;
  Generator generator(*model.policy,
                      generator_config(config, model, draws, std::ssize(data.problems) * setting.samples, comm, ranks_on_host(comm)),
                      longest_prompt(data));
  SampledModel sampled;
  for (const DataPart& part : eval_parts(data)) {  // each may take as long as sampling and scoring of a step
    comm.set_deadline(in_ms(sampling));
    watchdog.enter("rollout", 0, in_ms(with_grace(sampling)));
    const std::string name = part.name.empty() ? "sampling" : "sampling, " + part.name;
    EvalResult& result = sampled.results.emplace_back(
        evaluate(data, part, setting, generator, model.tokenizer, rewards, 0, comm, ex,
                 [&](int64_t done, int64_t total) { observer.stage(name, done, total); }, config.comm.reward_timeout_s));
    watchdog.leave();
    if (result.judged == 0)
      fail(ExitCode::kRankFailed, "{}: no problem has a score: {}", result.data,
           missing_text(*std::ranges::find(result.missing, size_t{0}, &MissingScores::reward), rewards));
    if (comm.rank() == 0)
      for (const MissingScores& missing : result.missing) observer.warning(missing_text(missing, rewards));
    for (size_t i = 0; comm.rank() == 0 && i < result.completions.size(); ++i) {
      const Problem& problem = data.problems[static_cast<size_t>(part.begin) + i / static_cast<size_t>(result.samples)];
      sampled.rows += dump_json(sampled_row(result, problem, i, rewards.specs())) + "\n";
    }
    result.rollouts = {}, result.completions = {}, result.scores = {};
  }
  return sampled;
}

}  // namespace cohort
