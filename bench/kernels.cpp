#include "bench/kernels.h"

#include <fmt/format.h>

#include <cstdio>

namespace cohort::bench {
namespace {
MachineBound machine{.threads = 2};

double bound_of(DType dtype) { return dtype == DType::bf16 ? machine.bf16_bound() : machine.f32_peak; }

benchmark::Counter rate(double value) { return {value, benchmark::Counter::kIsIterationInvariantRate}; }
}  // namespace

Matrix::Matrix(DType dtype, int64_t rows, int64_t cols, uint32_t seed)
    : bytes(static_cast<size_t>(rows * cols) * dtype_size(dtype)), t(bytes.data(), dtype, {rows, cols}) {
  uint32_t state = seed;
  for (int64_t i = 0; i < rows * cols; ++i) {
    state = state * 1664525u + 1013904223u;
    const float value = static_cast<float>(state >> 8) * 0x1p-24f - 0.5f;
    if (dtype == DType::bf16) {
      t.b16()[i] = to_bf16(value);
    } else {
      t.f32()[i] = value;
    }
  }
}

int threads() { return machine.threads; }

void count_flops(benchmark::State& state, double flops, DType dtype) {
  state.counters["GFLOP/s"] = rate(flops * 1e-9);
  state.counters["of_bound"] = rate(flops * 1e-9 / bound_of(dtype));
}

void count_bytes(benchmark::State& state, double bytes) {
  state.counters["GB/s"] = rate(bytes * 1e-9);
  state.counters["of_memory"] = rate(bytes * 1e-9 / machine.copy_gb_s);
}

void add(const std::string& name, std::initializer_list<int64_t> arguments, Body body) {
  auto* b = benchmark::RegisterBenchmark(name.c_str(), [body = std::move(body)](benchmark::State& state) {
    ExecOwner owner(machine.threads);
    body(state, owner.exec());
  });
  b->UseRealTime()->Unit(benchmark::kMicrosecond);
  for (const int64_t argument : arguments) b->Arg(argument);
}

int run_benchmarks(int argc, char** argv, void (*register_all)()) {
  int threads = 2, kept = 1;
  for (int i = 1; i < argc; ++i)
    if (std::sscanf(argv[i], "--threads=%d", &threads) != 1) argv[kept++] = argv[i];
  argc = kept;
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  machine = measure_machine(threads);
  fmt::print(stderr, "bound, {} threads: {:.0f} GFLOP/s of bf16 ({}), {:.0f} of f32; {:.1f} GB/s copying\n", threads, machine.bf16_bound(),
             machine.bf16_gemm ? "oneDNN's product of 512 rows" : machine.instructions, machine.f32_peak, machine.copy_gb_s);
  register_all();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace cohort::bench
