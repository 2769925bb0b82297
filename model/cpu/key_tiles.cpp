// Attention's products in tile registers (key_blocks.h).
#include <algorithm>
#include <cstring>

#include "model/cpu/key_blocks.h"

#ifdef COHORT_TILES

namespace cohort::attention {
namespace {

using namespace tiles;

// Tiles 0 to 3 are sums, 4 is q and 5 weights, 6 is keys and 7 values.
constexpr int kGroupLanes = kGroupKeys / 2;
constexpr int64_t kKeysBytes = kLanes * kRowBytes;  // 16 lanes of a group's keys
constexpr int64_t kRowScores = kKeyBlock * 4;       // bytes from one row of scores or weights to the next

const std::byte* bytes(const void* p) { return static_cast<const std::byte*>(p); }

void ask_for(const std::byte* lines, int64_t count) {
  for (int64_t i = 0; i < count; ++i) __builtin_prefetch(lines + i * 64, 0, 3);
}

template <int kGroups>
void multiply_keys(const std::byte* q, int64_t q_row, const std::byte* const* keys, int64_t at) {
  load<4>(q, q_row);
  load<6>(keys[0] + at, kRowBytes), multiply_pairs<0, 4, 6>();
  if constexpr (kGroups > 1) load<6>(keys[1] + at, kRowBytes), multiply_pairs<1, 4, 6>();
  if constexpr (kGroups > 2) load<6>(keys[2] + at, kRowBytes), multiply_pairs<2, 4, 6>();
  if constexpr (kGroups > 3) load<6>(keys[3] + at, kRowBytes), multiply_pairs<3, 4, 6>();
}

template <int kGroups>
void dot(std::byte* scores, const std::byte* q, int64_t q_row, int64_t rows, const std::byte* const* keys,
         const std::byte* const* next, int64_t lanes) {
  zero<0>(), zero<1>(), zero<2>(), zero<3>();
  int64_t lane = 0;
  for (; lane + kLanes <= lanes; lane += kLanes) {
    if (next != nullptr)
      for (int g = 0; g < kGroups; ++g) ask_for(next[g] + lane * kRowBytes, kLanes);
    multiply_keys<kGroups>(q + lane * 4, q_row, keys, lane * kRowBytes);
  }
  if (lane < lanes) {  // zeros in place of the lanes that q and the keys lack
    const int64_t left = lanes - lane;
    alignas(64) std::byte some[kRows * kRowBytes] = {}, others[kGroups][kKeysBytes] = {};
    const std::byte* tails[kGroups];
    for (int64_t r = 0; r < rows; ++r)
      std::memcpy(some + r * kRowBytes, q + r * q_row + lane * 4, static_cast<size_t>(left * 4));
    for (int g = 0; g < kGroups; ++g) {
      std::memcpy(others[g], keys[g] + lane * kRowBytes, static_cast<size_t>(left * kRowBytes));
      tails[g] = others[g];
    }
    multiply_keys<kGroups>(some, kRowBytes, tails, 0);
  }
  store<0>(scores, kRowScores);
  if constexpr (kGroups > 1) store<1>(scores + kRowBytes, kRowScores);
  if constexpr (kGroups > 2) store<2>(scores + 2 * kRowBytes, kRowScores);
  if constexpr (kGroups > 3) store<3>(scores + 3 * kRowBytes, kRowScores);
}

// A group's values, or where they are laid out that have zeros in place of keys that must not be read.
struct Group {
  const std::byte *values, *next;
  int64_t lane;  // of the weights
};

// kVectors times 16 dimensions of up to kBlockGroups groups, added to `sums`; of the last rows `rows` are stored.
template <int kVectors>
void accumulate(std::byte* sums, const std::byte* weights, int64_t rows, int64_t tile_rows, const Group* groups, int64_t count,
                int64_t padded, bool asks) {
  const int64_t row = padded * 4;
  load<0>(sums, row);
  if constexpr (kVectors > 1) load<1>(sums + kRowBytes, row);
  if constexpr (kVectors > 2) load<2>(sums + 2 * kRowBytes, row);
  if constexpr (kVectors > 3) load<3>(sums + 3 * kRowBytes, row);
  for (int64_t g = 0; g < count; ++g) {
    const std::byte* values = groups[g].values;
    if (asks && groups[g].next != nullptr)
      for (int lane = 0; lane < kGroupLanes; ++lane) ask_for(groups[g].next + lane * row, kVectors);
    load<5>(weights + groups[g].lane * 4, kRowScores);
    load<7>(values, row), multiply_pairs<0, 5, 7>();
    if constexpr (kVectors > 1) load<7>(values + kRowBytes, row), multiply_pairs<1, 5, 7>();
    if constexpr (kVectors > 2) load<7>(values + 2 * kRowBytes, row), multiply_pairs<2, 5, 7>();
    if constexpr (kVectors > 3) load<7>(values + 3 * kRowBytes, row), multiply_pairs<3, 5, 7>();
  }
  constexpr int64_t kWidth = kVectors * kRowBytes;
  alignas(64) std::byte some[kRows * kWidth];  // where rows that follow are not these sums' own
  std::byte* to = rows == tile_rows ? sums : some;
  const int64_t to_row = rows == tile_rows ? row : kWidth;
  store<0>(to, to_row);
  if constexpr (kVectors > 1) store<1>(to + kRowBytes, to_row);
  if constexpr (kVectors > 2) store<2>(to + 2 * kRowBytes, to_row);
  if constexpr (kVectors > 3) store<3>(to + 3 * kRowBytes, to_row);
  if (to == some)
    for (int64_t r = 0; r < rows; ++r) std::memcpy(sums + r * row, some + r * kWidth, kWidth);
}

}  // namespace

Layout tile_layout(int64_t rows) {
  const int r = static_cast<int>(std::min<int64_t>(rows, kRows));
  return {{r, r, r, r, r, r, kLanes, kGroupLanes}, {kLanes, kLanes, kLanes, kLanes, kLanes, kGroupLanes, kLanes, kLanes}};
}

void dot_tiles(float* scores, const Word* q, int64_t rows, int64_t tile_rows, const KeyBlock& block, const KeyBlock& next,
               int64_t head_size, int64_t groups) {
  const int64_t lanes = lanes_of<bf16>(head_size);
  const std::byte *keys[kBlockGroups], *there[kBlockGroups];
  for (int64_t g = 0; g < groups; ++g) {
    keys[g] = bytes(block.keys[g]);
    there[g] = next.keys[g] != nullptr ? bytes(next.keys[g]) : keys[g];
  }
  for (int64_t r = 0; r < rows; r += tile_rows) {
    std::byte* to = reinterpret_cast<std::byte*>(scores + r * kKeyBlock);
    const std::byte* from = bytes(q + r * lanes);
    const std::byte* const* ahead = r == 0 && next.keys[0] != nullptr ? there : nullptr;
    const int64_t some = std::min(tile_rows, rows - r);
    if (groups == 4) {
      dot<4>(to, from, lanes * 4, some, keys, ahead, lanes);
    } else if (groups == 3) {
      dot<3>(to, from, lanes * 4, some, keys, ahead, lanes);
    } else if (groups == 2) {
      dot<2>(to, from, lanes * 4, some, keys, ahead, lanes);
    } else {
      dot<1>(to, from, lanes * 4, some, keys, ahead, lanes);
    }
  }
}

void accumulate_tiles(float* sums, const Word* weights, int64_t rows, int64_t tile_rows, const KeyBlock& block,
                      const KeyBlock& next, int64_t begin, int64_t end, int64_t padded) {
  if (begin >= end) return;
  constexpr int64_t kMost = kMaxHeadSize * kGroupLanes;
  alignas(64) Word partial[2][kMost];  // the first and the last group, where not all of its keys may be read
  Group groups[kBlockGroups];
  int64_t count = 0;
  int laid_out = 0;
  for (int64_t g = begin / kGroupKeys; g * kGroupKeys < end; ++g) {
    const int64_t first = std::max<int64_t>(begin - g * kGroupKeys, 0), last = std::min(end - g * kGroupKeys, kGroupKeys);
    const Word* values = block.values[g];
    if (last - first < kGroupKeys) {
      Word* copy = partial[laid_out++];
      for (int64_t lane = 0; lane < kGroupLanes; ++lane) {
        const Word keep = (2 * lane >= first && 2 * lane < last ? 0x0000FFFFu : 0u) |
                          (2 * lane + 1 >= first && 2 * lane + 1 < last ? 0xFFFF0000u : 0u);
        for (int64_t d = 0; d < padded; ++d) copy[lane * padded + d] = values[lane * padded + d] & keep;
      }
      values = copy;
    }
    groups[count++] = {bytes(values), bytes(next.values[g]), g * kGroupLanes};
  }
  for (int64_t r = 0; r < rows; r += tile_rows) {
    const int64_t some = std::min(tile_rows, rows - r);
    const std::byte* of_rows = bytes(weights + r * kKeyBlock);
    for (int64_t d = 0; d < padded; d += 4 * kColumns) {
      std::byte* to = reinterpret_cast<std::byte*>(sums + r * padded + d);
      Group shifted[kBlockGroups];
      for (int64_t g = 0; g < count; ++g)
        shifted[g] = {groups[g].values + d * 4, groups[g].next == nullptr ? nullptr : groups[g].next + d * 4, groups[g].lane};
      const int64_t vectors = std::min<int64_t>(4, (padded - d) / kColumns);
      if (vectors == 4) {
        accumulate<4>(to, of_rows, some, tile_rows, shifted, count, padded, r == 0);
      } else if (vectors == 3) {
        accumulate<3>(to, of_rows, some, tile_rows, shifted, count, padded, r == 0);
      } else if (vectors == 2) {
        accumulate<2>(to, of_rows, some, tile_rows, shifted, count, padded, r == 0);
      } else {
        accumulate<1>(to, of_rows, some, tile_rows, shifted, count, padded, r == 0);
      }
    }
  }
}

bool finite_values(const KeyBlock& block, int64_t count, int64_t padded) {
  const __m512i exponent = _mm512_set1_epi16(0x7f80);
  __mmask32 found = 0;
  for (int64_t key = 0; key < count; key += 2) {
    const Word* row = block.values[key / kGroupKeys] + key % kGroupKeys / 2 * padded;
    const __mmask32 of_key = key + 1 < count ? 0xFFFFFFFFu : 0x55555555u;
    for (int64_t d = 0; d < padded; d += kColumns)
      found |= _mm512_mask_cmpeq_epi16_mask(of_key, _mm512_and_si512(_mm512_loadu_si512(row + d), exponent), exponent);
  }
  return found == 0;
}

}  // namespace cohort::attention

#endif
