#include "trainer/sample_model.h"

#include <algorithm>

#include "core/check.h"
#include "trainer/deadlines.h"
#include "trainer/generator_setup.h"
#include "trainer/model_rewards.h"
#include "trainer/ranks_agree.h"

namespace cohort {

std::vector<EvalResult> sample_model(const Config& config, SampledData which, Comm& comm, Watchdog& watchdog, const SampleCallbacks& callbacks,
                                     const Exec& ex, const std::string& base) {
  check_same_start(config, comm);
  const bool training = which == SampledData::train, tells = comm.rank() == 0;
  CHECK_USAGE(!config.model.init, "model.init has no trained weights to {}: set model.path to a model's folder", training ? "sample" : "evaluate");
  const double loading = meeting_timeout(config, config.comm.load_timeout_s), sampling = rollout_meeting_timeout(config);
  comm.set_deadline(in_ms(loading));  // all ranks load alike, but one may have to wait for its disk
  // Longer than ranks wait for each other in it: who waits names the rank that does not come.
  watchdog.enter("load", 0, in_ms(with_grace(loading)));
  const LoadedModel model = load_model(config.model.path, config.model.dtype, 1, ex, PolicyUse::inference, base);
  TaskData sets = load_data(config.data);
  Dataset& data = training ? sets.train : sets.eval;
  CHECK_USAGE(!data.problems.empty(), "the config names no {}", training ? "data to sample: set data.train or data.task"
                                                                         : "evaluation data: set data.eval, or data.task with eval_size");
  if (callbacks.accept) callbacks.accept(data);
  encode_prompts(data, model.tokenizer, model.chat_template, config.data, model.policy->config.vocab_size);
  const RewardSet rewards = make_rewards(config, ex);
  EvalSetting setting = eval_setting(config);
  if (training) setting.samples = config.rollout.num_generations, setting.pass_at_k = {};
  Generator generator(*model.policy,
                      generator_config(config, model, training ? Sampling::training : Sampling::evaluation, std::ssize(data.problems) * setting.samples,
                                       comm, ranks_on_host(comm)),
                      longest_prompt(data));
  std::vector<EvalResult> results;
  for (const DataPart& part : eval_parts(data)) {
    comm.set_deadline(in_ms(sampling));
    watchdog.enter(training ? "rollout" : "evaluation", 0, in_ms(with_grace(sampling)));
    const std::string what = fmt::format("{}{}{}", training ? "sampling" : "evaluation", part.name.empty() ? "" : ", ", part.name);
    EvalResult& result = results.emplace_back(evaluate(data, part, setting, generator, model.tokenizer, rewards, 0, comm, ex,
                                                       [&](int64_t done, int64_t total) {
                                                         if (tells && callbacks.progress) callbacks.progress(what, done, total);
                                                       }, config.comm.reward_timeout_s));
    watchdog.leave();
    if (result.judged == 0)
      fail(ExitCode::kRankFailed, "{}: no problem has a score: {}", result.data,
           missing_text(*std::ranges::find(result.missing, size_t{0}, &MissingScores::reward), rewards));
    for (const MissingScores& missing : result.missing)
      if (tells && callbacks.warning) callbacks.warning(missing_text(missing, rewards));
    for (size_t i = 0; tells && callbacks.completion && i < result.completions.size(); ++i) callbacks.completion(result, data, part, i);
    result.rollouts = {}, result.completions = {}, result.scores = {}, result.reasons = {};  // of one set at a time
  }
  return results;
}

}  // namespace cohort
