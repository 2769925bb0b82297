// GFLOP/s of the matrix products and of the head, on the shapes of SmolLM2-135M.
//
//   matmul_bench [--threads=2] [Google Benchmark's options, e.g. --benchmark_filter=forward]
//
// Weights are many copies visited in turn, as the layers of a model are: more than the caches hold, so that a product
// with few rows is timed with its weights in memory, not in cache.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "core/rng.h"
#include "model/ops/head.h"
#include "model/ops/matmul.h"

namespace {

using namespace cohort;

int thread_count = 2;
constexpr size_t kWeightBytes = 200 << 20;
constexpr int64_t kVocab = 49152, kHidden = 576;

// A matrix of normal-ish numbers in either dtype.
struct Matrix {
  Matrix(DType dtype, int64_t rows, int64_t cols)
      : bytes(static_cast<size_t>(rows * cols) * dtype_size(dtype)), t(bytes.data(), dtype, {rows, cols}) {
    uint32_t state = 12345;
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
  std::vector<std::byte> bytes;
  Tensor t;
};

void count(benchmark::State& state, double flops) {
  state.counters["GFLOP/s"] = benchmark::Counter(flops * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

void forward(benchmark::State& state, int64_t n, int64_t k, DType act, DType out, bool accumulate) {
  const int64_t T = state.range(0);
  ExecOwner owner(thread_count);
  const Exec ex = owner.exec();
  const Matrix w(act, n, k), x(act, T, k);
  const Matrix y(out, T, n);
  std::vector<PackedWeight> weights(kWeightBytes / w.t.bytes() + 1);
  for (PackedWeight& packed : weights) pack_weight(packed, w.t, ex);
  size_t next = 0;
  for (auto _ : state) {
    matmul(y.t, x.t, weights[next], ex, accumulate);
    next = (next + 1) % weights.size();
  }
  count(state, 2.0 * static_cast<double>(T * n * k));
}

void backward_input(benchmark::State& state, int64_t n, int64_t k, DType act, DType out) {
  const int64_t T = state.range(0);
  ExecOwner owner(thread_count);
  const Exec ex = owner.exec();
  const size_t copies = kWeightBytes / (static_cast<size_t>(n * k) * dtype_size(act)) + 1;
  const Matrix weights(act, static_cast<int64_t>(copies) * n, k), dy(act, T, n), dx(out, T, k);
  size_t next = 0;
  for (auto _ : state) {
    matmul_backward_input(dx.t, dy.t, weights.t.slice_rows(static_cast<int64_t>(next) * n, n), ex);
    next = (next + 1) % copies;
  }
  count(state, 2.0 * static_cast<double>(T * n * k));
}

void backward_weight(benchmark::State& state, int64_t n, int64_t k, DType act) {
  const int64_t T = state.range(0);
  ExecOwner owner(thread_count);
  const Exec ex = owner.exec();
  const size_t copies = kWeightBytes / (static_cast<size_t>(n * k) * 4) + 1;
  const Matrix gradients(DType::f32, static_cast<int64_t>(copies) * n, k), dy(act, T, n), x(act, T, k);
  size_t next = 0;
  for (auto _ : state) {
    matmul_backward_weight(gradients.t.slice_rows(static_cast<int64_t>(next) * n, n), dy.t, x.t, ex);
    next = (next + 1) % copies;
  }
  count(state, 2.0 * static_cast<double>(T * n * k));
}

void pack(benchmark::State& state, int64_t n, int64_t k, DType act) {
  ExecOwner owner(thread_count);
  const Exec ex = owner.exec();
  const Matrix w(act, n, k);
  PackedWeight packed;
  for (auto _ : state) pack_weight(packed, w.t, ex);
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(w.t.bytes()));
}

// The head's products are 1 (log-probs) and 3 (loss: logits, dh, dw) times 2 n V C.
void head(benchmark::State& state, DType act, bool loss) {
  const int64_t n = state.range(0);
  ExecOwner owner(thread_count);
  const Exec ex = owner.exec();
  const Matrix w(act, kVocab, kHidden), h(act, n, kHidden), dh(DType::f32, n, kHidden);
  const Matrix dw(DType::f32, loss ? kVocab : 1, kHidden);
  PackedWeight packed;
  pack_weight(packed, w.t, ex);
  std::vector<int32_t> targets(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) targets[static_cast<size_t>(i)] = static_cast<int32_t>(i * 7919 % kVocab);
  std::vector<float> logprob(targets.size()), entropy(targets.size());
  for (auto _ : state) {
    if (loss) {
      head_loss(
          dh.t, dw.t, h.t, packed, w.t, targets, 1.0f, [](int64_t, float, float) { return -1e-3f; }, ex);
    } else {
      head_logprobs(logprob, entropy, h.t, packed, targets, 1.0f, ex);
    }
  }
  count(state, (loss ? 6.0 : 2.0) * static_cast<double>(n * kVocab * kHidden));
}

}  // namespace

int main(int argc, char** argv) {
  int kept = 1;
  for (int i = 1; i < argc; ++i) {
    if (std::sscanf(argv[i], "--threads=%d", &thread_count) != 1) argv[kept++] = argv[i];
  }
  argc = kept;
  struct Shape {
    const char* name;
    int64_t n, k;
    bool residual;  // y += x w^T in f32, else a fresh y (bf16 for gate_up)
  };
  const Shape shapes[] = {
      {"qkv", 960, 576, false}, {"out", 576, 576, true}, {"gate_up", 3072, 576, false}, {"down", 576, 1536, true}};
  for (DType act : {DType::bf16, DType::f32}) {
    const std::string dtype = dtype_name(act);
    const auto add = [&](const std::string& name, auto body, std::initializer_list<int64_t> tokens) {
      auto* b = benchmark::RegisterBenchmark(name.c_str(), body)->UseRealTime()->Unit(benchmark::kMicrosecond);
      for (int64_t t : tokens) b->Arg(t);
    };
    for (const Shape& s : shapes) {
      const DType out = std::string(s.name) == "gate_up" ? act : DType::f32;
      add("forward/" + dtype + "/" + s.name,
          [=](benchmark::State& state) { forward(state, s.n, s.k, act, out, s.residual); }, {1, 32, 64, 256, 1024});
      add("backward_input/" + dtype + "/" + s.name,
          [=](benchmark::State& state) { backward_input(state, s.n, s.k, act, s.residual ? act : DType::f32); },
          {32, 64, 256, 1024});
      add("backward_weight/" + dtype + "/" + s.name,
          [=](benchmark::State& state) { backward_weight(state, s.n, s.k, act); }, {32, 64, 256, 1024});
    }
    add("forward/" + dtype + "/head",
        [=](benchmark::State& state) { forward(state, kVocab, kHidden, act, DType::f32, false); }, {1, 8, 32, 64, 256});
    add("head_logprobs/" + dtype, [=](benchmark::State& state) { head(state, act, false); }, {32, 256, 1024});
    add("head_loss/" + dtype, [=](benchmark::State& state) { head(state, act, true); }, {32, 256, 1024});
    benchmark::RegisterBenchmark(("pack/" + dtype).c_str(),
                                 [=](benchmark::State& state) { pack(state, 3072, 576, act); })
        ->UseRealTime()
        ->Unit(benchmark::kMicrosecond);
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
