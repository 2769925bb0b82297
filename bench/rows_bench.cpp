// The ops that touch each row on its own, on the widths of SmolLM2-135M: norms, rope, SwiGLU, sampling. They are bound by memory: bytes read and
// written, as a share of the copy bandwidth.
//
//   rows_bench [--threads=2] [Google Benchmark's options]
#include <numeric>

#include "bench/kernels.h"
#include "model/ops/gated.h"
#include "model/ops/norm.h"
#include "model/ops/rope.h"
#include "model/ops/sample.h"

namespace {

using namespace cohort;
using namespace cohort::bench;

constexpr int64_t kHidden = 576, kFfn = 1536, kHeads = 9, kKvHeads = 3, kHeadSize = 64, kVocab = 49152;

// The bytes of tensors that an op reads or writes once.
double bytes_of(std::initializer_list<const Matrix*> matrices) {
  double bytes = 0;
  for (const Matrix* m : matrices) bytes += static_cast<double>(m->bytes.size());
  return bytes;
}

void norm(benchmark::State& state, const Exec& ex, DType act, bool backward) {
  const int64_t rows = state.range(0);
  const Matrix x(DType::f32, rows, kHidden), gain(act, 1, kHidden), y(act, rows, kHidden), rstd(DType::f32, rows, 1);
  const Matrix dx(DType::f32, rows, kHidden), dy(DType::f32, rows, kHidden), dgain(DType::f32, 1, kHidden);
  const Tensor gains(gain.t.data, act, {kHidden}), dgains(dgain.t.data, DType::f32, {kHidden}), rstds(rstd.t.data, DType::f32, {rows});
  rmsnorm(y.t, rstds, x.t, gains, {.eps = 1e-5f}, ex);
  for (auto _ : state) {
    if (backward) {
      rmsnorm_backward(dx.t, dgains, dy.t, x.t, gains, rstds, 0, ex);
    } else {
      rmsnorm(y.t, rstds, x.t, gains, {.eps = 1e-5f}, ex);
    }
  }
  count_bytes(state, backward ? bytes_of({&x, &dy, &dx, &dx}) : bytes_of({&x, &y}));
}

void swiglu_rows(benchmark::State& state, const Exec& ex, DType act, bool backward) {
  const int64_t rows = state.range(0);
  const Matrix gate_up(act, rows, 2 * kFfn), y(act, rows, kFfn), dgate_up(act, rows, 2 * kFfn);
  for (auto _ : state) {
    if (backward) {
      swiglu_backward(dgate_up.t, y.t, y.t, gate_up.t, ex);
    } else {
      swiglu(y.t, gate_up.t, ex);
    }
  }
  count_bytes(state, backward ? bytes_of({&gate_up, &y, &dgate_up}) : bytes_of({&gate_up, &y}));
}

void rope(benchmark::State& state, const Exec& ex, DType act, bool backward) {
  const int64_t rows = state.range(0), q_width = kHeads * kHeadSize, k_width = kKvHeads * kHeadSize;
  const DType split = backward ? DType::f32 : act, whole = backward ? act : DType::f32;
  const Matrix qkv(whole, rows, q_width + 2 * k_width), q(split, rows, q_width), k(split, rows, k_width), v(split, rows, k_width);
  const std::vector<float> frequencies = rope_inverse_frequencies(kHeadSize, 1e5f);
  std::vector<int32_t> positions(static_cast<size_t>(rows));
  std::iota(positions.begin(), positions.end(), 0);
  for (auto _ : state) {
    if (backward) {
      rope_split_backward(qkv.t, q.t, k.t, v.t, positions, frequencies, kHeads, kKvHeads, ex);
    } else {
      rope_split(q.t, k.t, v.t, qkv.t, positions, frequencies, kHeads, kKvHeads, ex);
    }
  }
  count_bytes(state, bytes_of({&qkv, &q, &k, &v}));
}

void sample(benchmark::State& state, const Exec& ex, const SamplingParams& params) {
  const int64_t rows = state.range(0);
  const Matrix logits(DType::f32, rows, kVocab);
  std::vector<SampledToken> out(static_cast<size_t>(rows));
  std::vector<DrawKey> keys;
  for (int64_t i = 0; i < rows; ++i) keys.push_back({1, 2, static_cast<uint32_t>(i), 3});
  for (auto _ : state) sample_tokens(out, logits.t, params, keys, {}, ex);
  count_bytes(state, bytes_of({&logits}));
}

void register_all() {
  for (const DType act : {DType::bf16, DType::f32}) {
    for (const bool backward : {false, true}) {
      const std::string kind = std::string(backward ? "_backward/" : "/") + dtype_name(act) + "/rows";
      add("rmsnorm" + kind, {32, 1024, 16384}, [=](benchmark::State& s, const Exec& ex) { norm(s, ex, act, backward); });
      add("rope" + kind, {32, 1024, 16384}, [=](benchmark::State& s, const Exec& ex) { rope(s, ex, act, backward); });
      add("swiglu" + kind, {32, 1024, 16384}, [=](benchmark::State& s, const Exec& ex) { swiglu_rows(s, ex, act, backward); });
    }
  }
  add("sample/rows", {1, 32, 128}, [](benchmark::State& s, const Exec& ex) { sample(s, ex, {}); });
  add("sample_greedy/rows", {1, 32, 128}, [](benchmark::State& s, const Exec& ex) { sample(s, ex, {.temperature = 0}); });
  add("sample_top_p/rows", {1, 32, 128}, [](benchmark::State& s, const Exec& ex) { sample(s, ex, {.top_p = 0.9f}); });
}

}  // namespace

int main(int argc, char** argv) { return cohort::bench::run_benchmarks(argc, argv, register_all); }
