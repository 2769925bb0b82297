// Linked where the program is built without NCCL.
#include "comm/nccl.h"
#include "core/check.h"

namespace cohort {

std::unique_ptr<Comm> make_nccl_comm(Comm&) {
  fail(
      ExitCode::kUsage,
      "this program was built without NCCL (cmake -DCOHORT_CUDA=ON needs it); use run.device: cpu");
}

}  // namespace cohort
