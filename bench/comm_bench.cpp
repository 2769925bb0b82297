// The ordered reduction of gradients against MPI_Allreduce of the same bytes, in turn in one run, under mpirun:
//
//   mpirun -n 2 --bind-to none comm_bench [--parameters=134515008] [--rounds=7] [--exchange=E] [--threads=T]
//
// algbw and busbw as nccl-tests define them (doc/PERFORMANCE.md there): algbw = bytes of the whole vector / seconds of the
// slowest rank; busbw = algbw times (n - 1) / n for a reduce-scatter or an all-gather, and 2 (n - 1) / n for an all-reduce.
// `ordered` is GradientSum::finish (trainer/gradient_sum.h), whose sums are the same bits for any number of ranks, followed by
// an all-gather of the float32 sums through Comm. A training step sends less: it gathers weights in their own dtype.
#include <mpi.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bench/options.h"
#include "comm/comm.h"
#include "core/clock.h"
#include "trainer/gradient_sum.h"

namespace {

using namespace cohort;

constexpr int kLogicalRanks = 8;

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

// Seconds of the slowest rank, all of them starting together.
template <typename Work>
double timed(Comm& comm, Work work) {
  comm.barrier("start");
  const Clock::time_point start = Clock::now();
  work();
  double seconds = seconds_since(start), slowest = 0;
  MPI_Allreduce(&seconds, &slowest, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
  return slowest;
}

std::unique_ptr<Arena> floats(int64_t count) {
  auto arena = std::make_unique<Arena>("vector");
  arena->plan("x", DType::f32, {count});
  arena->commit();
  std::memset((*arena)[0].data, 0, static_cast<size_t>(count) * sizeof(float));  // its pages are there
  return arena;
}

}  // namespace

int main(int argc, char** argv) {
  BenchOptions o = read_options("comm_bench", {{"parameters", 134515008}, {"rounds", 7}, {"exchange", kExchangedGradients}, {"threads", 0}}, argc, argv);
  const auto comm = make_mpi_comm();
  const int ranks = comm->size(), rank = comm->rank();
  if (ranks < 2 || ranks > kLogicalRanks) {
    if (rank == 0) std::fprintf(stderr, "comm_bench: %d ranks; mpirun -n 2 to %d\n", ranks, kLogicalRanks);
    comm->abort(2);
  }
  const int threads = o["threads"] > 0 ? static_cast<int>(o["threads"]) : std::max(1, 2 / ranks);
  ExecOwner owner(threads);
  const Exec ex = owner.exec();
  const int64_t size = o["parameters"] / kLogicalRanks * kLogicalRanks;

  GradientSum gradients(size, kLogicalRanks, *comm, o["exchange"]);
  const std::vector<bool> all(kLogicalRanks, true);
  const auto gathered = floats(size), reduced = floats(size);
  std::vector<int64_t> offsets;
  for (int r = 0; r <= ranks; ++r) offsets.push_back(r == ranks ? size * 4 : logical_range(kLogicalRanks, r, ranks).first * (size / kLogicalRanks) * 4);

  std::vector<double> scatter, gather, library;
  double worst = 0;
  for (int64_t round = 0; round <= o["rounds"]; ++round) {
    float* mine = nullptr;  // this rank's sum: one pass over all of its logical ranks
    {
      std::vector<int> leaves;
      for (int l = gradients.range().first; l < gradients.range().last; ++l) leaves.push_back(l);
      mine = gradients.begin(leaves, ex).f32();
      gradients.end(ex);
    }
    const auto fill = [&] {  // the ordered sum takes the place of this rank's part
      for (int64_t i = 0; i < size; ++i) mine[i] = static_cast<float>((i * 7 + rank * 13 + round) % 1000) * 1e-3f;
    };
    std::span<const float> sum;
    const auto ordered = [&] {
      fill();
      const double a = timed(*comm, [&] { sum = gradients.finish(all, ex); });
      std::memcpy(static_cast<char*>((*gathered)[0].data) + offsets[rank], sum.data(), sum.size_bytes());
      const double b = timed(*comm, [&] {
        comm->all_gather_spans({static_cast<std::byte*>((*gathered)[0].data), static_cast<size_t>(size) * 4}, offsets, "sums");
      });
      if (round > 0) scatter.push_back(a), gather.push_back(b);
    };
    const auto mpi = [&] {
      fill();
      std::memcpy((*reduced)[0].data, mine, static_cast<size_t>(size) * 4);  // in place, as the ordered sum is
      const double a = timed(*comm, [&] {
        MPI_Allreduce(MPI_IN_PLACE, (*reduced)[0].data, static_cast<int>(size), MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
      });
      if (round > 0) library.push_back(a);
    };
    // Who comes first changes, as caches and pages are left by the other one.
    if (round % 2 == 0) {
      mpi(), ordered();
    } else {
      ordered(), mpi();
    }
    const float *a = (*gathered)[0].f32(), *b = (*reduced)[0].f32();
    for (int64_t i = 0; i < size; ++i) worst = std::max(worst, static_cast<double>(std::abs(a[i] - b[i])));
  }
  if (!(worst < 1e-4)) std::fprintf(stderr, "comm_bench: the sums differ by %g\n", worst), comm->abort(1);

  if (rank == 0) {
    const double bytes = static_cast<double>(size) * 4, n = ranks;
    std::printf("%lld float32 (%.0f MB), %d ranks, %d thread%s each, medians of %lld\n", static_cast<long long>(size), bytes / 1e6, ranks,
                threads, threads == 1 ? "" : "s", static_cast<long long>(o["rounds"]));
    const auto row = [&](const char* name, const std::vector<double>& times, double bus) {
      const double seconds = median(times), best = *std::ranges::min_element(times);
      std::printf("  %-28s %8.3f s (best %.3f)   algbw %6.2f GB/s   busbw %6.2f GB/s\n", name, seconds, best, bytes / seconds / 1e9,
                  bytes / seconds / 1e9 * bus);
    };
    std::vector<double> both, ratios;
    for (size_t i = 0; i < scatter.size(); ++i) both.push_back(scatter[i] + gather[i]), ratios.push_back(both[i] / library[i]);
    row("ordered reduce-scatter", scatter, (n - 1) / n);
    row("all-gather", gather, (n - 1) / n);
    row("both: ordered all-reduce", both, 2 * (n - 1) / n);
    row("MPI_Allreduce", library, 2 * (n - 1) / n);
    std::printf("  ordered / MPI_Allreduce      %8.2f (median of the rounds' ratios)\n", median(ratios));
  }
  return 0;
}
