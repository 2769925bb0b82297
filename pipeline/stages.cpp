#include "pipeline/stages.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/check.h"
#include "core/files.h"
#include "pipeline/rows.h"
#include "pipeline/sampled_row.h"
#include "reward/completion_record.h"
#include "reward/score_json.h"
#include "reward/scorer.h"
#include "trainer/deadlines.h"
#include "trainer/grpo.h"
#include "trainer/model_rewards.h"
#include "trainer/sample_model.h"
#include "trainer/sft.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

fs::path completions_of(const ReadyStage& eval) { return eval.folder / "completions.jsonl"; }

StageOutcome run_train(const ReadyStage& ready, PipelineContext& context, const Exec& ex) {
  const TrainSummary summary =
      train(*ready.config, context.comm, context.watchdog, context.signals, context.observer.of_stage(), ex);
  StageOutcome outcome{.what = fmt::format("{} steps", summary.steps), .stopped_early = summary.stopped_early};
  if (summary.accuracy_before) outcome.what += fmt::format(", accuracy before {:.3f}", *summary.accuracy_before);
  if (summary.accuracy_after) outcome.what += fmt::format(", after {:.3f}", *summary.accuracy_after);
  return outcome;
}

StageOutcome run_sft(const ReadyStage& ready, PipelineContext& context, const Exec& ex) {
  const SftSummary summary = sft(*ready.config, context.comm, context.watchdog, context.signals, context.observer.of_stage(), ex);
  StageOutcome outcome{.what = fmt::format("{} steps on {} examples", summary.steps, summary.examples), .stopped_early = summary.stopped_early};
  if (summary.eval_loss_after) outcome.what += fmt::format(", eval loss {:.4f}", *summary.eval_loss_after);
  return outcome;
}

struct Sampled {
  std::vector<EvalResult> results;
  std::string rows;  // on rank 0
};
Sampled sample(const ReadyStage& ready, SampledData which, PipelineContext& context, const Exec& ex) {
  const std::vector<RewardSpec>& rewards = ready.config->reward;
  TrainObserver& observer = context.observer.of_stage();
  Sampled sampled;
  const bool goes_on = which == SampledData::train;  // evaluations keep their rows for people
  const SampleCallbacks callbacks{
      .accept = [&](const Dataset& data) { if (goes_on) check_own_columns(data); },
      .progress = [&](const std::string& what, int64_t done, int64_t total) { observer.stage(what, done, total); },
      .completion =
          [&](const EvalResult& result, const Dataset& data, const DataPart& part, size_t i) {
            const Problem& problem = data.problems[static_cast<size_t>(part.begin) + i / static_cast<size_t>(result.samples)];
            sampled.rows += dump_json(sampled_row(result, problem, i, rewards)) + "\n";
          },
      .warning = [&](const std::string& text) { observer.warning(text); }};
  sampled.results = sample_model(*ready.config, which, context.comm, context.watchdog, callbacks, ex);
  return sampled;
}

StageOutcome run_eval(const ReadyStage& ready, PipelineContext& context, const Exec& ex) {
  const Sampled sampled = sample(ready, SampledData::eval, context, ex);
  StageOutcome outcome;
  for (const EvalMetric& metric : eval_metrics(sampled.results)) outcome.numbers[metric.name] = metric.value;
  for (const EvalResult& result : sampled.results)
    outcome.what += fmt::format("{}{}accuracy {:.3f}", outcome.what.empty() ? "" : ", ", result.set.empty() ? "" : result.set + " ", result.accuracy);
  if (context.comm.rank() == 0) {
    make_writable_dir(ready.folder);
    write_file_atomic(completions_of(ready), sampled.rows);
    write_file_atomic(ready.output, dump_json(outcome.numbers, 2) + "\n");
  }
  return outcome;
}

// Writes the rows, unless there are none: a stage that leaves nothing fails.
void write_rows(const ReadyStage& ready, const std::string& text, const std::string& what) {
  CHECK_INPUT(!text.empty(), "no row is left: {}", what);
  make_writable_dir(ready.folder);
  write_file_atomic(ready.output, text);
}

StageOutcome run_sample(const ReadyStage& ready, PipelineContext& context, const Exec& ex) {
  const Sampled sampled = sample(ready, SampledData::train, context, ex);
  StageOutcome outcome;
  int64_t problems = 0;
  double reward = 0;
  for (const EvalResult& result : sampled.results)
    problems += result.problems, reward += result.reward * static_cast<double>(result.problems);
  outcome.what = fmt::format("{} completions of each of {} prompts, mean reward {:.3f}", sampled.results.front().samples, problems,
                             reward / static_cast<double>(problems));
  if (context.comm.rank() == 0) write_rows(ready, sampled.rows, outcome.what);
  return outcome;
}

