// Arguments that several commands share, and how many threads a process uses.
#pragma once

#include <chrono>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "cli/app.h"
#include "comm/comm.h"
#include "comm/watchdog.h"
#include "core/cpu_topology.h"
#include "model/device.h"
#include "trainer/config.h"
#include "trainer/model_setup.h"

namespace cohort {

// CONFIG [section.key=value ...]
struct ConfigArguments {
  std::string file;
  std::vector<std::string> overrides;
  void add_options(App& app);
  Config load(ConfigUse use = ConfigUse::training) const { return load_config(file, overrides, use); }
};

// A config that is read before there are ranks, whose start has its deadline too; and read once, so that all is of one text.
class EarlyConfig {
 public:
  explicit EarlyConfig(const ConfigArguments& arguments, ConfigUse use = ConfigUse::training);
  // Throws what reading it has thrown: when ranks have met, so that one of them reports it and not each.
  const Config& get() const;
  // For run_on_ranks. Of a config that cannot be read: Comm::kDefaultDeadline.
  std::chrono::milliseconds start_limit() const;

 private:
  Config config_;
  std::exception_ptr error_;
};

// --base, --dtype, --device and --threads of the commands that run a model without a config.
struct ModelArguments {
  std::string path, base, dtype = "auto", device = "cpu";
  int threads = 0;
  void add_options(App& app);
  int thread_count() const;  // 0: as many as this process may use
  std::shared_ptr<Gpu> gpu() const;  // null: --device cpu
  LoadedModel load(const Exec& ex) const;  // for inference
};

// The GPU of this rank (choose_gpu), opened; null with run.device: cpu. Called by all ranks.
std::shared_ptr<Gpu> rank_gpu(const RunConfig& run, Comm& comm);
// The same while ranks start: under the watchdog's section "load", since a driver may hang.
std::shared_ptr<Gpu> load_gpu(const Config& config, Comm& comm, Watchdog& watchdog);

// Threads of this rank and their places, from run.threads and run.pin_threads and from who else may use the same cores. Called by
// all ranks; where a host's ranks have more threads than cores, rank 0 warns on standard error, or in `warning`.
ThreadPlan choose_threads(const RunConfig& run, Comm& comm, std::string* warning = nullptr);

}  // namespace cohort
