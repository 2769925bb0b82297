// What the kernel benchmarks share: matrices, threads, and figures as shares of what the machine can do.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

#include "bench/machine.h"
#include "model/exec.h"
#include "model/tensor.h"

namespace cohort::bench {

// A matrix of numbers in [-0.5, 0.5), in either dtype.
struct Matrix {
  Matrix(DType dtype, int64_t rows, int64_t cols, uint32_t seed = 12345);
  std::vector<std::byte> bytes;
  Tensor t;
};

// --threads=N, default 2; known once run_benchmarks has begun.
int threads();

// Counters of one iteration's work: GFLOP/s and its share of the matrix products' bound for the dtype; GB/s and its share of
// the copy bandwidth. Small matrices stay in caches, so that a share of memory can be above 1.
void count_flops(benchmark::State& state, double flops, DType dtype);
void count_bytes(benchmark::State& state, double bytes);

// `body(state, ex)` as NAME/ARG for each of `arguments`, in real time; ex has threads() threads.
using Body = std::function<void(benchmark::State& state, const Exec& ex)>;
void add(const std::string& name, std::initializer_list<int64_t> arguments, Body body);

// Measures the machine, then runs what `register_all` adds; the exit code.
int run_benchmarks(int argc, char** argv, void (*register_all)());

}  // namespace cohort::bench
