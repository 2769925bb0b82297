// Token texts to ids: the largest table of a tokenizer, filled once and asked millions of times.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cohort {

// Open addressing at most half full; the texts lie one behind the other.
class TokenMap {
 public:
  explicit TokenMap(size_t expected = 0);
  bool insert(std::string_view text, int32_t id);  // false, and no change, when the text is there
  int32_t find(std::string_view text) const;       // -1 when it is not there

  // Calls f(text, id) for every entry, in no particular order.
  template <typename F>
  void for_each(F f) const {
    for (const Slot& slot : slots_)
      if (slot.id >= 0) f(text_of(slot), slot.id);
  }

 private:
  struct Slot {
    uint32_t hash = 0, size = 0;
    uint32_t start = 0;  // of the text in texts_
    int32_t id = -1;     // -1: free
  };
  std::string_view text_of(const Slot& slot) const {
    return std::string_view(texts_).substr(slot.start, slot.size);
  }
  size_t slot_for(std::string_view text, uint32_t hash) const;
  void grow();

  std::vector<Slot> slots_;
  std::string texts_;
  size_t count_ = 0;
};

}  // namespace cohort
