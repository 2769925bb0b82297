// Two ways to the same merges: a scan for the lowest rank where the row is short, a heap of
// candidates over a linked list where it is long (Sennrich et al. 2016, by priority queue).
#include "model/text/bpe_merge.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>

namespace cohort {
namespace {

constexpr uint64_t kEmpty = ~uint64_t{0};
constexpr size_t kShortRow = 32;  // below it, the scan is quicker than the heap
constexpr int32_t kNever = std::numeric_limits<int32_t>::max();

uint64_t pair_of(int32_t left, int32_t right) {
  return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
}

// Heap order: lowest rank on top, then leftmost.
bool goes_later(const MergeScratch::Candidate& a, const MergeScratch::Candidate& b) {
  return a.rank != b.rank ? a.rank > b.rank : a.left > b.left;
}

void merge_short(std::span<int32_t> ids_of_row, const MergeTable& merges,
                 std::vector<int32_t>& ids) {
  std::array<Merge, kShortRow> next;  // next[i]: what ids_of_row[i] and [i + 1] become
  const auto look_up = [&](size_t left) {
    const Merge* merge = merges.find(ids_of_row[left], ids_of_row[left + 1]);
    next[left] = merge ? *merge : Merge{kNever, -1};
  };
  size_t size = ids_of_row.size();
  for (size_t i = 0; i + 1 < size; ++i) look_up(i);
  while (size > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < size; ++i)
      if (next[i].rank < next[best].rank) best = i;
    if (next[best].rank == kNever) break;
    ids_of_row[best] = next[best].id;
    --size;
    for (size_t i = best + 1; i < size; ++i) ids_of_row[i] = ids_of_row[i + 1];
    for (size_t i = best + 1; i + 1 < size; ++i) next[i] = next[i + 1];
    if (best > 0) look_up(best - 1);
    if (best + 1 < size) look_up(best);
  }
  ids.insert(ids.end(), ids_of_row.begin(), ids_of_row.begin() + static_cast<ptrdiff_t>(size));
}

void merge_long(std::span<const int32_t> row, const MergeTable& merges, MergeScratch& scratch,
                std::vector<int32_t>& ids) {
  auto& symbols = scratch.symbols;
  auto& heap = scratch.heap;
  symbols.clear();
  heap.clear();
  for (size_t i = 0; i < row.size(); ++i)
    symbols.push_back({row[i], static_cast<int32_t>(i) - 1, static_cast<int32_t>(i) + 1});
  symbols.back().next = -1;

  for (size_t left = 0; left + 1 < row.size(); ++left)
    if (const Merge* merge = merges.find(row[left], row[left + 1]))
      heap.push_back({merge->rank, merge->id, static_cast<int32_t>(left)});
  std::make_heap(heap.begin(), heap.end(), goes_later);

  const auto offer = [&](int32_t left, int32_t right) {
    if (left < 0 || right < 0) return;
    if (const Merge* merge = merges.find(symbols[left].id, symbols[right].id)) {
      heap.push_back({merge->rank, merge->id, left});
      std::push_heap(heap.begin(), heap.end(), goes_later);
    }
  };
  while (!heap.empty()) {
    const MergeScratch::Candidate top = heap.front();
    std::pop_heap(heap.begin(), heap.end(), goes_later);
    heap.pop_back();
    MergeScratch::Symbol& left = symbols[top.left];
    if (left.id < 0 || left.next < 0) continue;  // swallowed by its left neighbour, or now the last
    // When the pair here becomes another token, this candidate is stale.
    const Merge* merge = merges.find(left.id, symbols[left.next].id);
    if (!merge || merge->id != top.id) continue;
    MergeScratch::Symbol& right = symbols[left.next];
    left.id = merge->id;
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0) symbols[left.next].previous = top.left;
    offer(left.previous, top.left);
    offer(top.left, left.next);
  }
  for (int32_t at = 0; at >= 0; at = symbols[at].next) ids.push_back(symbols[at].id);
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

void merge_symbols(std::span<int32_t> symbols, const MergeTable& merges, MergeScratch& scratch,
                   std::vector<int32_t>& ids) {
  if (symbols.empty()) return;
  if (symbols.size() <= kShortRow) return merge_short(symbols, merges, ids);
  merge_long(symbols, merges, scratch, ids);
}

}  // namespace cohort
