// The hash table behind token_map.h.
#include "model/text/token_map.h"

#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <limits>

#include "core/check.h"

namespace cohort {
namespace {

uint32_t hash_of(std::string_view text) {
  return static_cast<uint32_t>(XXH3_64bits(text.data(), text.size()));
}

}  // namespace

TokenMap::TokenMap(size_t expected) : slots_(std::bit_ceil(std::max<size_t>(16, expected * 2))) {}

size_t TokenMap::slot_for(std::string_view text, uint32_t hash) const {
  size_t at = hash & (slots_.size() - 1);
  while (slots_[at].id >= 0 && (slots_[at].hash != hash || text_of(slots_[at]) != text))
    at = (at + 1) & (slots_.size() - 1);
  return at;
}

void TokenMap::grow() {
  std::vector<Slot> old(slots_.size() * 2);
  std::swap(old, slots_);
  for (const Slot& slot : old) {
    if (slot.id < 0) continue;
    size_t at = slot.hash & (slots_.size() - 1);
    while (slots_[at].id >= 0) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = slot;
  }
}

bool TokenMap::insert(std::string_view text, int32_t id) {
  CHECK(id >= 0 && texts_.size() + text.size() <= std::numeric_limits<uint32_t>::max(),
        "a token of id {} does not fit", id);
  const uint32_t hash = hash_of(text);
  size_t at = slot_for(text, hash);
  if (slots_[at].id >= 0) return false;
  if (++count_ * 2 > slots_.size()) {
    grow();
    at = slot_for(text, hash);
  }
  slots_[at] = {hash, static_cast<uint32_t>(text.size()), static_cast<uint32_t>(texts_.size()), id};
  texts_ += text;
  return true;
}

int32_t TokenMap::find(std::string_view text) const {
  return slots_[slot_for(text, hash_of(text))].id;
}

}  // namespace cohort
