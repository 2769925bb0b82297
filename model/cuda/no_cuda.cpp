// Linked where the program is built without CUDA. No Exec has a GPU then, so that no op can be asked for one.
#include "core/check.h"
#include "model/device.h"
#include "model/gpu_draws.h"
#include "model/gpu_stream.h"
#include "model/ops/gpu.h"
#include "model/pass_graphs.h"

namespace cohort {
namespace {

[[noreturn]] void none() { fail(ExitCode::kInternal, "GPU memory or an op on a GPU in a program built without CUDA"); }

}  // namespace

bool has_gpu_backend() { return false; }
std::shared_ptr<Gpu> open_gpu(int, Numerics) {
  fail(ExitCode::kUsage,
       "run.device: cuda: this program was built without CUDA (cmake -DCOHORT_CUDA=ON needs the toolkit); allowed: cpu");
}
std::string gpu_description() { none(); }
std::vector<std::string> gpu_products() { return {}; }
void restore_gpu_products(std::span<const std::string>) { none(); }
void* take_gpu_memory(size_t, const std::string&) { none(); }
void give_back_gpu_memory(void*) noexcept {}
std::optional<GpuMemory> gpu_memory() { return std::nullopt; }

struct GpuDraws::Impl {};
GpuDraws::GpuDraws(int64_t) { none(); }
GpuDraws::~GpuDraws() = default;
void GpuDraws::sample_tokens(Tensor, const SamplingParams&, std::span<const DrawKey>, const Ban&) { none(); }
void GpuDraws::sample_head(Tensor, const PackedWeight&, float, const SamplingParams&, std::span<const DrawKey>, const Ban&) { none(); }
void GpuDraws::send(std::span<const DrawKey>, int64_t, float) { none(); }
Tensor GpuDraws::tokens() const { none(); }
void GpuDraws::read(std::span<SampledToken>) { none(); }
void GpuDraws::forget() { none(); }

struct PassGraphs::Impl {};
PassGraphs::PassGraphs(size_t) { none(); }
PassGraphs::~PassGraphs() = default;
void PassGraphs::run(const PassInputs&, const std::function<void()>&) { none(); }
const PassGraphs::Counts& PassGraphs::counts() const { none(); }

namespace gpu {

void add_attention(PassInputs&, std::span<const CachedRun>, int64_t, int64_t, const HeadLayout&, Gpu&) { none(); }
void copy_all(std::span<const Copied>, Gpu&) { none(); }
void copy(Tensor, Tensor) { none(); }
CUstream_st* stream(Gpu&) { none(); }
void synchronize(Gpu&) { none(); }
void embedding_of_drawn(Tensor, std::span<const int32_t>, Tensor, Tensor, float, Gpu&) { none(); }
void ordered_sum(float*, std::span<const float* const>, std::span<const int>, int64_t, CUstream_st*) { none(); }
void clear(Tensor) { none(); }
void embedding(Tensor, std::span<const int32_t>, Tensor, float, Gpu&) { none(); }
void embedding_backward(Tensor, const KeptRows&, Tensor, std::span<const int32_t>, float, std::span<const RowPart>,
                        Gpu&) { none(); }
void add_bias(Tensor, Tensor, Gpu&) { none(); }
void bias_backward(Tensor, Tensor, std::span<const RowPart>, Gpu&) { none(); }
void cast(Tensor, Tensor, Gpu&) { none(); }
void gather_rows(Tensor, Tensor, std::span<const int32_t>, Tensor, Gpu&) { none(); }
void scatter_add_rows(Tensor, Tensor, std::span<const int32_t>, Gpu&) { none(); }
void swiglu(Tensor, Tensor, Gpu&) { none(); }
void swiglu_backward(Tensor, Tensor, Tensor, Tensor, Gpu&) { none(); }
void geglu(Tensor, Tensor, Gpu&) { none(); }
void geglu_backward(Tensor, Tensor, Tensor, Tensor, Gpu&) { none(); }
void rmsnorm(Tensor, Tensor, Tensor, Tensor, const NormParams&, Gpu&) { none(); }
void rmsnorm_add(Tensor, Tensor, Tensor, Tensor, const NormParams&, Gpu&) { none(); }
void rmsnorm_backward(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, float, std::span<const RowPart>, Gpu&) { none(); }
void qk_norm(Tensor, Tensor, Tensor, Tensor, Tensor, const QkHeads&, const NormParams&, Gpu&) { none(); }
void qk_norm_backward(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, const QkHeads&, float,
                      std::span<const RowPart>, Gpu&) { none(); }
void rope_split(Tensor, Tensor, Tensor, Tensor, std::span<const int32_t>, std::span<const float>, int64_t, int64_t,
                Gpu&) { none(); }
void rope_split_backward(Tensor, Tensor, Tensor, Tensor, std::span<const int32_t>, std::span<const float>, int64_t,
                         int64_t, Gpu&) { none(); }
void matmul(Tensor, Tensor, const PackedWeight&, bool, Gpu&) { none(); }
void matmul_backward_input(Tensor, Tensor, const PackedWeight&, bool, Gpu&) { none(); }
void matmul_backward_weight(Tensor, Tensor, Tensor, std::span<const RowPart>, Gpu&) { none(); }
void check_rows_alike(const PackedWeight&, DType, DType, Gpu&) { none(); }
void check_head_rows_alike(const PackedWeight&, Gpu&) { none(); }
void head_logits(Tensor, Tensor, const PackedWeight&, float, Gpu&) { none(); }
void head_logprobs(std::span<float>, std::span<float>, Tensor, const PackedWeight&, std::span<const int32_t>, float,
                   float, Gpu&) { none(); }
void head_loss(Tensor, Tensor, Tensor, const PackedWeight&, std::span<const int32_t>, float, const TokenGradient&,
               float, std::span<const RowPart>, const KeptRows&, Gpu&) { none(); }
void sample_tokens(std::span<SampledToken>, Tensor, const SamplingParams&, std::span<const DrawKey>, const Ban&,
                   Gpu&) { none(); }
void sample_head(std::span<SampledToken>, Tensor, const PackedWeight&, float, const SamplingParams&,
                 std::span<const DrawKey>, const Ban&, Gpu&) { none(); }
void store_cached(const KeyPages&, Tensor, Tensor, std::span<const CachedRun>, const HeadLayout&, Gpu&) { none(); }
void attention_cached(Tensor, Tensor, const KeyPages&, std::span<const CachedRun>, const HeadLayout&, Tensor,
                      Gpu&) { none(); }
void attention_pack(Tensor, Tensor, Tensor, Tensor, Tensor, std::span<const PackRun>, const HeadLayout&,
                    Gpu&) { none(); }
void attention_pack_backward(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor,
                             std::span<const PackRun>, const HeadLayout&, Gpu&) { none(); }
void adamw(Tensor, const AdamWState&, std::span<const float>, const AdamWStep&, Gpu&) { none(); }
void add_into(std::span<float>, std::span<const float>, Gpu&) { none(); }
double sum_of_squares(std::span<const float>, Gpu&) { none(); }
int64_t find_non_finite(std::span<const float>, Gpu&) { none(); }

}  // namespace gpu
}  // namespace cohort
