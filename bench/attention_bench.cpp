// Attention on the heads of SmolLM2-135M (9 of queries, 3 of keys, size 64): decode, prefill, training.
//
//   attention_bench [--threads=2] [Google Benchmark's options]
//
// A query takes 2 products of the width of its head with each key it sees, forward; backward 5 (the scores again, and the
// gradients of queries, keys, values and probabilities). Decode also reads every key and value: its share of memory is given too.
#include "bench/kernels.h"
#include "model/kv_cache.h"
#include "model/ops/attention.h"

namespace {

using namespace cohort;
using namespace cohort::bench;

constexpr HeadLayout kHeads{.num_heads = 9, .num_kv_heads = 3, .head_size = 64};
constexpr int64_t kQueryWidth = 9 * 64, kKeyWidth = 3 * 64;

double forward_flops(double keys) { return 4.0 * kQueryWidth * keys; }

// `batch` sequences, each with `rows` query rows that end at `context`; the pages of the first `shared` positions are the same ones.
void cached(benchmark::State& state, const Exec& ex, DType act, int64_t batch, int64_t rows, int64_t context, int64_t shared) {
  const int64_t pages_each = (context + kPageTokens - 1) / kPageTokens, shared_pages = shared / kPageTokens;
  const int64_t pages = shared_pages + batch * (pages_each - shared_pages);
  const Matrix keys(act, pages * kPageTokens, kKeyWidth), values(act, pages * kPageTokens, kKeyWidth, 7);
  const Matrix q(act, batch * rows, kQueryWidth), out(act, batch * rows, kQueryWidth);
  std::vector<std::vector<int32_t>> tables;
  int32_t next = static_cast<int32_t>(shared_pages);
  for (int64_t s = 0; s < batch; ++s) {
    tables.emplace_back();
    for (int64_t p = 0; p < pages_each; ++p) tables.back().push_back(p < shared_pages ? static_cast<int32_t>(p) : next++);
  }
  std::vector<CachedRun> runs;
  double seen = 0;
  for (int64_t s = 0; s < batch; ++s) {
    runs.push_back({s * rows, rows, context - rows, tables[static_cast<size_t>(s)]});
    for (int64_t i = 0; i < rows; ++i) seen += static_cast<double>(context - rows + i + 1);
  }
  const KeyPages cache{keys.t.data, values.t.data, kPageTokens};
  for (auto _ : state) attention_cached(out.t, q.t, cache, runs, kHeads, ex);
  count_flops(state, forward_flops(seen), act);
  count_bytes(state, static_cast<double>(pages * kPageTokens * kKeyWidth * 2) * static_cast<double>(dtype_size(act)));
}

// `groups` prompts of `prompt` rows with `samples` completions of `length` rows each.
struct Pack {
  Pack(int64_t groups, int64_t prompt, int64_t samples, int64_t length) {
    for (int64_t g = 0; g < groups; ++g) {
      const int64_t begin = rows;
      runs.push_back({begin, prompt, begin, 0});
      rows += prompt;
      keys += static_cast<double>(prompt * (prompt + 1)) / 2;
      for (int64_t s = 0; s < samples; ++s) {
        runs.push_back({rows, length, begin, prompt});
        rows += length;
        keys += static_cast<double>(length * prompt) + static_cast<double>(length * (length + 1)) / 2;
      }
    }
  }
  std::vector<PackRun> runs;
  int64_t rows = 0;
  double keys = 0;
};

void train(benchmark::State& state, const Exec& ex, DType act, const Pack& pack, bool backward) {
  const Matrix q(act, pack.rows, kQueryWidth), k(act, pack.rows, kKeyWidth, 7), v(act, pack.rows, kKeyWidth, 8);
  const Matrix out(act, pack.rows, kQueryWidth), lse(DType::f32, pack.rows, kHeads.num_heads), dout(act, pack.rows, kQueryWidth, 9);
  const Matrix dq(DType::f32, pack.rows, kQueryWidth), dk(DType::f32, pack.rows, kKeyWidth), dv(DType::f32, pack.rows, kKeyWidth);
  attention_pack(out.t, lse.t, q.t, k.t, v.t, pack.runs, kHeads, ex);
  for (auto _ : state) {
    if (backward) {
      attention_pack_backward(dq.t, dk.t, dv.t, dout.t, out.t, lse.t, q.t, k.t, v.t, pack.runs, kHeads, ex);
    } else {
      attention_pack(out.t, lse.t, q.t, k.t, v.t, pack.runs, kHeads, ex);
    }
  }
  count_flops(state, forward_flops(pack.keys) * (backward ? 2.5 : 1.0), act);
}

void register_all() {
  for (const DType act : {DType::bf16, DType::f32}) {
    const std::string dtype = dtype_name(act);
    for (const int64_t context : {64, 512, 2048}) {
      add("decode/" + dtype + "/context:" + std::to_string(context) + "/batch", {1, 32, 128},
          [=](benchmark::State& state, const Exec& ex) { cached(state, ex, act, state.range(0), 1, context, 0); });
    }
    add("decode/" + dtype + "/context:576/shared:512/batch", {16, 64},
        [=](benchmark::State& state, const Exec& ex) { cached(state, ex, act, state.range(0), 1, 576, 512); });
    add("prefill/" + dtype + "/rows", {64, 512, 2048},
        [=](benchmark::State& state, const Exec& ex) { cached(state, ex, act, 1, state.range(0), state.range(0), 0); });
    for (const bool backward : {false, true}) {
      const std::string name = (backward ? "train_backward/" : "train_forward/") + dtype;
      add(name + "/4x(40+8x35)", {1},
          [=](benchmark::State& state, const Exec& ex) { train(state, ex, act, Pack(4, 40, 8, 35), backward); });
      add(name + "/1x(512+16x64)", {1},
          [=](benchmark::State& state, const Exec& ex) { train(state, ex, act, Pack(1, 512, 16, 64), backward); });
      add(name + "/length", {2048},
          [=](benchmark::State& state, const Exec& ex) { train(state, ex, act, Pack(1, state.range(0), 0, 0), backward); });
    }
  }
}

}  // namespace

int main(int argc, char** argv) { return cohort::bench::run_benchmarks(argc, argv, register_all); }
