// The GPU's queue of work, as the ops of this folder take it: a cudaStream_t, without the toolkit's headers.
//
// An op returns when its kernels are on the stream. Its tensors lie in device memory (Device::cuda) and must stay until
// the stream has passed it; arguments that are spans of the host are read before it returns.
#pragma once

struct CUstream_st;

namespace cohort::cuda {

using Stream = CUstream_st*;

}  // namespace cohort::cuda
