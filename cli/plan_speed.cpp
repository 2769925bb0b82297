#include "cli/plan_speed.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "core/clock.h"
#include "core/threads.h"
#include "model/exec.h"
#include "model/ops/matmul.h"

namespace cohort {
namespace {

// The best of a few rounds: what the machine gives when nobody disturbs.
template <typename Work>
double best_seconds(int rounds, Work work) {
  double best = std::numeric_limits<double>::infinity();
  for (int round = 0; round < rounds; ++round) {
    const Clock::time_point start = Clock::now();
    work();
    best = std::min(best, seconds_since(start));
  }
  return best;
}

double gemm_gflops(DType dtype, const Exec& ex) {
  constexpr int64_t kRows = 512, kN = 1536, kK = 1536;
  std::vector<std::byte> w(kN * kK * dtype_size(dtype)), x(kRows * kK * dtype_size(dtype));
  std::vector<float> y(kRows * kN);
  PackedWeight packed;
  pack_weight(packed, Tensor(w.data(), dtype, {kN, kK}), ex);
  const double seconds = best_seconds(12, [&] {
    matmul(Tensor(y.data(), DType::f32, {kRows, kN}), Tensor(x.data(), dtype, {kRows, kK}), packed, ex);
  });
  return 2.0 * kRows * kN * kK / seconds * 1e-9;
}

double memory_gb_s(ThreadPool& pool) {
  constexpr int64_t kWords = int64_t{1} << 25, kTask = int64_t{1} << 20;  // 256 MB: more than a core's caches
  std::vector<uint64_t> words(kWords, 1);
  std::vector<uint64_t> sums(kWords / kTask);
  const double seconds = best_seconds(3, [&] {
    pool.run(kWords / kTask, [&](int64_t task, int) {
      uint64_t sum[8] = {};
      for (int64_t i = task * kTask; i < (task + 1) * kTask; i += 8)
        for (int64_t j = 0; j < 8; ++j) sum[j] += words[static_cast<size_t>(i + j)];
      for (uint64_t s : sum) sums[static_cast<size_t>(task)] += s;
    });
  });
  volatile uint64_t sink = 0;  // the sums are read, so that they are made
  for (uint64_t s : sums) sink = sink + s;
  return static_cast<double>(kWords) * 8 / seconds * 1e-9;
}

double slowest_of_ranks(double seconds, Comm& comm) {
  for (const auto& bytes : comm.all_gather(std::as_bytes(std::span(&seconds, 1)), "measured speed"))
    seconds = std::max(seconds, *reinterpret_cast<const double*>(bytes.data()));
  return seconds;
}

double link_gb_s(Comm& comm) {
  constexpr size_t kBytes = size_t{16} << 20;  // as a training step exchanges at once (kExchangedGradients)
  const auto ranks = static_cast<size_t>(comm.size());
  std::vector<std::byte> out(kBytes, std::byte{1}), in(kBytes * ranks);
  std::vector<std::span<const std::byte>> send(ranks, out);
  std::vector<std::span<std::byte>> receive;
  for (size_t r = 0; r < ranks; ++r) receive.push_back(std::span(in).subspan(r * kBytes, kBytes));
  send[static_cast<size_t>(comm.rank())] = {};
  receive[static_cast<size_t>(comm.rank())] = {};
  const double seconds = best_seconds(5, [&] { comm.all_to_all(send, receive, "measured link"); });
  return static_cast<double>(kBytes * (ranks - 1)) / slowest_of_ranks(seconds, comm) * 1e-9;
}

double latency_us(Comm& comm) {
  constexpr int kCalls = 50;
  const double seconds = best_seconds(5, [&] {
    for (int i = 0; i < kCalls; ++i) comm.barrier("measured latency");
  });
  return slowest_of_ranks(seconds, comm) / kCalls / (comm.size() - 1) * 1e6;
}

}  // namespace

MachineSpeed machine_speed(const GivenSpeed& given, DType dtype, int threads, Comm& comm) {
  constexpr double kPasses = 4;  // written and read in a shared segment, then written where it belongs, and read there
  MachineSpeed speed;
  if (comm.rank() == 0 && !(given.gemm_gflops && given.memory_gb_s)) {
    ExecOwner owner(threads);
    const Exec ex = owner.exec();
    speed.gemm_gflops = gemm_gflops(dtype, ex);
    speed.memory_gb_s = memory_gb_s(*ex.pool);
  }
  speed.gemm_gflops = given.gemm_gflops.value_or(speed.gemm_gflops);
  speed.memory_gb_s = given.memory_gb_s.value_or(speed.memory_gb_s);
  comm.barrier("machine measured");  // before its links are, which would share the cores
  const bool measure = comm.size() > 1;
  speed.link_assumed = !given.link_gb_s && !measure;
  speed.link_gb_s = given.link_gb_s ? *given.link_gb_s : measure ? link_gb_s(comm) : speed.memory_gb_s / kPasses;
  speed.latency_us = given.latency_us ? *given.latency_us : measure ? latency_us(comm) : 1.0;
  return speed;
}

}  // namespace cohort
