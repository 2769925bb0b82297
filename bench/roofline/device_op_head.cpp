#include <algorithm>

#include "bench/roofline/device_op.h"
#include "core/check.h"
#include "model/cuda/head.h"
#include "model/cuda/sample.h"

namespace cohort::roofline {
namespace {

const DrawKey* draw_keys(DeviceMemory& m, int64_t rows) {
  std::vector<DrawKey> keys;
  for (int64_t i = 0; i < rows; ++i) keys.push_back({.seed = 7, .step = 3, .sequence = static_cast<uint32_t>(i), .position = static_cast<uint32_t>(5 * i)});
  return static_cast<const DrawKey*>(m.bytes(keys.data(), keys.size() * sizeof(DrawKey)));
}

}  // namespace

void prepare_head(const Op& op, DeviceOp& device, cuda::Products& products) {
  DeviceMemory& m = device.memory;
  const cuda::Stream stream = m.stream();
  const int64_t n = op.rows, V = op.n, C = op.k;
  if (op.kind == Kind::sample_head || op.kind == Kind::sample_tokens) {
    const bool head = op.kind == Kind::sample_head;
    const cuda::DrawnTokens drawn{m.zeros(DType::i32, 1, n), m.zeros(DType::f32, 1, n), m.zeros(DType::f32, 1, n), m.zeros(DType::i32, 1, n)};
    const DrawKey* keys = draw_keys(m, n);
    device.outputs = {{"token", drawn.token}, {"logprob", drawn.logprob}};
    if (head) {
      const Tensor h = m.numbers(DType::bf16, n, C), w = m.numbers(DType::bf16, V, C), scratch = m.zeros(DType::f32, 1, cuda::sample_head_scratch(n, V));
      device.run = [=](cuda::Products& with) { cuda::sample_head(drawn, h, w, 0, {}, keys, {}, with, scratch, stream); };
      return;
    }
    const Tensor logits = m.numbers(DType::f32, n, V, 4), scratch = m.zeros(DType::f32, 1, cuda::sample_scratch(n, V));
    device.run = [=](cuda::Products&) { cuda::sample_tokens(drawn, logits, {}, keys, {}, scratch, stream); };
    return;
  }
  const Tensor h = m.numbers(DType::bf16, n, C), w = m.numbers(DType::bf16, V, C, 0.25f), targets = m.list(tokens_of(n, V));
  const cuda::HeadRows rows{m.zeros(DType::f32, 1, n), m.zeros(DType::f32, 1, n), m.zeros(DType::f32, 1, n)};
  const Tensor scratch = m.zeros(DType::f32, 1, cuda::head_scratch(n, V));
  device.run = [=](cuda::Products& with) { cuda::head_logprobs(rows, h, w, targets, 1, 0, with, scratch, stream); };
  device.outputs = {{"logprob", rows.logprob}, {"entropy", rows.entropy}};
  if (op.kind == Kind::head_logprobs) return;
  CHECK(op.kind == Kind::head_backward, "{} is no op of the head", kind_name(op.kind));
  device.run(products);  // what the backward pass reads
  const Tensor dh = m.zeros(DType::f32, n, C), dw = m.zeros(DType::f32, V, C), of_logprob = m.numbers(DType::f32, 1, n);
  std::vector<int32_t> kept_rows = tokens_of(op.kept, V);
  std::ranges::sort(kept_rows);
  const Tensor device_rows = op.kept > 0 ? m.list(kept_rows) : Tensor(), sums = op.kept > 0 ? m.zeros(DType::f32, op.kept, C) : Tensor();
  const Tensor room = m.zeros(DType::f32, 1, cuda::head_backward_scratch(n, V, C, {}, op.kept > 0));
  device.run = [=](cuda::Products& with) {
    cuda::head_backward(dh, dw, h, w, targets, rows, {of_logprob, {}}, 1, 0, with, room, stream, {}, {kept_rows, device_rows, sums});
  };
  device.outputs = {{"dh", dh}, {"dw", dw}};
}

}  // namespace cohort::roofline
