#include "bench/roofline/device_op.h"

#include <cuda_runtime_api.h>

#include <algorithm>

#include "core/rng.h"
#include "model/cuda/elementwise.h"
#include "model/cuda/embedding.h"
#include "model/cuda/gated.h"
#include "model/cuda/norm.h"
#include "model/cuda/platform/status.h"
#include "model/cuda/rope.h"
#include "model/cuda/update.h"

namespace cohort::roofline {
namespace {

using cuda::check_status;

// Numbers that are drawn; longer tensors repeat them, in rows that differ, since this is a prime.
constexpr int64_t kPeriod = 65521;
constexpr float kEps = 1e-5f;

}  // namespace

DeviceMemory::~DeviceMemory() {
  (void)cudaStreamSynchronize(stream_);
  for (void* memory : taken_) (void)cudaFree(memory);
}

void* DeviceMemory::take(size_t bytes) {
  void* memory = nullptr;
  const std::string what = fmt::format("take {:.1f} MB of GPU memory for a measurement", static_cast<double>(bytes) * 1e-6);
  check_status(cudaMalloc(&memory, std::max<size_t>(16, bytes)), what.c_str());
  taken_.push_back(memory);
  return memory;
}

Tensor DeviceMemory::zeros(DType dtype, int64_t rows, int64_t cols) {
  Tensor t(nullptr, dtype, {rows, cols}, Device::cuda);
  t.data = take(t.bytes());
  if (t.bytes() > 0) check_status(cudaMemsetAsync(t.data, 0, t.bytes(), stream_), "clear memory");
  return t;
}

Tensor DeviceMemory::numbers(DType dtype, int64_t rows, int64_t cols, float spread, float middle) {
  Tensor t(nullptr, dtype, {rows, cols}, Device::cuda);
  t.data = take(t.bytes());
  const int64_t drawn = std::min(kPeriod, t.size());
  std::vector<float> wide;
  std::vector<bf16> narrow;
  Random random(++seed_, Stream::kTest);
  for (int64_t i = 0; i < drawn; ++i) {
    const float value = middle + spread * (2 * random.uniform() - 1);
    dtype == DType::f32 ? wide.push_back(value) : narrow.push_back(to_bf16(value));
  }
  const void* from = dtype == DType::f32 ? static_cast<const void*>(wide.data()) : narrow.data();
  const size_t first = static_cast<size_t>(drawn) * dtype_size(dtype), all = t.bytes();
  if (all == 0) return t;
  check_status(cudaMemcpyAsync(t.data, from, first, cudaMemcpyHostToDevice, stream_), "copy numbers");
  check_status(cudaStreamSynchronize(stream_), "copy numbers");
  for (size_t done = first; done < all;) {  // twice as many each time
    const size_t more = std::min(done, all - done);
    check_status(cudaMemcpyAsync(static_cast<std::byte*>(t.data) + done, t.data, more, cudaMemcpyDeviceToDevice, stream_), "copy numbers");
    done += more;
  }
  return t;
}

void* DeviceMemory::bytes(const void* from, size_t bytes) {
  void* memory = take(bytes);
  check_status(cudaMemcpyAsync(memory, from, bytes, cudaMemcpyHostToDevice, stream_), "copy to the device");
  check_status(cudaStreamSynchronize(stream_), "copy to the device");
  return memory;
}

Tensor DeviceMemory::list(const std::vector<int32_t>& list) {
  return {bytes(list.data(), list.size() * sizeof(int32_t)), DType::i32, {static_cast<int64_t>(list.size())}, Device::cuda};
}

std::vector<int32_t> tokens_of(int64_t rows, int64_t vocab) {
  std::vector<int32_t> tokens;
  const int64_t stride = std::max<int64_t>(1, vocab / std::max<int64_t>(1, rows));
  for (int64_t i = 0; i < rows; ++i) tokens.push_back(static_cast<int32_t>(i * stride % vocab));
  return tokens;
}

void prepare_layer_op(const Op& op, DeviceOp& device) {
  DeviceMemory& m = device.memory;
  const cuda::Stream stream = m.stream();
  const int64_t T = op.rows, N = op.n, K = op.k;
  const HeadLayout& h = op.heads;
  const int64_t q = h.num_heads * h.head_size, kv = h.num_kv_heads * h.head_size;
  const QkHeads heads{h.num_heads, h.num_kv_heads, h.head_size};
  const NormParams norm{.eps = kEps};
  switch (op.kind) {
    case Kind::forward: {
      const Tensor x = m.numbers(op.in, T, K), w = m.numbers(op.in, N, K), y = m.zeros(op.out, T, N);
      device.run = [=, accumulate = op.accumulate](cuda::Products& products) { cuda::matmul(y, x, w, products, stream, accumulate); };
      device.outputs = {{"y", y}};
      return;
    }
    case Kind::input: {
      const Tensor dy = m.numbers(op.in, T, N), w = m.numbers(op.in, N, K), dx = m.zeros(op.out, T, K);
      device.run = [=, accumulate = op.accumulate](cuda::Products& products) { cuda::matmul_backward_input(dx, dy, w, products, stream, accumulate); };
      device.outputs = {{"dx", dx}};
      return;
    }
    case Kind::weight: {
      const Tensor dy = m.numbers(op.in, T, N), x = m.numbers(op.in, T, K), dw = m.zeros(DType::f32, N, K);
      const Tensor scratch = m.zeros(DType::f32, 1, cuda::matmul_backward_weight_scratch(N, K));
      device.run = [=](cuda::Products& products) { cuda::matmul_backward_weight(dw, dy, x, products, scratch, stream); };
      device.outputs = {{"dw", dw}};
      return;
    }
    case Kind::embedding: {
      const Tensor x = m.zeros(DType::f32, T, K), tokens = m.list(tokens_of(T, N)), table = m.numbers(DType::bf16, N, K);
      device.run = [=](cuda::Products&) { cuda::embedding(x, tokens, table, stream); };
      device.outputs = {{"x", x}};
      return;
    }
    case Kind::embedding_backward: {
      const std::vector<int32_t> tokens = tokens_of(T, N);
      std::vector<int32_t> kept = tokens;
      std::ranges::sort(kept);
      kept.erase(std::ranges::unique(kept).begin(), kept.end());
      const cuda::EmbeddingOrder order = cuda::embedding_order(tokens, kept, N);
      const Tensor dtable = m.zeros(DType::f32, N, K), sums = m.zeros(DType::f32, order.parts * order.kept, K), dx = m.numbers(DType::f32, T, K),
                   device_order = m.list(order.numbers);
      device.run = [=](cuda::Products&) { cuda::embedding_backward(dtable, sums, dx, order, device_order, stream); };
      device.outputs = {{"dtable", dtable}};
      return;
    }
    case Kind::add_bias: {
      const Tensor y = m.numbers(DType::f32, T, N), bias = m.numbers(DType::bf16, 1, N);
      device.run = [=](cuda::Products&) { cuda::add_bias(y, bias, stream); };
      device.outputs = {{"y", y}};
      return;
    }
    case Kind::bias_backward: {
      const Tensor dbias = m.zeros(DType::f32, 1, N), dy = m.numbers(op.in, T, N), scratch = m.zeros(DType::f32, 1, cuda::bias_backward_scratch(T, N));
      device.run = [=](cuda::Products&) { cuda::bias_backward(dbias, dy, scratch, stream); };
      device.outputs = {{"dbias", dbias}};
      return;
    }
    case Kind::cast: {
      const Tensor x = m.numbers(op.in, T, N), y = m.zeros(op.out, T, N);
      device.run = [=](cuda::Products&) { cuda::cast(y, x, stream); };
      device.outputs = {{"y", y}};
      return;
    }
    case Kind::clear: {
      const Tensor t = m.numbers(op.out, T, N);
      device.run = [=](cuda::Products&) { check_status(cudaMemsetAsync(t.data, 0, t.bytes(), stream), "clear memory"); };
      device.outputs = {{"t", t}};
      return;
    }
    case Kind::gather_rows: {
      const Tensor x = m.numbers(op.in, T, N), y = m.zeros(op.in, T, N);
      std::vector<int32_t> rows;
      for (int64_t i = 0; i < T; ++i) rows.push_back(static_cast<int32_t>(T - 1 - i));
      const Tensor device_rows = m.list(rows);
      device.run = [=](cuda::Products&) { cuda::gather_rows(y, x, device_rows, stream); };
      device.outputs = {{"y", y}};
      return;
    }
    case Kind::scatter_add_rows: {
      const Tensor dx = m.numbers(DType::f32, T, N), dy = m.numbers(DType::f32, T, N);
      const cuda::EmbeddingOrder order = cuda::scatter_order(tokens_of(T, T), T);
      const Tensor device_order = m.list(order.numbers);
      device.run = [=](cuda::Products&) { cuda::scatter_add_rows(dx, dy, order, device_order, stream); };
      device.outputs = {{"dx", dx}};
      return;
    }
    case Kind::rmsnorm: {
      const Tensor x = m.numbers(DType::f32, T, N), gain = m.numbers(DType::bf16, 1, N, 0.5f, 1), y = m.zeros(DType::bf16, T, N),
                   rstd = op.training ? m.zeros(DType::f32, T, 1) : Tensor();
      device.run = [=](cuda::Products&) { cuda::rmsnorm(y, rstd, x, gain, norm, stream); };
      device.outputs = {{"y", y}};
      return;
    }
    case Kind::rmsnorm_backward: {
      const Tensor x = m.numbers(DType::f32, T, N), gain = m.numbers(DType::bf16, 1, N, 0.5f, 1), dy = m.numbers(DType::f32, T, N),
                   rstd = m.numbers(DType::f32, T, 1, 0.25f, 1.7f), dx = m.numbers(DType::f32, T, N), dgain = m.zeros(DType::f32, 1, N),
                   scratch = m.zeros(DType::f32, 1, cuda::rmsnorm_backward_scratch(T, N));
      device.run = [=](cuda::Products&) { cuda::rmsnorm_backward(dx, dgain, dy, x, gain, rstd, 0, scratch, stream); };
      device.outputs = {{"dx", dx}, {"dgain", dgain}};
      return;
    }
    case Kind::qk_norm: {
      const int64_t parts = h.num_heads + h.num_kv_heads;
      const Tensor qkv = m.numbers(DType::f32, T, q + 2 * kv), q_gain = m.numbers(DType::bf16, 1, h.head_size, 0.5f, 1),
                   k_gain = m.numbers(DType::bf16, 1, h.head_size, 0.5f, 1),
                   raw = op.training ? m.zeros(DType::f32, T, q + kv) : Tensor(), rstd = op.training ? m.zeros(DType::f32, T, parts) : Tensor();
      device.run = [=](cuda::Products&) { cuda::qk_norm(qkv, raw, rstd, q_gain, k_gain, heads, norm, stream); };
      device.outputs = {{"qkv", qkv}};
      return;
    }
    case Kind::qk_norm_backward: {
      const Tensor dqkv = m.numbers(DType::f32, T, q + 2 * kv), raw = m.numbers(DType::f32, T, q + kv),
                   rstd = m.numbers(DType::f32, T, h.num_heads + h.num_kv_heads, 0.25f, 1.7f),
                   q_gain = m.numbers(DType::bf16, 1, h.head_size, 0.5f, 1), k_gain = m.numbers(DType::bf16, 1, h.head_size, 0.5f, 1),
                   dq_gain = m.zeros(DType::f32, 1, h.head_size), dk_gain = m.zeros(DType::f32, 1, h.head_size),
                   scratch = m.zeros(DType::f32, 1, cuda::qk_norm_backward_scratch(T, h.head_size));
      device.run = [=](cuda::Products&) { cuda::qk_norm_backward(dqkv, dq_gain, dk_gain, raw, rstd, q_gain, k_gain, heads, 0, scratch, stream); };
      device.outputs = {{"dqkv", dqkv}, {"dq_gain", dq_gain}, {"dk_gain", dk_gain}};
      return;
    }
    case Kind::rope:
    case Kind::rope_backward: {
      const bool forward = op.kind == Kind::rope;
      const DType split = forward ? op.out : op.in, joined = forward ? op.in : op.out;
      std::vector<int32_t> positions;
      for (int64_t i = 0; i < T; ++i) positions.push_back(static_cast<int32_t>(i % 1024));
      const auto half = [&](DType dtype, int64_t cols) { return m.numbers(dtype, T, cols); };
      const Tensor a = half(split, q), b = half(split, kv), c = half(split, kv), all = half(joined, q + 2 * kv), at = m.list(positions),
                   frequency = m.numbers(DType::f32, 1, h.head_size / 2, 0.5f, 0.5f);
      device.run = [=](cuda::Products&) {
        forward ? cuda::rope_split(a, b, c, all, at, frequency, h.num_heads, h.num_kv_heads, stream)
                : cuda::rope_split_backward(all, a, b, c, at, frequency, h.num_heads, h.num_kv_heads, stream);
      };
      if (forward)
        device.outputs = {{"q", a}, {"k", b}, {"v", c}};
      else
        device.outputs = {{"dqkv", all}};
      return;
    }
    case Kind::gated: {
      const Tensor gate_up = m.numbers(DType::bf16, T, 2 * N, 3), y = m.zeros(DType::bf16, T, N);
      device.run = [=](cuda::Products&) { cuda::swiglu(y, gate_up, stream); };
      device.outputs = {{"y", y}};
      return;
    }
    case Kind::gated_backward: {
      const Tensor gate_up = m.numbers(DType::bf16, T, 2 * N, 3), dy = m.numbers(DType::bf16, T, N), y = m.zeros(DType::bf16, T, N),
                   dgate_up = m.zeros(DType::bf16, T, 2 * N);
      device.run = [=](cuda::Products&) { cuda::swiglu_backward(dgate_up, y, dy, gate_up, stream); };
      device.outputs = {{"dgate_up", dgate_up}, {"y", y}};
      return;
    }
    default: CHECK(false, "{} is no op of a layer", kind_name(op.kind));
  }
}

void prepare_optimizer(const Op& op, DeviceOp& device) {
  DeviceMemory& m = device.memory;
  const cuda::Stream stream = m.stream();
  const int64_t n = op.rows;
  switch (op.kind) {
    case Kind::adamw: {
      const Tensor weight = m.numbers(DType::bf16, 1, n), low = m.zeros(DType::bf16, 1, n), mean = m.zeros(DType::f32, 1, n),
                   square = m.zeros(DType::f32, 1, n), gradient = m.numbers(DType::f32, 1, n, 1e-2f);
      device.run = [=](cuda::Products&) { cuda::adamw(weight, low, mean, square, gradient, {.learning_rate = 1e-4f, .weight_decay = 0.1f}, stream); };
      device.outputs = {{"weight", weight}, {"m", mean}, {"v", square}};
      return;
    }
    case Kind::ordered_sum: {
      std::vector<Tensor> terms;
      for (int64_t i = 0; i < op.n; ++i) terms.push_back(m.numbers(DType::f32, 1, n));
      const Tensor sum = m.zeros(DType::f32, 1, n);
      device.run = [=](cuda::Products&) { cuda::ordered_sum(sum, terms, {}, stream); };
      device.outputs = {{"sum", sum}};
      return;
    }
    case Kind::sum_of_squares:
    case Kind::find_non_finite: {
      const bool squares = op.kind == Kind::sum_of_squares;
      const Tensor data = m.numbers(DType::f32, 1, n), result = m.zeros(DType::i32, 1, 2);
      const size_t bytes = squares ? cuda::sum_of_squares_scratch(n) : cuda::find_non_finite_scratch(n);
      const Tensor scratch = m.zeros(DType::i32, 1, static_cast<int64_t>(bytes / sizeof(int32_t)) + 2);
      device.run = [=](cuda::Products&) {
        squares ? cuda::sum_of_squares(static_cast<double*>(result.data), data, scratch.data, stream)
                : cuda::find_non_finite(static_cast<int64_t*>(result.data), data, scratch.data, stream);
      };
      device.outputs = {{"result", result}};
      return;
    }
    default: CHECK(false, "{} is no op of the optimizer", kind_name(op.kind));
  }
}

std::unique_ptr<DeviceOp> prepare(const Op& op, cuda::Stream stream, cuda::Products& products) {
  auto device = std::make_unique<DeviceOp>(stream);
  switch (op.kind) {
    case Kind::attention_pack:
    case Kind::attention_pack_backward:
    case Kind::store_cached:
    case Kind::attention_cached: prepare_attention(op, *device, products); break;
    case Kind::head_logprobs:
    case Kind::head_backward:
    case Kind::sample_head:
    case Kind::sample_tokens: prepare_head(op, *device, products); break;
    case Kind::adamw:
    case Kind::ordered_sum:
    case Kind::sum_of_squares:
    case Kind::find_non_finite: prepare_optimizer(op, *device); break;
    default: prepare_layer_op(op, *device);
  }
  check_status(cudaStreamSynchronize(stream), "prepare a measurement");
  return device;
}

}  // namespace cohort::roofline
