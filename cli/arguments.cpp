#include "cli/arguments.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <cstring>
#include <span>

#include "cli/failure.h"
#include "comm/nccl.h"
#include "trainer/deadlines.h"

namespace cohort {
namespace {

// A rank's host and the hardware threads that it may run on.
struct Place {
  char host[256] = {};
  cpu_set_t cores;
};

Place this_place(const Comm& comm, const CpuTopology& topology) {
  Place place;
  CPU_ZERO(&place.cores);
  for (const std::vector<int>& core : topology.cores)
    for (const int cpu : core)
      if (cpu < CPU_SETSIZE) CPU_SET(static_cast<size_t>(cpu), &place.cores);
  comm.host().copy(place.host, sizeof(place.host) - 1);
  return place;
}

// Who may use the same cores: ranks that mpirun did not bind all may use all of them.
CoreSharing core_sharing(const Place& mine, Comm& comm) {
  CoreSharing sharing{.ranks = 0};
  const auto places = comm.all_gather(std::as_bytes(std::span(&mine, 1)), "hosts and cores");
  for (size_t rank = 0; rank < places.size(); ++rank) {
    Place other;
    std::memcpy(&other, places[rank].data(), std::min(places[rank].size(), sizeof(other)));
    cpu_set_t common;
    CPU_AND(&common, &mine.cores, &other.cores);
    if (std::strcmp(other.host, mine.host) != 0 || CPU_COUNT(&common) == 0) continue;
    ++sharing.ranks;
    if (static_cast<int>(rank) < comm.rank()) ++sharing.index;
    if (!CPU_EQUAL(&mine.cores, &other.cores)) sharing.alike = false;
  }
  sharing.ranks = std::max(1, sharing.ranks);
  return sharing;
}

}  // namespace

void ConfigArguments::add_options(App& app) {
  app.add_option("CONFIG", file, "YAML file; README.md explains it").required();
  app.add_option("section.key=value", overrides, "replaces a key of CONFIG; the value is YAML")
      .type_name("");
}

EarlyConfig::EarlyConfig(const ConfigArguments& arguments, ConfigUse use) {
  try {
    config_ = arguments.load(use);
  } catch (...) {
    error_ = std::current_exception();
  }
}

const Config& EarlyConfig::get() const {
  if (error_) std::rethrow_exception(error_);
  return config_;
}

std::chrono::milliseconds EarlyConfig::start_limit() const {
  return error_ ? Comm::kDefaultDeadline : in_ms(config_.comm.load_timeout_s);
}

void ModelArguments::add_options(App& app) {
  app.add_option("MODEL", path, "a Hugging Face folder, or that of a LoRA adapter").required();
  app.add_option("--base", base, "the base model of an adapter (default: the one that its adapter_config.json names)").type_name("DIR");
  app.add_option("--dtype", dtype, "of weights and activations; auto: the checkpoint's")
      .one_of({"auto", "float32", "bfloat16"})
      .show_default();
  app.add_option("--device", device, "where the model runs; cuda: the first GPU")
      .one_of({"cpu", "cuda"})
      .show_default();
  app.add_option("--threads", threads, "0: all cores that this process may use")
      .range(0, 4096)
      .show_default();
}

int ModelArguments::thread_count() const { return threads > 0 ? threads : process_topology().usable(); }

std::shared_ptr<Gpu> ModelArguments::gpu() const { return device == "cuda" ? open_gpu(0) : nullptr; }

LoadedModel ModelArguments::load(const Exec& ex) const { return load_model(path, dtype, 1, ex, PolicyUse::inference, base); }

std::shared_ptr<Gpu> rank_gpu(const RunConfig& run, Comm& comm) {
  return run.device == "cuda" ? open_gpu(choose_gpu(comm), numerics_of(run)) : nullptr;
}

std::shared_ptr<Gpu> load_gpu(const Config& config, Comm& comm, Watchdog& watchdog) {
  const double loading = meeting_timeout(config, config.comm.load_timeout_s);
  const MeetingDeadline meeting(comm, config, loading);
  watchdog.enter("load", 0, in_ms(with_grace(loading)));  // later than ranks cease to wait: who waits names the rank that does not come
  return rank_gpu(config.run, comm);
}

ThreadPlan choose_threads(const RunConfig& run, Comm& comm, std::string* warning) {
  const CpuTopology topology = process_topology();
  const CoreSharing sharing = core_sharing(this_place(comm, topology), comm);
  ThreadPlan plan = plan_threads(topology, run.threads, run.pin_threads, sharing);
  const std::string mine = oversubscription(topology, run.threads, plan.threads, sharing, comm.host());
  for (const std::vector<std::byte>& bytes : comm.all_gather(std::as_bytes(std::span(mine)), "threads")) {
    if (bytes.empty() || comm.rank() != 0) continue;
    const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (warning != nullptr) *warning = text;
    else tell(fmt::format("cohort: warning: {}\n", text));
    break;  // the hosts of a job are alike: one line says it
  }
  return plan;
}

}  // namespace cohort
