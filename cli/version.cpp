// `cohort --version`.
#include <fmt/format.h>

#include "cli/command.h"

namespace cohort {

std::string version_text() {
#ifdef __clang__
  const char* compiler = "Clang " __clang_version__;
#else
  const char* compiler = "GCC " __VERSION__;
#endif
  return fmt::format(
      "cohort {}\n"
      "build     {}\n"
      "kernels   -march={}\n"
      "compiler  {}\n"
      "CUDA      off (not written yet)\n",
      COHORT_VERSION, COHORT_BUILD_NAME, COHORT_ARCH_NAME, compiler);
}

}  // namespace cohort
