// cohort plan: what a run on N ranks will need of each: memory by part, bytes on the wire, time of a step.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <thread>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/failure.h"
#include "cli/plan_memory.h"
#include "cli/plan_speed.h"
#include "cli/plan_time.h"
#include "core/check.h"
#include "core/json.h"
#include "core/text.h"
#include "trainer/adapter.h"
#include "trainer/gradient_sum.h"

namespace cohort {
namespace {

// What no machine is beyond, and nothing that is computed from it overflows.
constexpr int kMostRanks = 1 << 20;
constexpr int64_t kMostTokens = int64_t{1} << 24;
constexpr double kLeastGb = 1e-3, kMostGb = 1e6;
constexpr double kSlowest = 1e-3, kFastest = 1e9;

struct Options {
  ConfigArguments config;
  int ranks = 1;
  std::optional<double> gpu_memory;
  int64_t prompt_length = 0, completion_length = 0;
  int ranks_per_host = 0;
  GivenSpeed speed;
  bool json = false;
};

struct Plan {
  int ranks = 1, ranks_per_host = 1;
  RunMemory memory;
  std::optional<uint64_t> limit;  // bytes of a rank
  RankTraffic traffic;
  StepShape shape;
  MachineSpeed speed;
  StepTime time;
  bool fits() const { return !limit || (memory.most() <= *limit && memory.cache.holds_one()); }
};

Plan make_plan(const Options& o, const Config& config, const ModelConfig& model, Comm& comm) {
  const int cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  Plan plan{.ranks = o.ranks, .ranks_per_host = o.ranks_per_host > 0 ? std::min(o.ranks_per_host, o.ranks) : std::min(o.ranks, cores)};
  const int threads = config.run.threads > 0 ? static_cast<int>(config.run.threads) : std::max(1, process_topology().usable() / plan.ranks_per_host);
  const TrainingPlan training{.model = model, .config = config, .ranks = o.ranks, .threads = threads};
  if (o.gpu_memory) plan.limit = static_cast<uint64_t>(*o.gpu_memory * 1e9);
  plan.memory = plan_memory(training, plan.limit ? std::optional(static_cast<int64_t>(*plan.limit)) : std::nullopt);
  plan.traffic = largest_traffic(trained_table(model, config).size, trained_dtype(config, training.dtype()), static_cast<int>(config.trainer.logical_ranks), o.ranks);
  plan.shape = {.prompt_length = o.prompt_length > 0 ? o.prompt_length : config.data.max_prompt_length,
                .completion_length = o.completion_length > 0 ? o.completion_length : config.rollout.max_completion_length,
                .reused = plan.memory.tape.slots > 0 && plan.memory.tape.holds_all()};
  plan.speed = machine_speed(o.speed, training.dtype(), cores, comm);
  plan.time = predict_step(training, plan.shape, plan.traffic, plan.speed, plan.ranks_per_host);
  return plan;
}

Json pieces_json(const std::vector<MemoryPiece>& pieces) {
  Json list = Json::array();
  for (const MemoryPiece& piece : pieces) list.push_back({{"name", piece.name}, {"bytes", piece.bytes}});
  return list;
}

Json to_json(const Plan& plan) {
  const RankTraffic& t = plan.traffic;
  const MachineSpeed& s = plan.speed;
  return {{"ranks", plan.ranks},
          {"ranks_per_host", plan.ranks_per_host},
          {"memory",
           {{"step", pieces_json(plan.memory.step)},
            {"checkpoint", pieces_json(plan.memory.checkpoint)},
            {"evaluation", pieces_json(plan.memory.evaluation)},
            {"finish", pieces_json(plan.memory.finish)},
            {"warm_start", pieces_json(plan.memory.warm_start)},
            {"at_most_bytes", plan.memory.most()},
            {"limit_bytes", plan.limit ? Json(*plan.limit) : Json(nullptr)},
            {"fits", plan.limit ? Json(plan.fits()) : Json(nullptr)}}},
          {"bytes_per_optimizer_step",
           {{"gradients_sent", t.gradients_sent},
            {"gradients_received", t.gradients_received},
            {"weights_sent", t.weights_sent},
            {"weights_received", t.weights_received}}},
          {"step_seconds",
           {{"prefill", plan.time.prefill_s},
            {"decode", plan.time.decode_s},
            {"update", plan.time.update_s},
            {"optimizer", plan.time.optimizer_s},
            {"comm", plan.time.comm_s},
            {"together", plan.time.total()}}},
          {"assumed",
           {{"prompt_length", plan.shape.prompt_length},
            {"completion_length", plan.shape.completion_length},
            {"gemm_gflops", s.gemm_gflops},
            {"memory_gb_s", s.memory_gb_s},
            {"link_gb_s", s.link_gb_s},
            {"link_measured", !s.link_assumed},
            {"latency_us", s.latency_us}}}};
}

std::string bytes_line(const char* name, int64_t sent, int64_t received) {
  return fmt::format("  {:<38}{:>10} sent{:>12} received\n", name, human_bytes(static_cast<uint64_t>(sent)), human_bytes(static_cast<uint64_t>(received)));
}

std::string seconds_line(const char* name, double seconds) { return fmt::format("  {:<38}{:>10.3g} s\n", name, seconds); }

std::string to_text(const Plan& plan) {
  std::string text = fmt::format("memory of one rank of {}\n{}", plan.ranks, memory_table(plan.memory));
  if (plan.limit) {
    const auto most = static_cast<double>(plan.memory.most()), limit = static_cast<double>(*plan.limit);
    text += !plan.memory.cache.holds_one() ? fmt::format("does not fit: {}\n", plan.memory.cache.shortage())
            : most > limit ? fmt::format("does not fit: {:.3g} GB more than {:.9g}\n", (most - limit) / 1e9, limit / 1e9)
                           : fmt::format("fits: {:.3g} GB of {:.9g} are left\n", (limit - most) / 1e9, limit / 1e9);
  }
  const RankTraffic& t = plan.traffic;
  text += fmt::format("\nbytes of an optimizer step, of the rank with most\n{}{}", bytes_line("gradients (float32)", t.gradients_sent, t.gradients_received),
                      bytes_line("weights", t.weights_sent, t.weights_received));
  const MachineSpeed& s = plan.speed;
  text += fmt::format(
      "\npredicted time of a step, rewards and evaluation aside\n{}{}{}{}{}{}"
      "  with prompts of {} tokens, completions of {}; {} ranks a host of {:.0f} GFLOP/s and {:.1f} GB/s of memory;\n"
      "  {:.2f} GB/s ({}) and {:.2g} us a record between ranks\n",
      seconds_line("rollout: prompts", plan.time.prefill_s), seconds_line("rollout: decode", plan.time.decode_s),
      seconds_line(plan.shape.reused ? "update, activations reused" : "update", plan.time.update_s), seconds_line("optimizer", plan.time.optimizer_s),
      seconds_line("exchange between ranks", plan.time.comm_s), seconds_line("together", plan.time.total()), plan.shape.prompt_length,
      plan.shape.completion_length, plan.ranks_per_host, s.gemm_gflops, s.memory_gb_s, s.link_gb_s,
      s.link_assumed ? "assumed: through the memory of one host" : "measured or given", s.latency_us);
  return text;
}

int run(const Options& o, Comm& comm) {
  const Config config = o.config.load();
  logical_range(static_cast<int>(config.trainer.logical_ranks), 0, o.ranks);  // refuses too many
  const Plan plan = make_plan(o, config, planned_model(config), comm);
  if (comm.rank() == 0) fmt::print("{}", o.json ? dump_json(to_json(plan)) + "\n" : to_text(plan));
  return static_cast<int>(plan.fits() ? ExitCode::kOk : ExitCode::kResources);
}

}  // namespace

Action add_plan(App& app) {
  auto o = std::make_shared<Options>();
  o->config.add_options(app);
  app.add_option("--ranks", o->ranks, "of the run; they need not be here").required().range(1, kMostRanks);
  app.add_option("--gpu-memory", o->gpu_memory, "10^9 bytes that each rank may take, of whatever device it runs on; cache and tape are cut to it")
      .type_name("GB").range(kLeastGb, kMostGb);
  app.add_option("--prompt-length", o->prompt_length, "tokens of a prompt, on average (default: data.max_prompt_length)").range(int64_t{1}, kMostTokens);
  app.add_option("--completion-length", o->completion_length, "tokens of a completion, on average (default: rollout.max_completion_length)")
      .range(int64_t{1}, kMostTokens);
  app.add_option("--ranks-per-host", o->ranks_per_host, "that share one machine (default: as many as this one has cores)").range(1, kMostRanks);
  app.add_option("--gemm-gflops", o->speed.gemm_gflops, "of a machine's matrix products, all cores (default: measured here)").range(kSlowest, kFastest);
  app.add_option("--memory-gb-s", o->speed.memory_gb_s, "of a machine's memory (default: measured here)").range(kSlowest, kFastest);
  app.add_option("--link-gb-s", o->speed.link_gb_s, "that a rank sends while it receives as many (default: measured under mpirun)").range(kSlowest, kFastest);
  app.add_option("--latency-us", o->speed.latency_us, "of a small message between ranks (default: measured under mpirun)").range(kSlowest, kFastest);
  app.add_flag("--json", o->json, "one JSON object");
  app.footer(
      "Memory is what a rank takes at most, as `cohort train --dry-run` prints it; exit code 6 when --gpu-memory is less.\n"
      "mpirun -n 2 cohort plan ... measures the link between two ranks; --ranks may be any number up to trainer.logical_ranks.");
  return [o] { return run_on_ranks(StopRequests::end, [&](Comm& comm, LastSeen&) { return run(*o, comm); }); };
}

}  // namespace cohort
