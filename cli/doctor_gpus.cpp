#include "cli/doctor_gpus.h"

#include <fmt/format.h>

#include "comm/nccl.h"

namespace cohort {

std::string gpu_lines() {
  std::string text;
  for (const GpuReport::Line& line : examine_gpus().lines) text += fmt::format("{:<9} {}\n", line.name, line.text);
  return text;
}

}  // namespace cohort
