#include "core/hash.h"

#include <fmt/format.h>
#include <xxhash.h>

namespace cohort {

std::string fingerprint(std::span<const std::byte> bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

std::string fingerprint(std::string_view text) { return fingerprint(std::as_bytes(std::span(text.data(), text.size()))); }

}  // namespace cohort
