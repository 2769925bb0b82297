// What cohort doctor says of GPUs.
#pragma once

#include <string>

namespace cohort {

// Lines as the other ones of cohort doctor: "gpu 0     NVIDIA H100 ...", or why there is none; last "device    cpu, cuda", or "cpu"
// where no GPU can be used, which is for scripts.
std::string gpu_lines();

}  // namespace cohort
