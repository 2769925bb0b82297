// cohort score: rewards of completions that are there already, by the code that training uses, without the model that wrote them.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/failure.h"
#include "cli/progress.h"
#include "cli/records.h"
#include "core/check.h"
#include "core/cpu_topology.h"
#include "model/exec.h"
#include "reward/code/nursery.h"
#include "reward/completion_record.h"
#include "reward/outside/launcher.h"
#include "reward/score_json.h"
#include "reward/scorer.h"
#include "trainer/model_rewards.h"

namespace cohort {
namespace {

// Scored at a time: enough to keep all workers busy, few enough to hold in memory.
constexpr size_t kBatch = 512;

struct Options {
  ConfigArguments config;
  RecordFiles files;
  bool explain = false, quiet = false;
};

// A record and what of it a reward looks at; record.error says why it cannot be scored.
struct Completion {
  Record record;
  CompletionRecord scored;
};

Completion read_completion(Record record) {
  Completion completion{.record = std::move(record)};
  if (!completion.record.error.empty()) return completion;
  serve_or_explain(completion.record, [&]() -> Json {
    completion.scored = ::cohort::read_completion(completion.record.value, "the record");
    return nullptr;
  });
  return completion;
}

// Sums for the lines at the end.
struct Totals {
  double sum = 0;
  int64_t scored = 0;
  std::map<Missing, int64_t> missing;
  std::string reason;  // of the first score that is missing by no fault of its row
};

class ScoreCommand {
 public:
  explicit ScoreCommand(const Options& options)
      : options_(options),
        config_(options.config.load(ConfigUse::rewards)),
        owner_(config_.run.threads > 0 ? static_cast<int>(config_.run.threads) : process_topology().usable()),
        rewards_(make_rewards(config_, owner_.exec())),
        totals_(rewards_.size()) {}

  int run() {
    RecordReader reader(options_.files.input);
    RecordWriter writer(options_.files);
    std::vector<Completion> batch;
    for (Record record; reader.next(record);) {
      batch.push_back(read_completion(std::move(record)));
      if (batch.size() == kBatch) write_batch(batch, writer);
    }
    write_batch(batch, writer);
    progress_.close();
    const int code = writer.finish();
    if (!options_.quiet) tell(summary());
    if (code != 0) return code;
    const bool complete = std::ranges::all_of(totals_, [](const Totals& t) { return t.reason.empty(); });
    return static_cast<int>(complete ? ExitCode::kOk : ExitCode::kRankFailed);
  }

 private:
  void write_batch(std::vector<Completion>& batch, RecordWriter& writer) {
    std::vector<const Completion*> served;
    for (const Completion& completion : batch)
      if (completion.record.error.empty()) served.push_back(&completion);
    Scorer scorer(rewards_, owner_.pool, static_cast<int64_t>(served.size()));
    for (size_t i = 0; i < served.size(); ++i) scorer.add(static_cast<int64_t>(i), served[i]->scored.input());
    const Scores scores = scorer.finish();
    size_t at = 0;
    for (const Completion& completion : batch) {
      if (!completion.record.error.empty()) {
        writer.write_error(completion.record.error);
        continue;
      }
      writer.write(answer(scores.rows[at], scores.verdicts[at]));
      ++at;
    }
    done_ += static_cast<int64_t>(batch.size());
    if (!options_.quiet && !shown_on_terminal(options_.files.output)) progress_.update("scored", done_, 0);
    batch.clear();
  }

  Json answer(const RewardSet::Row& row, const std::vector<Verdict>& verdicts) {
    Json outcomes = Json::object(), reasons = Json::object();
    for (size_t r = 0; r < rewards_.size(); ++r) {
      const std::string& name = rewards_.specs()[r].name;
      outcomes[name] = outcome_text(rewards_.reward(r), row.ends[r]);
      reasons[name] = verdicts[r].reason;
      count(totals_[r], verdicts[r]);
    }
    Json record = {{"reward", or_null(row.total)}, {"rewards", scores_by_name(row, rewards_.specs())}, {"outcome", outcomes}};
    if (options_.explain) record["explain"] = reasons;
    return record;
  }

  static void count(Totals& totals, const Verdict& verdict) {
    if (verdict.score) {
      totals.sum += *verdict.score;
      ++totals.scored;
    } else {
      ++totals.missing[verdict.missing];
      if (verdict.missing != Missing::row && totals.reason.empty()) totals.reason = verdict.reason;
    }
  }

  // "math  mean 0.530 of 200, 3 none"
  std::string summary() const {
    std::string text;
    for (size_t r = 0; r < rewards_.size(); ++r) {
      const Totals& t = totals_[r];
      text += fmt::format("{:<16}", rewards_.specs()[r].name);
      text += t.scored > 0 ? fmt::format("mean {:.3f} of {}", t.sum / static_cast<double>(t.scored), t.scored) : "no scores";
      constexpr const char* kWords[] = {"none", "timeout", "error"};
      for (const auto& [kind, number] : t.missing) text += fmt::format(", {} {}", number, kWords[static_cast<size_t>(kind)]);
      if (!t.reason.empty()) text += fmt::format(" ({})", t.reason);
      text += '\n';
    }
    return text;
  }

  const Options& options_;
  const Config config_;
  ExecOwner owner_;
  const RewardSet rewards_;
  std::vector<Totals> totals_;
  StatusLine line_;
  StageProgress progress_{line_};
  int64_t done_ = 0;
};

int run(const Options& o) {
  start_nursery();  // they fork, which nothing may do once threads run
  start_launcher();
  return ScoreCommand(o).run();
}

}  // namespace

Action add_score(App& app) {
  auto o = std::make_shared<Options>();
  o->config.add_options(app);
  o->files.add_options(app);
  app.add_flag("--explain", o->explain, "also say why each score is what it is");
  app.add_flag("--quiet", o->quiet, "no progress, and no means at the end");
  app.footer(
      "Of CONFIG only `reward` is needed. A line in: {\"completion\"}, and what the rewards look at: \"prompt\",\n"
      "\"finish_reason\" (stop or length, default stop), \"ids\" (the completion's tokens), \"opens_thinking\" (the prompt\n"
      "ended with <think>), any other column. A line out, in the same order: {\"reward\": weighted sum or null,\n"
      "\"rewards\": {NAME: score or null}, \"outcome\": {NAME: scored, none, timeout, error, or the reward's own word}},\n"
      "with --explain also \"explain\": {NAME: reason}. Exit code 3 when a line could not be read, 4 when a score is\n"
      "missing because its checker failed or was late.");
  return [o] { return run(*o); };
}

}  // namespace cohort
