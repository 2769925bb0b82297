// Linked where the program is built without NCCL.
#include "comm/nccl.h"
#include "core/check.h"

namespace cohort {
namespace {

[[noreturn]] void refuse() {
  fail(ExitCode::kUsage, "run.device: cuda: this program was built without CUDA and NCCL (cmake -DCOHORT_CUDA=ON needs them); use run.device: cpu");
}

}  // namespace

int choose_gpu(Comm&) { refuse(); }

std::unique_ptr<DeviceComm> make_nccl_comm(Comm&, const NcclOptions&) { refuse(); }

GpuReport examine_gpus() { return {.lines = {{"gpu", "not in this build; see cmake -DCOHORT_CUDA=ON"}}}; }

}  // namespace cohort
