// Where tensors lie: the seam between the model and the memory of a GPU. Implemented by model/cuda, or by no_cuda.cpp where
// the build has none.
//
// A process uses one GPU, the one that it opened, on one stream and from one thread. Copies and clears take their place in
// that stream, behind the ops that were called before.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "model/tensor.h"

namespace cohort {

// In which order numbers are added up on GPUs. Processors know strict alone.
enum class Numerics : uint8_t {
  strict,  // in one that is fixed: a token's bits do not depend on other rows, nor a gradient's on the number of ranks
  fast,    // in the libraries': cuBLASLt may split a contraction, NCCL reduces
};

class Gpu;  // stream, products, memory of the ops in progress: model/cuda/gpu.h

// Whether GPUs are in this build.
bool has_gpu_backend();
// Opens GPU `index` of those that the host shows to this process; a rank's is chosen by choose_gpu (comm/nccl.h). Exit code 2
// where the build or the host has none, or fewer; the driver is too old; or this process has one open.
std::shared_ptr<Gpu> open_gpu(int index, Numerics numerics = Numerics::strict);
// The device, its library of products and their versions: what the bits of a run depend on.
std::string gpu_description();

// How the GPU that is open multiplies, a line a product that it has met, sorted; nothing where none is open. Who takes up such a record
// of a process with the same gpu_description goes on with its bits. Exit code 3: a damaged line, or one that the device refuses.
std::vector<std::string> gpu_products();
void restore_gpu_products(std::span<const std::string> record);

// Memory of the GPU that is open. Out of memory: exit code 6, naming `what` and the size.
void* take_gpu_memory(size_t bytes, const std::string& what);  // holds zeros
void give_back_gpu_memory(void* memory) noexcept;
struct GpuMemory {
  int64_t free, total;
};
std::optional<GpuMemory> gpu_memory();  // nothing: none is open

// to = from, in any direction; both lie side by side and have the same size. When this returns, a tensor of the host may
// be read or changed.
void copy(Tensor to, Tensor from);
// Zeros.
void clear(Tensor t);

namespace gpu {
void copy(Tensor to, Tensor from);
void clear(Tensor t);
// Copies within the GPU's memory, all in one launch: many small ones would each take longer to begin than to do. Bytes come in
// pairs; what one copy writes no other reads or writes.
struct Copied {
  void* to;
  const void* from;
  size_t bytes;
};
void copy_all(std::span<const Copied> copies, Gpu& gpu);
}  // namespace gpu

}  // namespace cohort
