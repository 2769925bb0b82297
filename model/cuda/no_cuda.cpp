// Linked where the program is built without CUDA: every op asked to run on the GPU is a clear error.
#include "model/cuda/cuda.h"

#include "core/check.h"

namespace cohort {

bool cuda_available() { return false; }

void require_cuda() {
  fail(ExitCode::kUsage,
       "run.device: cuda: this program was built without CUDA (cmake -DCOHORT_CUDA=ON needs the toolkit); allowed: cpu");
}

}  // namespace cohort
