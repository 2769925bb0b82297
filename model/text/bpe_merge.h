// Byte-pair encoding of one row of symbols: merges the neighbours of lowest rank until none can be
// merged.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace cohort {

struct Merge {
  int32_t rank;  // its line in the list of merges; lower goes first
  int32_t id;    // the token that the pair becomes
};

// (left id, right id) -> Merge; open addressing at most half full, so that a look-up is one or two
// cache lines.
class MergeTable {
 public:
  explicit MergeTable(size_t merges = 0);
  bool insert(int32_t left, int32_t right, Merge merge);  // false when the pair is there already
  const Merge* find(int32_t left, int32_t right) const;   // nullptr when the pair does not merge

 private:
  struct Slot {
    uint64_t pair;
    Merge merge;
  };
  size_t slot_of(uint64_t pair) const;

  std::vector<Slot> slots_;
  int shift_;
};

// Reused between rows, so that a short one allocates nothing.
struct MergeScratch {
  struct Symbol {
    int32_t id;
    int32_t previous, next;  // indices of the neighbours; -1 at the ends
  };
  struct Candidate {
    int32_t rank, id;
    int32_t left;  // index of the left symbol
  };
  std::vector<Symbol> symbols;
  std::vector<Candidate> heap;
};

// Appends to `ids` what becomes of `symbols` (ids of the characters; overwritten). O(n log n) for n
// symbols, whatever they are.
void merge_symbols(std::span<int32_t> symbols, const MergeTable& merges, MergeScratch& scratch,
                   std::vector<int32_t>& ids);

}  // namespace cohort
