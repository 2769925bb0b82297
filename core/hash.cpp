#include "core/hash.h"

#include <fmt/format.h>
#include <xxhash.h>

namespace cohort {

namespace {

std::string hexadecimal(XXH128_hash_t hash) { return fmt::format("{:016x}{:016x}", hash.high64, hash.low64); }

}  // namespace

struct Fingerprint::State {
  XXH3_state_t* xxh = XXH3_createState();
};
void Fingerprint::Free::operator()(State* state) const {
  XXH3_freeState(state->xxh);
  delete state;
}

Fingerprint::Fingerprint() : state_(new State) { XXH3_128bits_reset(state_->xxh); }
void Fingerprint::add(std::span<const std::byte> bytes) { XXH3_128bits_update(state_->xxh, bytes.data(), bytes.size()); }
std::string Fingerprint::text() const { return hexadecimal(XXH3_128bits_digest(state_->xxh)); }

std::string fingerprint(std::span<const std::byte> bytes) { return hexadecimal(XXH3_128bits(bytes.data(), bytes.size())); }

std::string fingerprint(std::string_view text) { return fingerprint(std::as_bytes(std::span(text.data(), text.size()))); }

}  // namespace cohort
