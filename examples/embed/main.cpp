// The trainer inside a program of your own: reads a config, changes it, trains, and gets every step's metrics as numbers.
#include <comm/comm.h>
#include <core/check.h>
#include <fmt/format.h>
#include <model/exec.h>
#include <trainer/grpo.h>

#include <cstdlib>

// Whatever a run has to say. Called on rank 0 alone.
struct Printer : cohort::TrainObserver {
  void warning(const std::string& text) override { fmt::print(stderr, "warning: {}\n", text); }
  void step(int64_t step, int64_t max_steps, const cohort::Metrics& metrics) override {
    fmt::print("step {} of {}: reward {:.3f}\n", step, max_steps, metrics.get("reward"));
  }
};

int main(int argc, char** argv) {
  try {
    CHECK_USAGE(argc == 2, "usage: embed CONFIG");
    cohort::Config config = cohort::load_config(argv[1]);
    config.run.name = "embedded";

    const cohort::StopSignals signals;                                    // SIGUSR1 and SIGTERM ask to save and stop
    const std::unique_ptr<cohort::Comm> comm = cohort::make_comm();       // of mpirun's ranks, or one process
    cohort::Watchdog watchdog("", [&](const std::string& message) {       // a deadline has passed
      fmt::print(stderr, "{}\n", message);
      comm->abort(static_cast<int>(cohort::ExitCode::kRankFailed));
    });
    cohort::ExecOwner threads(/*threads=*/1);
    Printer printer;
    const cohort::TrainSummary summary = cohort::train(config, *comm, watchdog, signals, printer, threads.exec());
    fmt::print("{} steps, accuracy {:.3f}, model in {}\n", summary.steps, summary.accuracy_after.value_or(0), summary.final_model.string());
    return EXIT_SUCCESS;
  } catch (const cohort::Error& error) {
    fmt::print(stderr, "embed: {}\n", error.what());
    return static_cast<int>(error.code());
  }
}
