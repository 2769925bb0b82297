// The head, sampling and the optimizer as their entries call them (ops/gpu.h): numbers that the host needs come back from
// the device.
#include <algorithm>
#include <bit>
#include <vector>

#include "core/check.h"
#include "model/cuda/gpu.h"
#include "model/cuda/head.h"
#include "model/cuda/sample.h"
#include "model/cuda/update.h"
#include "model/ops/gpu.h"

namespace cohort::gpu {
namespace {

static_assert(cuda::kMaxBanned == kMaxBanned);

template <typename T>
void download(std::span<T> to, Tensor from, Gpu& gpu) {
  gpu.download(to.data(), from.data, to.size_bytes());
}

// What a span of the device's memory is as a tensor.
Tensor on_device(std::span<const float> data) {
  return {const_cast<float*>(data.data()), DType::f32, {static_cast<int64_t>(data.size())}, Device::cuda};
}

}  // namespace

// --- head.h --------------------------------------------------------------------------------------------------------

void head_logits(Tensor logits, Tensor h, const PackedWeight& w, float softcap, Gpu& gpu) {
  gpu.begin_op();
  const Tensor scratch = gpu.scratch(DType::f32, cuda::head_scratch(h.rows(), w.n));
  cuda::head_logits(logits, h, w.flat, softcap, gpu.products(), scratch, gpu.stream());
}

void check_head_rows_alike(const PackedWeight& w, Gpu& gpu) {
  if (gpu.products().numerics() == Numerics::fast) return;
  const auto check = [&](int64_t columns) {
    for (const cuda::Direction direction : {cuda::Direction::forward, cuda::Direction::input})
      cuda::check_rows_alike(direction, w.flat.slice_rows(0, columns), DType::f32, gpu.products(), gpu.stream());
  };
  if (w.n >= cuda::kHeadChunk) check(cuda::kHeadChunk);
  if (w.n % cuda::kHeadChunk > 0) check(w.n % cuda::kHeadChunk);
}

void head_logprobs(std::span<float> logprob, std::span<float> entropy, Tensor h, const PackedWeight& w,
                   std::span<const int32_t> targets, float temperature, float softcap, Gpu& gpu) {
  const int64_t n = h.rows();
  CHECK(static_cast<int64_t>(logprob.size()) == n && static_cast<int64_t>(targets.size()) == n &&
            (entropy.empty() || static_cast<int64_t>(entropy.size()) == n),
        "head_logprobs: {} rows, {} targets, {} log-probs, {} entropies", n, targets.size(), logprob.size(), entropy.size());
  if (n == 0) return;
  gpu.begin_op();
  const cuda::HeadRows rows{gpu.scratch(DType::f32, n), entropy.empty() ? Tensor() : gpu.scratch(DType::f32, n),
                            gpu.scratch(DType::f32, n)};
  const Tensor scratch = gpu.scratch(DType::f32, cuda::head_scratch(n, w.n));
  cuda::head_logprobs(rows, h, w.flat, gpu.carry(targets), temperature, softcap, gpu.products(), scratch, gpu.stream());
  download(logprob, rows.logprob, gpu);
  if (!entropy.empty()) download(entropy, rows.entropy, gpu);
}

// The host says dL/dlogprob and dL/dentropy between the two passes, row by row.
void head_loss(Tensor dh, Tensor dw, Tensor h, const PackedWeight& w, std::span<const int32_t> targets, float temperature,
               const TokenGradient& gradient, float softcap, std::span<const RowPart> parts, const KeptRows& kept, Gpu& gpu) {
  const int64_t n = h.rows();
  CHECK(static_cast<int64_t>(targets.size()) == n, "head_loss: {} rows, {} targets", n, targets.size());
  gpu.begin_op();
  const cuda::HeadRows rows{gpu.scratch(DType::f32, n), gpu.scratch(DType::f32, n), gpu.scratch(DType::f32, n)};
  const Tensor device_targets = gpu.carry(targets);
  {
    const Tensor scratch = gpu.scratch(DType::f32, cuda::head_scratch(n, w.n));
    cuda::head_logprobs(rows, h, w.flat, device_targets, temperature, softcap, gpu.products(), scratch, gpu.stream());
  }
  std::vector<float> logprob(static_cast<size_t>(n)), entropy(logprob.size()), of_logprob(logprob.size()), of_entropy(logprob.size());
  download(std::span(logprob), rows.logprob, gpu);
  download(std::span(entropy), rows.entropy, gpu);
  for (size_t i = 0; i < of_logprob.size(); ++i) {
    const RowGradient of = gradient(static_cast<int64_t>(i), logprob[i], entropy[i]);
    of_logprob[i] = of.dlogprob, of_entropy[i] = of.dentropy;
  }
  const cuda::HeadGradients gradients{
      gpu.scratch(DType::f32, n),
      std::ranges::any_of(of_entropy, [](float of) { return of != 0; }) ? gpu.scratch(DType::f32, n) : Tensor()};
  gpu.upload(gradients.of_logprob.data, of_logprob.data(), gradients.of_logprob.bytes());
  if (gradients.of_entropy) gpu.upload(gradients.of_entropy.data, of_entropy.data(), gradients.of_entropy.bytes());
  const cuda::HeadKeptRows device_kept{kept.rows, kept.rows.empty() ? Tensor() : gpu.carry(kept.rows), kept.sums};
  const Tensor scratch =
      gpu.scratch(DType::f32, cuda::head_backward_scratch(n, w.n, w.k, parts, !kept.rows.empty()));
  cuda::head_backward(dh, dw, h, w.flat, device_targets, rows, gradients, temperature, softcap, gpu.products(), scratch,
                      gpu.stream(), parts, device_kept);
}

// --- sample.h ------------------------------------------------------------------------------------------------------

}  // namespace cohort::gpu

