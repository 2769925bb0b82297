// Prints what this machine can do, one JSON line: the bounds that bench/peers holds programs against.
//
//   machine_bound [--threads=2] [--rows=ROWS]...      also oneDNN's product of so many rows, weights from memory
#include <fmt/format.h>

#include <cstdio>
#include <string>
#include <vector>

#include "bench/machine.h"
#include "bench/onednn.h"

int main(int argc, char** argv) {
  int threads = 2, rows = 0;
  std::vector<int> sizes;
  for (int i = 1; i < argc; ++i) {
    if (std::sscanf(argv[i], "--rows=%d", &rows) == 1 && rows >= 1) {
      sizes.push_back(rows);
    } else if (std::sscanf(argv[i], "--threads=%d", &threads) != 1 || threads < 1) {
      fmt::print(stderr, "machine_bound: found '{}'; allowed: --threads=N and --rows=N with N at least 1\n", argv[i]);
      return 2;
    }
  }
  const cohort::MachineBound b = cohort::measure_machine(threads);
  std::string at_rows;
  for (const int size : sizes)
    if (const auto gflops = cohort::onednn_bf16_gflops(threads, size))
      at_rows += fmt::format(", \"onednn_bf16_gflops_{}\": {:.1f}", size, *gflops);
  fmt::print("{{\"threads\": {}, \"instructions\": \"{}\", \"bf16_peak_gflops\": {:.1f}, \"f32_peak_gflops\": {:.1f}, "
             "\"onednn_bf16_gflops\": {}, \"bf16_bound_gflops\": {:.1f}, \"copy_gb_s\": {:.1f}, \"read_gb_s\": {:.1f}{}}}\n",
             b.threads, b.instructions, b.bf16_peak, b.f32_peak, b.bf16_gemm ? fmt::format("{:.1f}", *b.bf16_gemm) : "null",
             b.bf16_bound(), b.copy_gb_s, b.read_gb_s, at_rows);
  return 0;
}
