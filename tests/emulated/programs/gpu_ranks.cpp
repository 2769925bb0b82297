// One rank of tests/emulated/ranks/gpu_faults_test.cpp: emulated_gpu_ranks SCENARIO SECONDS, under mpirun. Sums of gradients
// on GPUs as cohort's ranks run them, with supervisors, watchdog and MPI; SECONDS is the deadline of a collective.
//
// SCENARIO: sums; apart (rank 1 has a GPU and does not come to NCCL's start); never (rank 1 does not come to step 2); killed
// (rank 1 is, in step 2).
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string>

#include "cli/failure.h"
#include "comm/nccl.h"
#include "tests/emulated/ranks/gradient_steps.h"

namespace cohort {
namespace {

constexpr size_t kSize = 8 * 304;
constexpr int kSteps = 3;

void run_step(int step, const std::string& scenario, Comm& host, DeviceComm& comm, DeviceReduction& reduction) {
  std::mt19937 random(static_cast<uint32_t>(step));
  std::vector<bool> leaf_used(8, true);
  leaf_used[static_cast<size_t>(step)] = false;
  const Step gradients = random_step(random, kSize, leaf_used);
  if (step == 2 && host.rank() == 1 && scenario == "never") {
    for (;;) pause();
  }
  if (step == 2 && host.rank() == 1 && scenario == "killed") raise(SIGKILL);
  const ParamSpan buckets[] = {{1600, kSize}, {0, 1600}};
  const Values total = total_by_gpu(gradients, kSize, reduction, buckets, comm);
  CHECK(same_bits(total, total_by_cpu(gradients, kSize, host)), "the sums of step {} have other bits than the CPU's", step);
}

int run(Comm& host, LastSeen& seen, const std::string& scenario, std::chrono::milliseconds deadline) {
  host.set_deadline(deadline);
  Watchdog watchdog(rank_name(host), ends_all_ranks(host, seen), &seen);
  try {
    watchdog.enter("load", 0, std::chrono::seconds(60));
    const int gpu = choose_gpu(host);
    while (scenario == "apart" && host.rank() == 1) pause();
    const auto comm = make_nccl_comm(host, {.deadline = deadline, .seen = &seen});
    DeviceReduction reduction(kSize, 8, *comm);
    for (int step = 1; step <= kSteps; ++step) {
      watchdog.enter("update", step, std::chrono::seconds(60));
      run_step(step, scenario, host, *comm, reduction);
    }
    watchdog.leave();
    std::printf("rank %d of %d on GPU %d: %d steps have the CPU's bits\n", host.rank(), host.size(), gpu, kSteps);
  } catch (...) {
    throw located(std::current_exception(), watchdog);
  }
  return 0;
}

}  // namespace
}  // namespace cohort

int main(int argc, char** argv) {
  if (argc != 3) return 91;
  using namespace cohort;
  return run_on_ranks(StopRequests::end, [&](Comm& host, LastSeen& seen) {
    return run(host, seen, argv[1], std::chrono::seconds(std::stoi(argv[2])));
  });
}
