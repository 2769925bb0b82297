// GFLOP/s of the matrix products and of the head, on the shapes of SmolLM2-135M.
//
//   matmul_bench [--threads=2] [Google Benchmark's options, e.g. --benchmark_filter=forward]
//
// Weights are many copies visited in turn, as the layers of a model are: more than the caches hold, so that a product
// with few rows is timed with its weights in memory, not in cache.
#include "bench/kernels.h"
#include "model/ops/head.h"
#include "model/ops/matmul.h"

namespace {

using namespace cohort;
using namespace cohort::bench;

constexpr size_t kWeightBytes = 200 << 20;
constexpr int64_t kVocab = 49152, kHidden = 576;

void forward(benchmark::State& state, const Exec& ex, int64_t n, int64_t k, DType act, DType out, bool accumulate) {
  const int64_t T = state.range(0);
  const Matrix w(act, n, k), x(act, T, k);
  const Matrix y(out, T, n);
  std::vector<PackedWeight> weights(kWeightBytes / w.t.bytes() + 1);
  for (PackedWeight& packed : weights) pack_weight(packed, w.t, ex);
  size_t next = 0;
  for (auto _ : state) {
    matmul(y.t, x.t, weights[next], ex, accumulate);
    next = (next + 1) % weights.size();
  }
  count_flops(state, 2.0 * static_cast<double>(T * n * k), act);
}

void backward_input(benchmark::State& state, const Exec& ex, int64_t n, int64_t k, DType act, DType out) {
  const int64_t T = state.range(0);
  const size_t copies = kWeightBytes / (static_cast<size_t>(n * k) * dtype_size(act)) + 1;
  const Matrix w(act, n, k), dy(act, T, n), dx(out, T, k);
  std::vector<PackedWeight> weights(copies);
  for (PackedWeight& packed : weights) pack_weight(packed, w.t, ex);
  size_t next = 0;
  for (auto _ : state) {
    matmul_backward_input(dx.t, dy.t, weights[next], ex);
    next = (next + 1) % copies;
  }
  count_flops(state, 2.0 * static_cast<double>(T * n * k), act);
}

void backward_weight(benchmark::State& state, const Exec& ex, int64_t n, int64_t k, DType act) {
  const int64_t T = state.range(0);
  const size_t copies = kWeightBytes / (static_cast<size_t>(n * k) * 4) + 1;
  const Matrix gradients(DType::f32, static_cast<int64_t>(copies) * n, k), dy(act, T, n), x(act, T, k);
  size_t next = 0;
  for (auto _ : state) {
    matmul_backward_weight(gradients.t.slice_rows(static_cast<int64_t>(next) * n, n), dy.t, x.t, ex);
    next = (next + 1) % copies;
  }
  count_flops(state, 2.0 * static_cast<double>(T * n * k), act);
}

void pack(benchmark::State& state, const Exec& ex, int64_t n, int64_t k, DType act) {
  const Matrix w(act, n, k);
  PackedWeight packed;
  for (auto _ : state) pack_weight(packed, w.t, ex);
  count_bytes(state, 2.0 * static_cast<double>(w.t.bytes()));
}

// The head's products are 1 (log-probs) and 3 (loss: logits, dh, dw) times 2 n V C.
void head(benchmark::State& state, const Exec& ex, DType act, bool loss) {
  const int64_t n = state.range(0);
  const Matrix w(act, kVocab, kHidden), h(act, n, kHidden), dh(DType::f32, n, kHidden);
  const Matrix dw(DType::f32, loss ? kVocab : 1, kHidden);
  std::vector<float> spare(loss ? static_cast<size_t>(n * (kVocab + 384)) : 0);  // as much as a model's gradients have
  PackedWeight packed;
  pack_weight(packed, w.t, ex);
  std::vector<int32_t> targets(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) targets[static_cast<size_t>(i)] = static_cast<int32_t>(i * 7919 % kVocab);
  std::vector<float> logprob(targets.size()), entropy(targets.size());
  for (auto _ : state) {
    if (loss) {
      head_loss(
          dh.t, dw.t, h.t, packed, targets, 1.0f, [](int64_t, float, float) { return -1e-3f; }, ex, 0, {}, {}, spare);
    } else {
      head_logprobs(logprob, entropy, h.t, packed, targets, 1.0f, ex);
    }
  }
  count_flops(state, (loss ? 6.0 : 2.0) * static_cast<double>(n * kVocab * kHidden), act);
}

void register_all() {
  struct Shape {
    const char* name;
    int64_t n, k;
    bool residual;  // y += x w^T in f32, else a fresh y (bf16 for gate_up)
  };
  const Shape shapes[] = {
      {"qkv", 960, 576, false}, {"out", 576, 576, true}, {"gate_up", 3072, 576, false}, {"down", 576, 1536, true}};
  for (DType act : {DType::bf16, DType::f32}) {
    const std::string dtype = dtype_name(act);
    for (const Shape& s : shapes) {
      const DType out = std::string(s.name) == "gate_up" ? act : DType::f32;
      add("forward/" + dtype + "/" + s.name, {1, 32, 64, 256, 1024}, [=](benchmark::State& state, const Exec& ex) {
        forward(state, ex, s.n, s.k, act, out, s.residual);
      });
      add("backward_input/" + dtype + "/" + s.name, {32, 64, 256, 1024}, [=](benchmark::State& state, const Exec& ex) {
        backward_input(state, ex, s.n, s.k, act, s.residual ? act : DType::f32);
      });
      add("backward_weight/" + dtype + "/" + s.name, {32, 64, 256, 1024},
          [=](benchmark::State& state, const Exec& ex) { backward_weight(state, ex, s.n, s.k, act); });
    }
    add("forward/" + dtype + "/head", {1, 8, 32, 64, 256}, [=](benchmark::State& state, const Exec& ex) {
      forward(state, ex, kVocab, kHidden, act, DType::f32, false);
    });
    add("head_logprobs/" + dtype, {32, 256, 1024}, [=](benchmark::State& state, const Exec& ex) { head(state, ex, act, false); });
    add("head_loss/" + dtype, {32, 256, 1024}, [=](benchmark::State& state, const Exec& ex) { head(state, ex, act, true); });
    add("pack/" + dtype, {}, [=](benchmark::State& state, const Exec& ex) { pack(state, ex, 3072, 576, act); });
  }
}

}  // namespace

int main(int argc, char** argv) { return cohort::bench::run_benchmarks(argc, argv, register_all); }
