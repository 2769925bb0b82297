// What a program inside the sandbox tries in the self-test: each must fail.
#pragma once

#include <string_view>
#include <vector>

#include "reward/code/means.h"

namespace cohort {

bool prctl_seccomp_filter_known();

// The lines that run_probes() (spawn.h) wrote, as rows; a probe without a line is a row that says so.
std::vector<Means> read_probes(std::string_view out);

}  // namespace cohort
