#include "model/gpu_draws.h"

#include <cuda_runtime_api.h>

#include <array>
#include <vector>

#include "core/check.h"
#include "model/cuda/embedding.h"
#include "model/cuda/gpu.h"
#include "model/cuda/platform/status.h"
#include "model/cuda/sample.h"

namespace cohort {
namespace {

using cuda::check_status;
constexpr int64_t kNumbers = cuda::kDrawnParts;

Gpu& opened() {
  CHECK(Gpu::current() != nullptr, "draws without a GPU that is open");
  return *Gpu::current();
}

}  // namespace

// On the device there is one place, which the pass after a draw reads before it draws itself. On the host two take turns: one
// is read while the other is written to.
struct GpuDraws::Impl {
  explicit Impl(int64_t rows) : rows(rows) {
    const auto bytes = static_cast<size_t>(rows * kNumbers) * sizeof(int32_t);
    device.require(bytes, opened().stream());
    for (Place& place : places) {
      void* pinned = nullptr;
      check_status(cudaHostAlloc(&pinned, bytes, cudaHostAllocDefault), "take pinned memory");
      place.host = static_cast<int32_t*>(pinned);
      check_status(cudaEventCreateWithFlags(&place.done, cudaEventDisableTiming), "create an event");
    }
  }
  ~Impl() {
    if (Gpu::current() != nullptr) (void)cudaStreamSynchronize(Gpu::current()->stream());  // which may still write there
    for (Place& place : places) {
      if (place.done != nullptr) (void)cudaEventDestroy(place.done);
      (void)cudaFreeHost(place.host);
    }
  }

  struct Place {
    int32_t* host = nullptr;  // pinned
    cudaEvent_t done = nullptr;
    std::vector<DrawKey> keys;
    int64_t drawn = 0;
    float temperature = 1;
  };

  int32_t* words() const { return reinterpret_cast<int32_t*>(device.data()); }
  void check_rows(int64_t n) const { CHECK(n > 0 && n <= rows, "a draw of {} rows, of at most {}", n, rows); }

  // draw(out, keys on the device)
  template <typename Draw>
  void launch(std::span<const DrawKey> keys, const Draw& draw) {
    const auto n = static_cast<int64_t>(keys.size());
    check_rows(n);
    Gpu& gpu = opened();
    gpu.begin_op();
    const auto part = [&](int64_t number, DType dtype) { return Tensor(words() + number * n, dtype, {n}, Device::cuda); };
    const Tensor device_keys = gpu.carry({reinterpret_cast<const int32_t*>(keys.data()), keys.size_bytes() / sizeof(int32_t)});
    draw(cuda::DrawnTokens{part(0, DType::i32), part(1, DType::f32), part(2, DType::f32), part(3, DType::i32)},
         reinterpret_cast<const DrawKey*>(device_keys.data), gpu);
  }

  int64_t rows;
  cuda::DeviceBuffer device;  // (4, rows drawn)
  std::array<Place, kUnread> places;
  int next = 0, last = -1, unread = 0;
};

GpuDraws::GpuDraws(int64_t rows) : impl_(std::make_unique<Impl>(rows)) {}
GpuDraws::~GpuDraws() = default;

void GpuDraws::sample_tokens(Tensor logits, const SamplingParams& params, std::span<const DrawKey> keys, const Ban& ban) {
  impl_->launch(keys, [&](const cuda::DrawnTokens& drawn, const DrawKey* device_keys, Gpu& gpu) {
    const Tensor scratch = gpu.scratch(DType::f32, cuda::sample_scratch(logits.rows(), logits.cols()));
    cuda::sample_tokens(drawn, logits, params, device_keys, ban, scratch, gpu.stream());
  });
}

void GpuDraws::sample_head(Tensor h, const PackedWeight& w, float softcap, const SamplingParams& params,
                           std::span<const DrawKey> keys, const Ban& ban) {
  impl_->launch(keys, [&](const cuda::DrawnTokens& drawn, const DrawKey* device_keys, Gpu& gpu) {
    const Tensor scratch = gpu.scratch(DType::f32, cuda::sample_head_scratch(h.rows(), w.n));
    cuda::sample_head(drawn, h, w.flat, softcap, params, device_keys, ban, gpu.products(), scratch, gpu.stream());
  });
}

void GpuDraws::send(std::span<const DrawKey> keys, int64_t drawn, float temperature) {
  impl_->check_rows(drawn);
  CHECK(!keys.empty() && std::ssize(keys) <= drawn, "{} rows of a draw of {}", keys.size(), drawn);
  CHECK(impl_->unread < kUnread, "a draw of {} rows, with {} unread", drawn, impl_->unread);
  Impl::Place& place = impl_->places[static_cast<size_t>(impl_->next)];
  place.keys.assign(keys.begin(), keys.end());
  place.drawn = drawn, place.temperature = temperature;
  const size_t bytes = static_cast<size_t>(drawn * kNumbers) * sizeof(int32_t);
  check_status(cudaMemcpyAsync(place.host, impl_->words(), bytes, cudaMemcpyDeviceToHost, opened().stream()), "copy from the GPU");
  check_status(cudaEventRecord(place.done, opened().stream()), "record an event");
  impl_->last = impl_->next;
  impl_->next = 1 - impl_->next;
  ++impl_->unread;
}

Tensor GpuDraws::tokens() const {
  if (impl_->last < 0) return {};
  const Impl::Place& place = impl_->places[static_cast<size_t>(impl_->last)];
  return {impl_->words(), DType::i32, {static_cast<int64_t>(place.keys.size())}, Device::cuda};
}

void GpuDraws::read(std::span<SampledToken> out) {
  CHECK(impl_->unread > 0, "no draw is left to read");
  const int first = impl_->unread == kUnread ? impl_->next : 1 - impl_->next;
  const Impl::Place& place = impl_->places[static_cast<size_t>(first)];
  CHECK(out.size() == place.keys.size(), "a draw of {} rows, read as {}", place.keys.size(), out.size());
  check_status(cudaEventSynchronize(place.done), "wait for the GPU");
  --impl_->unread;
  cuda::take_drawn(out, {place.host, static_cast<size_t>(place.drawn * kNumbers)}, place.keys, place.temperature);
}

void GpuDraws::forget() { impl_->unread = 0; }

void gpu::embedding_of_drawn(Tensor x, std::span<const int32_t> tokens, Tensor drawn, Tensor table, float scale, Gpu& gpu) {
  gpu.begin_op();
  // Of how many rows the last draw was is the host's to look at: a graph of this launch may follow a draw of more.
  const Tensor whole(drawn.data, DType::i32, {INT32_MAX}, Device::cuda);
  cuda::embedding(x, gpu.carry(tokens), table, gpu.stream(), scale, whole);
}

}  // namespace cohort
