// What cohort doctor says of GPUs.
#pragma once

#include <string>

namespace cohort {

// Lines as the other ones of cohort doctor: "gpu 0     NVIDIA H100 ...".
std::string gpu_lines();

}  // namespace cohort
