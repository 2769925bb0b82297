#include "model/device.h"

#include <cstring>

namespace cohort {

void copy(Tensor to, Tensor from) {
  CHECK(to.dtype == from.dtype && to.size() == from.size(), "a copy of {} to {}", from.to_string(), to.to_string());
  if (to.device == Device::cuda || from.device == Device::cuda) return gpu::copy(to, from);
  if (to.bytes() > 0) std::memcpy(to.data, from.data, to.bytes());
}

void clear(Tensor t) {
  if (t.device == Device::cuda) return gpu::clear(t);
  if (t.bytes() > 0) std::memset(t.data, 0, t.bytes());
}

}  // namespace cohort
