#include "cli/doctor_gpus.h"

#include <fmt/format.h>

#include "comm/nccl.h"

namespace cohort {

std::string gpu_lines() {
  std::string text;
  const GpuReport report = examine_gpus();
  for (const GpuReport::Line& line : report.lines) text += fmt::format("{:<9} {}\n", line.name, line.text);
  return text + fmt::format("{:<9} {}\n", "device", report.usable ? "cpu, cuda" : "cpu");
}

}  // namespace cohort
