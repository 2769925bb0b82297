// What code lies at an address of a running process, by the symbol tables of the files that it has mapped.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace cohort {

// For a stack of `process`, from the innermost frame outwards: "cohort::Optimizer::step(double, ...)", or "libmpi.so.40 + 0x12ab"
// where the file has no symbol for it (addr2line understands that), or the address.
std::vector<std::string> code_names(pid_t process, std::span<const uint64_t> stack);

}  // namespace cohort
