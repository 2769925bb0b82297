// Byte-pair encoding with a heap of candidates over a linked list of symbols (Sennrich et al. 2016,
// by priority queue).
#include "model/text/bpe.h"

#include <algorithm>
#include <bit>

namespace cohort {
namespace {

constexpr uint64_t kEmpty = ~uint64_t{0};

uint64_t pair_of(int32_t left, int32_t right) {
  return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
}

// Heap order: lowest rank on top, then leftmost.
bool goes_later(const BpeScratch::Candidate& a, const BpeScratch::Candidate& b) {
  return a.rank != b.rank ? a.rank > b.rank : a.left > b.left;
}

}  // namespace

MergeTable::MergeTable(size_t merges) {
  const size_t slots = std::bit_ceil(std::max<size_t>(16, merges * 2));
  slots_.assign(slots, Slot{kEmpty, {}});
  shift_ = 64 - std::countr_zero(slots);
}

size_t MergeTable::slot_of(uint64_t pair) const {
  size_t at = (pair * 0x9E3779B97F4A7C15u) >> shift_;  // Fibonacci hashing (Knuth, TAOCP 3, 6.4)
  while (slots_[at].pair != pair && slots_[at].pair != kEmpty) at = (at + 1) & (slots_.size() - 1);
  return at;
}

bool MergeTable::insert(int32_t left, int32_t right, Merge merge) {
  Slot& slot = slots_[slot_of(pair_of(left, right))];
  if (slot.pair != kEmpty) return false;
  slot = {pair_of(left, right), merge};
  return true;
}

const Merge* MergeTable::find(int32_t left, int32_t right) const {
  const Slot& slot = slots_[slot_of(pair_of(left, right))];
  return slot.pair == kEmpty ? nullptr : &slot.merge;
}

void bpe_encode(std::string_view piece, const std::array<int32_t, 256>& byte_ids,
                const MergeTable& merges, BpeScratch& scratch, std::vector<int32_t>& ids) {
  auto& symbols = scratch.symbols;
  auto& heap = scratch.heap;
  symbols.clear();
  heap.clear();
  for (unsigned char byte : piece) {
    const int32_t at = static_cast<int32_t>(symbols.size());
    if (byte_ids[byte] >= 0) symbols.push_back({byte_ids[byte], at - 1, at + 1});
  }
  if (symbols.empty()) return;
  symbols.back().next = -1;

  for (size_t left = 0; left + 1 < symbols.size(); ++left)
    if (const Merge* merge = merges.find(symbols[left].id, symbols[left + 1].id))
      heap.push_back({merge->rank, static_cast<int32_t>(left)});
  std::make_heap(heap.begin(), heap.end(), goes_later);

  auto offer = [&](int32_t left, int32_t right) {
    if (left < 0 || right < 0) return;
    if (const Merge* merge = merges.find(symbols[left].id, symbols[right].id)) {
      heap.push_back({merge->rank, left});
      std::push_heap(heap.begin(), heap.end(), goes_later);
    }
  };
  while (!heap.empty()) {
    const BpeScratch::Candidate top = heap.front();
    std::pop_heap(heap.begin(), heap.end(), goes_later);
    heap.pop_back();
    BpeScratch::Symbol& left = symbols[top.left];
    if (left.id < 0 || left.next < 0) continue;  // swallowed by its left neighbour, or now the last
    // A rank belongs to one pair: when the pair here has another rank, this candidate is stale.
    const Merge* merge = merges.find(left.id, symbols[left.next].id);
    if (!merge || merge->rank != top.rank) continue;
    BpeScratch::Symbol& right = symbols[left.next];
    left.id = merge->id;
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0) symbols[left.next].previous = top.left;
    offer(left.previous, top.left);
    offer(top.left, left.next);
  }
  for (int32_t at = 0; at >= 0; at = symbols[at].next) ids.push_back(symbols[at].id);
}

}  // namespace cohort
