#include "bench/roofline/device_op.h"
#include "model/cuda/attention.h"
#include "core/check.h"
#include "model/kv_cache.h"

namespace cohort::roofline {
namespace {

std::vector<PackRun> pack_runs(const Sequences& s) {
  std::vector<PackRun> runs;
  int64_t at = 0;
  for (int64_t p = 0; p < s.prompts; ++p) {
    const int64_t prompt = at;
    runs.push_back({at, s.prompt, at, 0});
    at += s.prompt;
    for (int64_t i = 0; i < s.samples; ++i, at += s.completion) runs.push_back({at, s.completion, prompt, s.prompt});
  }
  return runs;
}

// The pages of each sequence, whole ones of a shared prompt those of its first sample; and how many there are.
struct Pages {
  std::vector<std::vector<int32_t>> of;
  int32_t count = 0;
};
Pages pages_of(const Sequences& s) {
  Pages pages;
  const int64_t all = (s.context() + kPageTokens - 1) / kPageTokens, shared = s.shared ? s.prompt / kPageTokens : 0;
  for (int64_t i = 0; i < s.count(); ++i) {
    std::vector<int32_t> own;
    if (i % s.samples > 0) own.assign(pages.of[static_cast<size_t>(i / s.samples * s.samples)].begin(), pages.of[static_cast<size_t>(i / s.samples * s.samples)].begin() + shared);
    while (static_cast<int64_t>(own.size()) < all) own.push_back(pages.count++);
    pages.of.push_back(std::move(own));
  }
  return pages;
}

}  // namespace

void prepare_attention(const Op& op, DeviceOp& device, cuda::Products& products) {
  DeviceMemory& m = device.memory;
  const cuda::Stream stream = m.stream();
  const HeadLayout heads = op.heads;
  const int64_t T = op.rows, q_width = heads.num_heads * heads.head_size, kv_width = heads.num_kv_heads * heads.head_size;
  const Tensor q = m.numbers(DType::bf16, T, q_width), k = m.numbers(DType::bf16, T, kv_width), v = m.numbers(DType::bf16, T, kv_width),
               out = m.zeros(DType::bf16, T, q_width), lse = m.zeros(DType::f32, T, heads.num_heads);
  if (op.kind == Kind::attention_pack || op.kind == Kind::attention_pack_backward) {
    const cuda::AttentionPlan plan = cuda::pack_plan(pack_runs(op.sequences), T, heads);
    const Tensor device_plan = m.list(plan.numbers);
    device.run = [=](cuda::Products&) { cuda::attention_pack(out, lse, q, k, v, plan, device_plan, heads, stream); };
    device.outputs = {{"out", out}, {"lse", lse}};
    if (op.kind == Kind::attention_pack) return;
    device.run(products);  // what the backward pass reads
    const Tensor dout = m.numbers(DType::bf16, T, q_width), dq = m.zeros(DType::f32, T, q_width), dk = m.zeros(DType::f32, T, kv_width),
                 dv = m.zeros(DType::f32, T, kv_width), delta = m.zeros(DType::f32, T, heads.num_heads);
    device.run = [=](cuda::Products&) { cuda::attention_pack_backward(dq, dk, dv, dout, out, lse, q, k, v, plan, device_plan, heads, delta, stream); };
    device.outputs = {{"dq", dq}, {"dk", dk}, {"dv", dv}};
    return;
  }
  const Sequences& s = op.sequences;
  CHECK(s.count() == T, "{} rows of {} sequences", T, s.count());
  const Pages pages = pages_of(s);
  const int64_t page_numbers = heads.num_kv_heads * kPageTokens * cached_head_size(heads.head_size);
  const Tensor keys = m.numbers(DType::bf16, pages.count, page_numbers), values = m.numbers(DType::bf16, pages.count, page_numbers);
  const KeyPages cache{keys.data, values.data, kPageTokens, page_numbers};
  std::vector<CachedRun> runs;
  for (int64_t i = 0; i < T; ++i) runs.push_back({i, 1, s.context() - 1, pages.of[static_cast<size_t>(i)]});
  const cuda::AttentionPlan plan = cuda::cached_plan(runs, T, kPageTokens, heads);
  const Tensor device_plan = m.list(plan.numbers);
  if (op.kind == Kind::store_cached) {
    device.run = [=](cuda::Products&) { cuda::store_cached(cache, k, v, plan, device_plan, heads, stream); };
    device.outputs = {{"keys", keys}, {"values", values}};
    return;
  }
  const Tensor scratch = m.zeros(DType::f32, 1, cuda::attention_cached_scratch(plan, heads));
  device.run = [=](cuda::Products&) { cuda::attention_cached(out, q, cache, plan, device_plan, heads, scratch, stream); };
  device.outputs = {{"out", out}};
}

}  // namespace cohort::roofline
