// `cohort --version`.
#include <fmt/format.h>

#include "cli/command.h"
#include "model/device.h"
#include "trainer/build_info.h"

namespace cohort {

std::string version_text() {
  return fmt::format(
      "cohort {}\n"
      "build     {}\n"
      "kernels   -march={} ({})\n"
      "numerics  {}\n"
      "compiler  {}\n"
      "CUDA      {}\n",
      COHORT_VERSION, COHORT_BUILD_NAME, COHORT_ARCH_NAME, kernel_sets(), kNumericsVersion, compiler_name(),
      has_gpu_backend() ? "on" : "off (cmake -DCOHORT_CUDA=ON)");
}

}  // namespace cohort
