#include "model/cuda/gpu.h"

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstring>

#include "core/check.h"
#include "core/text.h"
#include "model/cuda/copy_all.h"
#include "model/cuda/platform/status.h"

namespace cohort {
namespace {

using cuda::check_status;

constexpr size_t kPinnedBytes = size_t{8} << 20;
constexpr size_t kAlign = 256;  // as cudaMalloc aligns

size_t aligned(size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

Gpu* open_one = nullptr;

Gpu& opened() {
  CHECK(open_one != nullptr, "no GPU is open");
  return *open_one;
}

}  // namespace

namespace cuda {

void DeviceBuffer::require(size_t bytes, Stream stream) {
  if (bytes <= size_) return;
  if (data_ != nullptr) check_status(cudaStreamSynchronize(stream), "wait for the GPU");
  free();
  void* memory = nullptr;
  const std::string what = fmt::format("take {} of GPU memory for an op", human_bytes(bytes));
  check_status(cudaMalloc(&memory, bytes), what.c_str());
  data_ = static_cast<std::byte*>(memory);
  size_ = bytes;
}

void DeviceBuffer::free() noexcept {
  if (data_ != nullptr) (void)cudaFree(data_);
  data_ = nullptr;
  size_ = 0;
}

}  // namespace cuda

Gpu* Gpu::current() { return open_one; }

Gpu::Gpu(int index, Numerics numerics) {
  CHECK(open_one == nullptr, "a second GPU in one process");
  check_status(cudaSetDevice(index), "use the GPU");
  check_status(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "start a stream on the GPU");
  try {
    void* pinned = nullptr;
    check_status(cudaHostAlloc(&pinned, kPinnedBytes, cudaHostAllocDefault), "take pinned memory");
    pinned_ = static_cast<std::byte*>(pinned);
    products_.emplace(numerics);
  } catch (...) {
    (void)cudaFreeHost(pinned_);
    (void)cudaStreamDestroy(stream_);
    throw;
  }
  open_one = this;
}

Gpu::~Gpu() {
  open_one = nullptr;
  (void)cudaStreamSynchronize(stream_);
  products_.reset();
  (void)cudaFreeHost(pinned_);
  (void)cudaStreamDestroy(stream_);
}

void Gpu::synchronize() { check_status(cudaStreamSynchronize(stream_), "wait for the GPU"); }

void Gpu::begin_op() {
  scratch_used_ = 0;
  if (scratch_.size() <= 1) return;
  size_t all = 0;
  for (const auto& buffer : scratch_) all += buffer->size();
  synchronize();
  ++scratch_moves_;
  scratch_.clear();
  scratch_.push_back(std::make_unique<cuda::DeviceBuffer>());
  scratch_.back()->require(all, stream_);
}

Tensor Gpu::scratch(DType dtype, int64_t count) {
  const size_t bytes = aligned(std::max<size_t>(1, static_cast<size_t>(count) * dtype_size(dtype)));
  if (scratch_.empty() || scratch_used_ + bytes > scratch_.back()->size()) {
    CHECK(!recorded(), "an op of a pass that is recorded takes {} more than when it was launched", human_bytes(bytes));
    ++scratch_moves_;
    scratch_.push_back(std::make_unique<cuda::DeviceBuffer>());  // what the op has stays where it is
    scratch_.back()->require(bytes, stream_);
    scratch_used_ = 0;
  }
  std::byte* at = scratch_.back()->data() + scratch_used_;
  scratch_used_ += bytes;
  return {at, dtype, {count}, Device::cuda};
}

// Pinned memory that no copy reads or writes any more.
std::byte* Gpu::staging(size_t bytes) {
  CHECK(!recorded(), "{} between host and device in a pass that is recorded", human_bytes(bytes));
  if (pinned_used_ + bytes > kPinnedBytes) {
    synchronize();
    pinned_used_ = 0;
  }
  std::byte* at = pinned_ + pinned_used_;
  pinned_used_ += aligned(bytes);
  return at;
}

void Gpu::upload(void* to, const void* from, size_t bytes) {
  for (size_t done = 0; done < bytes;) {
    const size_t some = std::min(bytes - done, kPinnedBytes);
    std::byte* at = staging(some);
    std::memcpy(at, static_cast<const std::byte*>(from) + done, some);
    check_status(cudaMemcpyAsync(static_cast<std::byte*>(to) + done, at, some, cudaMemcpyHostToDevice, stream_),
                 "copy to the GPU");
    done += some;
  }
}

void Gpu::download(void* to, const void* from, size_t bytes) {
  for (size_t done = 0; done < bytes;) {
    const size_t some = std::min(bytes - done, kPinnedBytes);
    std::byte* at = staging(some);
    check_status(cudaMemcpyAsync(at, static_cast<const std::byte*>(from) + done, some, cudaMemcpyDeviceToHost, stream_),
                 "copy from the GPU");
    synchronize();
    std::memcpy(static_cast<std::byte*>(to) + done, at, some);
    done += some;
  }
}

Tensor Gpu::carry_words(const void* list, size_t count, DType dtype) {
  for (const PlacedList& placed : pass_ != nullptr ? pass_->lists : std::span<const PlacedList>())
    if (placed.host == list && placed.bytes == count * sizeof(int32_t))
      return {placed.device, dtype, {static_cast<int64_t>(count)}, Device::cuda};
  CHECK(!recorded(), "a list of {} numbers that a recorded pass reads has no place", count);
  const auto tensor = [&](List& at) {
    at.used = ++clock_;
    return Tensor(at.device.data(), dtype, {static_cast<int64_t>(count)}, Device::cuda);
  };
  const size_t bytes = count * sizeof(int32_t);
  for (List& known : lists_)
    if (known.used > 0 && known.words.size() == count && (bytes == 0 || std::memcmp(known.words.data(), list, bytes) == 0))
      return tensor(known);
  List& oldest = *std::ranges::min_element(lists_, {}, &List::used);
  oldest.used = 0;
  oldest.words.resize(count);
  oldest.device.require(std::max(bytes, kAlign), stream_);
  if (bytes > 0) std::memcpy(oldest.words.data(), list, bytes);
  upload(oldest.device.data(), list, bytes);
  return tensor(oldest);
}

Tensor Gpu::carry(std::span<const int32_t> list) { return carry_words(list.data(), list.size(), DType::i32); }
Tensor Gpu::carry(std::span<const float> list) { return carry_words(list.data(), list.size(), DType::f32); }

template <typename Make>
const cuda::AttentionPlan& Gpu::planned(std::vector<int64_t> key, const Make& make) {
  for (Planned& known : plans_) {
    if (known.used == 0 || known.key != key) continue;
    known.used = ++clock_;
    return known.plan;
  }
  Planned& oldest = *std::ranges::min_element(plans_, {}, &Planned::used);
  oldest.used = 0;
  oldest.plan = make();
  oldest.key = std::move(key);
  oldest.used = ++clock_;
  return oldest.plan;
}

namespace {

// What a plan depends on beside its runs; first a word that no other kind of plan has there.
std::vector<int64_t> plan_key(int64_t kind, int64_t rows, const HeadLayout& heads) {
  return {kind, rows, heads.num_heads, heads.num_kv_heads, heads.head_size, heads.window};
}

}  // namespace

const cuda::AttentionPlan& Gpu::plan(std::span<const PackRun> runs, int64_t rows, const HeadLayout& heads) {
  std::vector<int64_t> key = plan_key(0, rows, heads);
  for (const PackRun& run : runs) key.insert(key.end(), {run.begin, run.count, run.prefix_begin, run.prefix_count});
  return planned(std::move(key), [&] { return cuda::pack_plan(runs, rows, heads); });
}

const cuda::AttentionPlan& Gpu::plan(std::span<const CachedRun> runs, int64_t rows, int64_t page_tokens,
                                     const HeadLayout& heads) {
  std::vector<int64_t> key = plan_key(page_tokens, rows, heads);
  for (const CachedRun& run : runs) {
    key.insert(key.end(), {run.begin, run.count, run.first_position, static_cast<int64_t>(run.pages.size())});
    key.insert(key.end(), run.pages.begin(), run.pages.end());
  }
  return planned(std::move(key), [&] { return cuda::cached_plan(runs, rows, page_tokens, heads); });
}

// --- model/device.h ------------------------------------------------------------------------------------------------

bool has_gpu_backend() { return true; }

std::shared_ptr<Gpu> open_gpu(int index, Numerics numerics) {
  int count = 0;
  check_status(cudaGetDeviceCount(&count), "find a GPU");
  return std::make_shared<Gpu>(index, numerics);
}

std::string gpu_description() {
  opened();
  int index = 0, runtime = 0;
  cudaDeviceProp properties{};
  check_status(cudaGetDevice(&index), "look at the GPU");
  check_status(cudaGetDeviceProperties(&properties, index), "look at the GPU");
  check_status(cudaRuntimeGetVersion(&runtime), "look at the GPU");
  return fmt::format("{}, sm_{}{}, CUDA {}.{}, cublasLt {}", properties.name, properties.major, properties.minor,
                     runtime / 1000, runtime % 1000 / 10, cublasLtGetVersion());
}

std::vector<std::string> gpu_products() {
  return open_one == nullptr ? std::vector<std::string>() : open_one->products().record();
}
void restore_gpu_products(std::span<const std::string> record) { opened().products().restore(record); }

void* take_gpu_memory(size_t bytes, const std::string& what) {
  void* memory = nullptr;
  const cudaError_t status = cudaMalloc(&memory, bytes);
  if (status == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError();
    const GpuMemory now = gpu_memory().value();
    fail(ExitCode::kResources, "out of GPU memory: {} needs {}, {} of {} is free; `cohort plan` shows what takes how much", what,
         human_bytes(bytes), human_bytes(static_cast<uint64_t>(now.free)), human_bytes(static_cast<uint64_t>(now.total)));
  }
  check_status(status, "take GPU memory");
  check_status(cudaMemsetAsync(memory, 0, bytes, opened().stream()), "clear GPU memory");
  return memory;
}

void give_back_gpu_memory(void* memory) noexcept {
  if (open_one != nullptr) (void)cudaStreamSynchronize(open_one->stream());
  (void)cudaFree(memory);
}

std::optional<GpuMemory> gpu_memory() {
  if (open_one == nullptr) return std::nullopt;
  size_t free = 0, total = 0;
  check_status(cudaMemGetInfo(&free, &total), "look at the GPU's memory");
  return GpuMemory{static_cast<int64_t>(free), static_cast<int64_t>(total)};
}

void gpu::copy(Tensor to, Tensor from) {
  Gpu& gpu = opened();
  if (to.bytes() == 0) return;
  if (from.device == Device::cpu) return gpu.upload(to.data, from.data, to.bytes());
  if (to.device == Device::cpu) return gpu.download(to.data, from.data, to.bytes());
  check_status(cudaMemcpyAsync(to.data, from.data, to.bytes(), cudaMemcpyDeviceToDevice, gpu.stream()), "copy on the GPU");
}

void gpu::copy_all(std::span<const Copied> copies, Gpu& gpu) {
  size_t most = 0;
  for (const Copied& copy : copies) {
    CHECK(copy.bytes % 2 == 0, "a copy of {} bytes", copy.bytes);
    most = std::max(most, copy.bytes);
  }
  static_assert(sizeof(Copied) % sizeof(int32_t) == 0);
  const std::span<const int32_t> words(reinterpret_cast<const int32_t*>(copies.data()), copies.size_bytes() / sizeof(int32_t));
  cuda::copy_all(gpu.carry(words), std::ssize(copies), most, gpu.stream());
}

void gpu::clear(Tensor t) {
  if (t.bytes() > 0) check_status(cudaMemsetAsync(t.data, 0, t.bytes(), opened().stream()), "clear GPU memory");
}

}  // namespace cohort
