// How much memory this process could still take, as the kernel and the limits of its control groups tell it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace cohort {

// Bytes: MemAvailable of /proc/meminfo, or what is left below the limit of a control group (v2 or v1) that this process or
// a group above it is in, where that is less. Caches of files that are not in use count as free. Nothing when /proc tells
// nothing. root: where /proc and /sys are looked for; another one in tests.
std::optional<int64_t> free_memory(const std::filesystem::path& root = "/");

}  // namespace cohort
