// Many copies on the device in one launch.
#pragma once

#include <cstdint>

#include "model/cuda/stream.h"
#include "model/device.h"
#include "model/tensor.h"

namespace cohort::cuda {

// device_copies: `count` of gpu::Copied on the device, of at most `most_bytes` each. What one writes no other touches.
void copy_all(Tensor device_copies, int64_t count, size_t most_bytes, Stream stream);

}  // namespace cohort::cuda
