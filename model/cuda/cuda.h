// The seam to the GPU backend: implemented by model/cuda, or by no_cuda.cpp where the build has none.
#pragma once

namespace cohort {

// Whether this build has GPU code and a device to run it on.
bool cuda_available();
// Throws (exit code 2) saying what is missing when `run.device: cuda` cannot be served.
void require_cuda();

}  // namespace cohort
