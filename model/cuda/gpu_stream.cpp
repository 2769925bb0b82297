#include "model/gpu_stream.h"

#include <vector>

#include "model/cuda/gpu.h"
#include "model/cuda/update.h"

namespace cohort::gpu {

CUstream_st* stream(Gpu& gpu) { return gpu.stream(); }
void synchronize(Gpu& gpu) { gpu.synchronize(); }

void ordered_sum(float* sum, std::span<const float* const> terms, std::span<const int> merges, int64_t count, CUstream_st* stream) {
  const auto vector = [&](const float* data) { return Tensor(const_cast<float*>(data), DType::f32, {count}, Device::cuda); };
  std::vector<Tensor> tensors;
  for (const float* term : terms) tensors.push_back(vector(term));
  cuda::ordered_sum(vector(sum), tensors, merges, stream);
}

}  // namespace cohort::gpu