// On rank 0, as `cohort score` does: rewards run many at a time, and the other ranks wait for each batch.
StageOutcome run_score(const ReadyStage& ready, PipelineContext& context, const Exec& ex) {
  constexpr size_t kBatch = 512;
  const Config& config = *ready.config;
  const double batch_s = rollout_meeting_timeout(config);
  context.comm.set_deadline(in_ms(batch_s));
  const bool works = context.comm.rank() == 0;
  const RewardSet rewards = works ? make_rewards(config, ex) : RewardSet(std::vector<RewardSpec>());
  std::vector<Json> rows;
  if (works) rows = read_rows(ready.input);
  double sum = 0;
  int64_t scored = 0;
  std::set<size_t> told;
  for (size_t begin = 0;; begin += kBatch) {
    context.watchdog.enter("reward", 0, in_ms(with_grace(batch_s)));
    const size_t end = std::min(rows.size(), begin + kBatch);
    if (works && begin < end) {
      std::vector<CompletionRecord> batch;
      for (size_t i = begin; i < end; ++i) batch.push_back(read_completion(rows[i], fmt::format("{}, row {}", ready.input, i + 1)));
      Scorer scorer(rewards, *ex.pool, std::ssize(batch), config.comm.reward_timeout_s);
      for (size_t i = 0; i < batch.size(); ++i) scorer.add(static_cast<int64_t>(i), batch[i].input());
      const Scores scores = scorer.finish();
      for (size_t i = 0; i < batch.size(); ++i) {
        Json& row = rows[begin + i];
        row["reward"] = or_null(scores.rows[i].total), row["rewards"] = scores_by_name(scores.rows[i], rewards.specs());
        for (size_t r = 0; r < rewards.size(); ++r) {
          const Verdict& verdict = scores.verdicts[i][r];
          if (verdict.score || verdict.missing == Missing::row || !told.insert(r).second) continue;  // by no fault of the row: the first of each
          context.observer.of_stage().warning(fmt::format("reward '{}': no score for row {}: {}", rewards.specs()[r].name, begin + i + 1, verdict.reason));
        }
        if (scores.rows[i].total) sum += *scores.rows[i].total, ++scored;
      }
      context.observer.of_stage().stage("scoring", static_cast<int64_t>(end), std::ssize(rows));
    }
    if (!context.comm.any(works && end < rows.size(), "scored rows")) break;
  }
  context.watchdog.leave();
  StageOutcome outcome;
  if (!works) return outcome;
  CHECK_INPUT(scored > 0, "{}: none of {} completions has a score", ready.input, rows.size());
  outcome.what = fmt::format("mean reward {:.3f} of {} completions", sum / static_cast<double>(scored), scored);
  if (scored < std::ssize(rows)) outcome.what += fmt::format(", {} without", std::ssize(rows) - scored);
  write_rows(ready, rows_text(rows), outcome.what);
  return outcome;
}

StageOutcome run_filter(const ReadyStage& ready) {
  FilterCounts counts;
  const std::vector<Json> kept = filter_rows(read_rows(ready.input), ready.stage.filter, ready.input, counts);
  write_rows(ready, rows_text(kept), counts.text());
  return {.what = counts.text()};
}

StageOutcome run_merge(const ReadyStage& ready) {
  const std::vector<Json> rows = merge_rows(ready.inputs, ready.stage.merge);
  const std::string what = fmt::format("{} rows of {} files", rows.size(), ready.inputs.size());
  write_rows(ready, rows_text(rows), what);
  return {.what = what};
}

}  // namespace

std::vector<fs::path> outputs_of(const ReadyStage& ready) {
  if (ready.stage.kind == StageKind::eval) return {ready.output, completions_of(ready)};
  return {ready.output};
}

StageOutcome run_stage(const ReadyStage& ready, PipelineContext& context) {
  if (!ready.stage.has_config()) {
    if (context.comm.rank() != 0) return {};
    return ready.stage.kind == StageKind::filter ? run_filter(ready) : run_merge(ready);
  }
  const std::unique_ptr<ExecOwner> owner = context.make_exec(*ready.config);
  const Exec ex = owner->exec();
  context.comm.set_deadline(in_ms(ready.config->comm.timeout_s));
  switch (ready.stage.kind) {
    case StageKind::train: return run_train(ready, context, ex);
    case StageKind::sft: return run_sft(ready, context, ex);
    case StageKind::eval: return run_eval(ready, context, ex);
    case StageKind::sample: return run_sample(ready, context, ex);
    default: return run_score(ready, context, ex);
  }
}

}  // namespace cohort
