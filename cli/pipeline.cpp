// cohort pipeline: the stages of a recipe, one after the other (pipeline/run.h).
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/failure.h"
#include "cli/progress.h"
#include "cli/start_line.h"
#include "comm/signals.h"
#include "comm/watchdog.h"
#include "core/text.h"
#include "pipeline/run.h"

namespace cohort {
namespace {

struct Options {
  std::string file;
  bool quiet = false;
};

class Teller : public PipelineObserver {
 public:
  explicit Teller(bool quiet) : quiet_(quiet) {}
  void begin(const Stage& stage, size_t index, size_t count, bool goes_on) override {
    if (!quiet_)
      tell(fmt::format("cohort: stage {} of {}: {} ({}){}\n", index + 1, count, stage.name, stage_kind_name(stage.kind),
                       goes_on ? ", which was interrupted, goes on" : ""));
    progress_ = make_progress({.quiet = quiet_});
  }
  void end(const Stage& stage, const std::string& what, double seconds, bool was_there) override {
    progress_.reset();
    if (quiet_) return;
    tell(was_there ? fmt::format("cohort: stage {}: up to date: {}\n", stage.name, what)
                   : fmt::format("cohort: stage {}: {}, in {}\n", stage.name, what, human_seconds(seconds)));
  }
  TrainObserver& of_stage() override {
    if (!progress_) return warnings_;
    return *progress_;
  }

 private:
  bool quiet_;
  TrainWarnings warnings_;
  std::unique_ptr<TrainObserver> progress_;
};

class Silent : public PipelineObserver {
 public:
  TrainObserver& of_stage() override { return silent_; }

 private:
  TrainObserver silent_;
};

// Stages and what came of them, with the accuracies of those that evaluate.
std::string table(const PipelineSummary& summary) {
  size_t widest = 5;
  for (const StageResult& stage : summary.stages) widest = std::max(widest, stage.name.size());
  std::string text;
  for (const StageResult& stage : summary.stages)
    text += fmt::format("{:<{}}  {:>8}  {}\n", stage.name, widest, stage.was_there ? "there" : human_seconds(stage.seconds), stage.what);
  return text;
}

int run(const Options& o, Comm& comm, LastSeen& seen, const StopSignals& signals) {
  const Pipeline pipeline = read_pipeline(o.file);
  Watchdog watchdog(rank_name(comm), ends_all_ranks(comm, seen), &seen);
  Silent silent;
  Teller teller(o.quiet);
  PipelineObserver& observer = comm.rank() == 0 ? static_cast<PipelineObserver&>(teller) : silent;
  std::string told;  // ranks and threads, as long as they stay what they are
  PipelineContext context{comm, watchdog, signals, observer, [&](const Config& config) {
                            const ThreadPlan threads = choose_threads(config.run, comm);
                            const std::string layout = start_line(run_layout(comm, threads));
                            if (layout != told) observer.of_stage().message(told = layout);
                            return std::make_unique<ExecOwner>(threads.threads, threads.cpus, load_gpu(config, comm, watchdog));
                          }};
  try {
    const PipelineSummary summary = run_pipeline(pipeline, context);
    if (comm.rank() == 0) tell_result(table(summary));
    if (comm.rank() == 0 && summary.stopped_early) tell("cohort: stopped on request; the same command goes on\n");
    return static_cast<int>(summary.stopped_early ? ExitCode::kStopped : ExitCode::kOk);
  } catch (...) {
    throw located(std::current_exception(), watchdog);
  }
}

}  // namespace

Action add_pipeline(App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("FILE", o->file, "the pipeline (docs/pipelines.md)").required().type_name("FILE.yaml");
  app.add_flag("--quiet", o->quiet, "no progress, only the table at the end");
  app.footer(
      "Stages: sft, train, eval, sample, score, filter, merge. A stage whose config, inputs and output are as they were is left alone; one that "
      "was interrupted goes on.\nSeveral ranks: mpirun -n N cohort pipeline FILE. The files do not depend on N.\n"
      "SIGUSR1 (or SIGTERM) saves and stops with exit code 75; the same command continues.");
  return [o] {
    const StopSignals signals;
    return run_on_ranks(StopRequests::handed_on, [&](Comm& comm, LastSeen& seen) { return run(*o, comm, seen, signals); });
  };
}

}  // namespace cohort