void cohort::cuda::take_drawn(std::span<SampledToken> out, std::span<const int32_t> numbers, std::span<const DrawKey> keys,
                              float temperature) {
  const size_t rows = numbers.size() / kDrawnParts;
  CHECK(keys.size() == out.size() && numbers.size() % kDrawnParts == 0 && rows >= out.size(), "{} draws from {} numbers", out.size(),
        numbers.size());
  for (size_t i = 0; i < out.size(); ++i) {
    const auto number = [&](size_t part) { return numbers[part * rows + i]; };
    if (number(3) == kNonFiniteLogits)
      throw NonFiniteLogits(keys[i].sequence, fmt::format("the logits of token {} of the completion are not finite at temperature {}",
                                                          keys[i].position + 1, temperature));
    CHECK(number(3) != kNothingLeft, "every token of row {} with a probability above 0 is banned", i);
    out[i] = {number(0), std::bit_cast<float>(number(1)), std::bit_cast<float>(number(2))};
  }
}

namespace cohort::gpu {
namespace {

// Draws with draw(out, keys), and brings what was drawn to the host.
template <typename Draw>
void draw_rows(std::span<SampledToken> out, const SamplingParams& params, std::span<const DrawKey> keys, Gpu& gpu,
               const Draw& draw) {
  const auto n = static_cast<int64_t>(out.size());
  CHECK(keys.size() == out.size(), "sample: {} tokens with {} keys", out.size(), keys.size());
  if (n == 0) return;
  const Tensor drawn = gpu.scratch(DType::i32, cuda::kDrawnParts, n);  // one copy brings all of it
  const auto part = [&](int64_t row, DType dtype) {
    return Tensor(drawn.i32() + row * n, dtype, {n}, Device::cuda);
  };
  constexpr int64_t kWords = sizeof(DrawKey) / sizeof(int32_t);
  const Tensor device_keys = gpu.scratch(DType::i32, n * kWords);
  gpu.upload(device_keys.data, keys.data(), keys.size_bytes());
  draw(cuda::DrawnTokens{part(0, DType::i32), part(1, DType::f32), part(2, DType::f32), part(3, DType::i32)},
       reinterpret_cast<const DrawKey*>(device_keys.data));
  std::vector<int32_t> host(static_cast<size_t>(cuda::kDrawnParts * n));
  download(std::span(host), drawn, gpu);
  cuda::take_drawn(out, host, keys, params.temperature);
}

}  // namespace

void sample_tokens(std::span<SampledToken> out, Tensor logits, const SamplingParams& params, std::span<const DrawKey> keys,
                   const Ban& ban, Gpu& gpu) {
  gpu.begin_op();
  const Tensor scratch = gpu.scratch(DType::f32, cuda::sample_scratch(logits.rows(), logits.cols()));
  draw_rows(out, params, keys, gpu, [&](const cuda::DrawnTokens& drawn, const DrawKey* device_keys) {
    cuda::sample_tokens(drawn, logits, params, device_keys, ban, scratch, gpu.stream());
  });
}

void sample_head(std::span<SampledToken> out, Tensor h, const PackedWeight& w, float softcap, const SamplingParams& params,
                 std::span<const DrawKey> keys, const Ban& ban, Gpu& gpu) {
  gpu.begin_op();
  const Tensor scratch = gpu.scratch(DType::f32, cuda::sample_head_scratch(h.rows(), w.n));
  draw_rows(out, params, keys, gpu, [&](const cuda::DrawnTokens& drawn, const DrawKey* device_keys) {
    cuda::sample_head(drawn, h, w.flat, softcap, params, device_keys, ban, gpu.products(), scratch, gpu.stream());
  });
}

// --- update.h ------------------------------------------------------------------------------------------------------

void adamw(Tensor weight, const AdamWState& state, std::span<const float> gradient, const AdamWStep& step, Gpu& gpu) {
  const auto low = static_cast<int64_t>(state.low.size());
  cuda::adamw(weight, {state.low.data(), DType::bf16, {low}, Device::cuda}, on_device(state.m), on_device(state.v),
              on_device(gradient), step, gpu.stream());
}

void add_into(std::span<float> sum, std::span<const float> other, Gpu& gpu) {
  CHECK(sum.size() == other.size(), "add_into: {} elements to {}", other.size(), sum.size());
  const Tensor terms[] = {on_device(sum), on_device(other)};
  cuda::ordered_sum(terms[0], terms, {}, gpu.stream());
}

double sum_of_squares(std::span<const float> data, Gpu& gpu) {
  gpu.begin_op();
  const Tensor result = gpu.scratch(DType::f32, 2);
  const auto n = static_cast<int64_t>(data.size());
  const size_t bytes = cuda::sum_of_squares_scratch(n);
  const Tensor scratch = gpu.scratch(DType::f32, static_cast<int64_t>(bytes / sizeof(float)));
  cuda::sum_of_squares(static_cast<double*>(result.data), on_device(data), scratch.data, gpu.stream());
  double sum = 0;
  gpu.download(&sum, result.data, sizeof(sum));
  return sum;
}

int64_t find_non_finite(std::span<const float> data, Gpu& gpu) {
  gpu.begin_op();
  const Tensor result = gpu.scratch(DType::f32, 2);
  const size_t bytes = cuda::find_non_finite_scratch(static_cast<int64_t>(data.size()));
  const Tensor scratch = gpu.scratch(DType::f32, static_cast<int64_t>(bytes / sizeof(float)));
  cuda::find_non_finite(static_cast<int64_t*>(result.data), on_device(data), scratch.data, gpu.stream());
  int64_t index = -1;
  gpu.download(&index, result.data, sizeof(index));
  return index;
}

}  // namespace cohort::gpu
