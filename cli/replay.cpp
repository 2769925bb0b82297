// cohort replay: runs one step of a run again and proves that its bits are the same, or says where they are not.
#include <fmt/format.h>

#include <memory>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/failure.h"
#include "cli/progress.h"
#include "comm/watchdog.h"
#include "core/check.h"
#include "trainer/deadlines.h"
#include "trainer/replay.h"

namespace cohort {
namespace {

struct Options {
  ReplayRequest request;
  std::vector<std::string> overrides;
  bool quiet = false;
};

// Where the run went on from, and how large its caches are, the result says where it matters.
class ReplayProgress final : public TrainProgress {
 public:
  ReplayProgress() : TrainProgress({}, Terminal()) {}
  void message(const std::string&) override {}
};

// What was found equal, and what could not be compared because the run did not keep it.
std::string result_text(const ReplayRequest& request, const Replay& replay, int ranks) {
  const RunComparison& found = replay.comparison;
  const std::string steps = replay.first_step == request.step ? fmt::format("step {}", request.step)
                                                              : fmt::format("steps {} to {}", replay.first_step, request.step);
  std::string text = fmt::format("replayed {} from {} on {} rank{}\n", steps, replay.from, ranks, ranks == 1 ? "" : "s");
  if (!replay.build_note.empty()) text += fmt::format("note: {}\n", replay.build_note);
  if (found.first)
    return text + fmt::format("the first difference is in step {}: {}\n  run    {}\n  replay {}\n", found.first->step, found.first->where,
                              found.first->a, found.first->b);
  text += fmt::format("identical: the metrics of {}", steps);
  if (found.completions > 0) text += fmt::format(", {} completions", found.completions);
  if (replay.state) text += fmt::format(", weights and optimizer state after step {}", request.step);
  text += "\n";
  if (found.completions == 0) text += "not compared: completions, which the run did not record (log.completions_steps)\n";
  if (!replay.state)
    text += fmt::format("not compared: weights and optimizer state, as there is no checkpoint of step {}\n", request.step);
  return text;
}

int run(const Options& o, Comm& comm, LastSeen& seen) {
  const Config config = replay_config(o.request, o.overrides);
  comm.set_deadline(in_ms(config.comm.timeout_s));
  Watchdog watchdog(rank_name(comm), ends_all_ranks(comm, seen), &seen);
  const std::shared_ptr<Gpu> gpu = load_gpu(config, comm, watchdog);
  const ThreadPlan threads = choose_threads(config.run, comm);
  ExecOwner owner(threads.threads, threads.cpus, gpu);
  ReplayProgress progress;
  TrainObserver silent;
  const bool show = config.log.progress && !o.quiet && comm.rank() == 0;
  const Replay result = replay(o.request, config, comm, watchdog, show ? static_cast<TrainObserver&>(progress) : silent, owner.exec());
  progress.close();
  if (comm.rank() == 0) tell_result(result_text(o.request, result, comm.size()));
  return result.different ? 1 : 0;
}

}  // namespace

Action add_replay(App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("RUN", o->request.run, "a run directory; it is only read").required();
  app.add_option("section.key=value", o->overrides, "replaces a key of the run's config that does not decide its bits; the value is YAML")
      .type_name("");
  app.add_option("--step", o->request.step, "the step to run again").required().range(int64_t{1}, INT64_MAX);
  app.add_flag("--from-start", o->request.from_start, "all steps from the first on, without a checkpoint");
  app.add_option("--scratch", o->request.scratch, "where a folder is made for the replay's own files; several hosts must see it")
      .type_name("DIR")
      .existing_directory();
  app.add_flag("--quiet", o->quiet, "no progress, only the result");
  app.footer(
      "Runs from the newest checkpoint before the step, and compares all that the run recorded of each step: metrics but measured\n"
      "ones (timing_s/, perf/), completions, and, where a checkpoint of the step is kept, weights and optimizer state.\n"
      "Several ranks: mpirun -n N cohort replay RUN --step S; any N gives the same bits.\n"
      "exit code: 0 identical, 1 different, 2 no such step or no checkpoint before it, 3 no run directory, or model or data are gone");
  return [o] { return run_on_ranks(StopRequests::end, [&](Comm& comm, LastSeen& seen) { return run(*o, comm, seen); }); };
}

}  // namespace cohort
