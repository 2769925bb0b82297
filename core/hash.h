// Fingerprints for integrity (not security): xxh3, 128 bits, as 32 hexadecimal digits.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace cohort {

std::string fingerprint(std::span<const std::byte> bytes);
std::string fingerprint(std::string_view text);

}  // namespace cohort
