// What an attention plan is made of: structs of i32 that kernels read from the device. Private to model/cuda.
#pragma once

#include <cstdint>

#include "model/cuda/attention.h"

namespace cohort::cuda {

constexpr int kTileRows = 64;  // rows (query x head of the group) of a tile of queries
constexpr int kTileKeys = 64;  // of a tile of keys
constexpr int kRowBlock = 32;  // rows of a run that the backward pass takes together, from the run's first on

// Queries [first_query, first_query + queries) with one sequence of keys: of a pack, rows [prefix_begin, prefix_begin +
// prefix_count) and then those from `begin` on; of the cache, the pages from numbers[at.pages + first_page] on.
struct QuerySet {
  int32_t first_query, queries, prefix_begin, prefix_count, begin, first_page;
};
// Rows [first_row, first_row + kTileRows) of a set, a row being query * group + head of the group. split: the only one of
// the keys' splits that is meant, or -1: all. Positions of a set's queries ascend, or all lie behind the split.
struct QueryTile {
  int32_t set, first_row, split;  // set: -1 where there is no tile
};
// Pack rows [first_key, first_key + kTileKeys) as keys, and who sees them: seers [first_seer, first_seer + seers).
struct KeyTile {
  int32_t first_key, first_seer, seers;
};
// Rows [first_row, end_row), each of query first_query + row / group, which see keys [begin, end) of the tile's; key `begin`
// stands at `position`. first_row: a multiple of kRowBlock.
struct Seer {
  int32_t first_query, first_row, end_row, begin, end, position;
};

}  // namespace cohort::cuda
