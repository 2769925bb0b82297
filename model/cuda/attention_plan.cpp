// Plans of attention (attention.h): made on the host from runs, in order, so that a pack's part of them does not depend on
// what else is in the pass.
#include "model/cuda/attention_plan.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <iterator>

#include "core/check.h"

namespace cohort::cuda {
namespace {

// The first key position that a query at `position` sees.
int64_t window_begin(int64_t position, int64_t window) {
  return window == 0 ? 0 : std::max<int64_t>(0, position - window + 1);
}

// The arrays of a plan while they grow.
struct Parts {
  std::vector<int32_t> rows, positions, first_pages, first_partials, pages;
  std::vector<QuerySet> sets;
  std::vector<QueryTile> whole, split;
  std::vector<KeyTile> key_tiles;
  std::vector<Seer> seers;
};

template <typename T>
int64_t append(std::vector<int32_t>& numbers, const std::vector<T>& items) {
  const int64_t at = static_cast<int64_t>(numbers.size());
  const int32_t* first = reinterpret_cast<const int32_t*>(items.data());
  numbers.insert(numbers.end(), first, first + items.size() * sizeof(T) / sizeof(int32_t));
  return at;
}

void check_layout(const HeadLayout& heads, int64_t rows) {
  CHECK(heads.num_kv_heads > 0 && heads.num_heads % heads.num_kv_heads == 0 && heads.head_size > 0 && heads.window >= 0,
        "attention: {} heads of {} with {} kv heads and a window of {}", heads.num_heads, heads.head_size,
        heads.num_kv_heads, heads.window);
  CHECK(heads.scale >= 0 && std::isfinite(heads.scale), "attention: scores scaled by {}; must be positive, or 0 for 1 / sqrt",
        heads.scale);
  CHECK(rows * heads.num_heads <= INT32_MAX, "attention: {} rows of {} heads, too many for 32 bits", rows, heads.num_heads);
}

// Room for `count` and for some more to come.
int64_t room_for(int64_t count) {
  constexpr int64_t kLeast = 16;
  return count == 0 ? 0 : std::max(kLeast, static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(count))));
}

AttentionPlan finished(Parts& parts, int64_t rows, int64_t page_tokens, int64_t partials, const HeadLayout& heads) {
  AttentionPlan plan;
  plan.rows = rows;
  plan.queries = static_cast<int64_t>(parts.rows.size());
  plan.whole_tiles = static_cast<int64_t>(parts.whole.size());
  plan.split_tiles = static_cast<int64_t>(parts.split.size());
  plan.key_tiles = static_cast<int64_t>(parts.key_tiles.size());
  plan.partials = partials;
  plan.group = heads.num_heads / heads.num_kv_heads;
  plan.page_tokens = page_tokens;
  plan.window = heads.window;
  plan.room = {plan.whole_tiles, plan.split_tiles, partials};
  if (page_tokens > 0) {
    plan.room = {room_for(plan.whole_tiles), room_for(plan.split_tiles), room_for(partials)};
    parts.whole.resize(static_cast<size_t>(plan.room.whole_tiles), {-1, 0, -1});
    parts.split.resize(static_cast<size_t>(plan.room.split_tiles), {-1, 0, -1});
    parts.sets.resize(parts.whole.size() + parts.split.size());  // each has a tile
  }
  std::vector<int32_t>& n = plan.numbers;
  plan.at = {append(n, parts.rows),        append(n, parts.positions), append(n, parts.first_pages),
             append(n, parts.first_partials), append(n, parts.sets),   append(n, parts.whole),
             append(n, parts.split),       append(n, parts.key_tiles), append(n, parts.seers),
             append(n, parts.pages)};
  if (n.empty()) n.push_back(0);  // a tensor of no numbers has no address
  return plan;
}

// Those that have rows.
template <typename Run>
std::vector<Run> with_rows(std::span<const Run> runs) {
  std::vector<Run> some;
  std::ranges::copy_if(runs, std::back_inserter(some), [](const Run& run) { return run.count != 0; });
  return some;
}

void add_tiles(std::vector<QueryTile>& tiles, const QuerySet& set, size_t index, int64_t group, int64_t split) {
  for (int64_t row = 0; row < set.queries * group; row += kTileRows)
    tiles.push_back({static_cast<int32_t>(index), static_cast<int32_t>(row), static_cast<int32_t>(split)});
}

// Who sees the keys of each tile of a pack, in the order of runs.
void add_key_tiles(Parts& parts, std::span<const PackRun> runs, int64_t rows, int64_t group, int64_t window) {
  for (int64_t first = 0; first < rows; first += kTileKeys) {
    const int64_t end = std::min<int64_t>(rows, first + kTileKeys);
    KeyTile tile{static_cast<int32_t>(first), static_cast<int32_t>(parts.seers.size()), 0};
    int64_t query = 0;  // the run's first
    for (const PackRun& run : runs) {
      // Keys [begin, begin + count) of the pack stand at `position` and on.
      const auto add = [&](int64_t begin, int64_t count, int64_t position) {
        const int64_t from = std::max(first, begin), to = std::min(end, begin + count);
        if (from >= to) return;
        position += from - begin;
        // The run's queries stand at prefix_count and on: those before the first key and behind the last one's window see none.
        const int64_t earlier = std::max<int64_t>(0, position - run.prefix_count);
        const int64_t later = window == 0 ? run.count : std::min(run.count, position + to - from - 1 + window - run.prefix_count);
        if (earlier >= later) return;
        parts.seers.push_back({static_cast<int32_t>(query), static_cast<int32_t>(earlier * group / kRowBlock * kRowBlock),
                               static_cast<int32_t>(later * group), static_cast<int32_t>(from - first),
                               static_cast<int32_t>(to - first), static_cast<int32_t>(position)});
        ++tile.seers;
      };
      add(run.prefix_begin, run.prefix_count, 0);
      add(run.begin, run.count, run.prefix_count);
      query += run.count;
    }
    parts.key_tiles.push_back(tile);
  }
}

}  // namespace

AttentionPlan pack_plan(std::span<const PackRun> all, int64_t rows, const HeadLayout& heads) {
  check_layout(heads, rows);
  const std::vector<PackRun> runs = with_rows(all);
  Parts parts;
  int64_t last = 0;
  for (const PackRun& run : runs) {
    CHECK(run.count > 0 && run.begin >= last && run.begin + run.count <= rows, "attention: a run of rows [{}, {}) of {}, after row {}",
          run.begin, run.begin + run.count, rows, last);
    CHECK(run.prefix_count >= 0 && (run.prefix_count == 0 || (run.prefix_begin >= 0 && run.prefix_begin + run.prefix_count <= run.begin)),
          "attention: a prefix of rows [{}, {}) of a run from row {}", run.prefix_begin, run.prefix_begin + run.prefix_count,
          run.begin);
    last = run.begin + run.count;
    const QuerySet set{static_cast<int32_t>(parts.rows.size()), static_cast<int32_t>(run.count),
                       static_cast<int32_t>(run.prefix_begin), static_cast<int32_t>(run.prefix_count),
                       static_cast<int32_t>(run.begin), 0};
    add_tiles(parts.whole, set, parts.sets.size(), heads.num_heads / heads.num_kv_heads, -1);
    parts.sets.push_back(set);
    for (int64_t i = 0; i < run.count; ++i) {
      parts.rows.push_back(static_cast<int32_t>(run.begin + i));
      parts.positions.push_back(static_cast<int32_t>(run.prefix_count + i));
    }
  }
  add_key_tiles(parts, runs, rows, heads.num_heads / heads.num_kv_heads, heads.window);
  return finished(parts, rows, 0, 0, heads);
}

AttentionPlan cached_plan(std::span<const CachedRun> all, int64_t rows, int64_t page_tokens, const HeadLayout& heads) {
  check_layout(heads, rows);
  const std::vector<CachedRun> runs = with_rows(all);
  CHECK(page_tokens >= kCachedGroup && (page_tokens & (page_tokens - 1)) == 0 && page_tokens <= kSplitKeys,
        "attention: pages of {} positions; allowed is a power of two from {} to {}", page_tokens, kCachedGroup, kSplitKeys);
  const int64_t group = heads.num_heads / heads.num_kv_heads, split_pages = kSplitKeys / page_tokens;
  Parts parts;
  std::vector<int64_t> first_query, first_split, splits;  // of each run
  int64_t partials = 0;
  for (const CachedRun& run : runs) {
    const int64_t end = run.first_position + run.count;
    CHECK(run.begin >= 0 && run.count > 0 && run.begin + run.count <= rows && run.first_position >= 0,
          "attention: a run of rows [{}, {}) of {}", run.begin, run.begin + run.count, rows);
    CHECK(static_cast<int64_t>(run.pages.size()) * page_tokens >= end, "attention: {} pages of {} for {} positions",
          run.pages.size(), page_tokens, end);
    first_query.push_back(static_cast<int64_t>(parts.rows.size()));
    first_split.push_back(window_begin(run.first_position, heads.window) / kSplitKeys);
    splits.push_back((end + kSplitKeys - 1) / kSplitKeys - first_split.back());
    for (int64_t i = 0; i < run.count; ++i) {
      parts.rows.push_back(static_cast<int32_t>(run.begin + i));
      parts.positions.push_back(static_cast<int32_t>(run.first_position + i));
      parts.first_pages.push_back(static_cast<int32_t>(parts.pages.size()));
      parts.first_partials.push_back(static_cast<int32_t>(partials));
    }
    parts.pages.insert(parts.pages.end(), run.pages.begin(), run.pages.begin() + (end + page_tokens - 1) / page_tokens);
    if (run.count == 1 && splits.back() > 1) partials += splits.back();
  }
  for (auto query = static_cast<int64_t>(parts.rows.size()); query < rows; ++query) {
    parts.rows.push_back(-1);
    parts.positions.push_back(0);
    parts.first_pages.push_back(0);
    parts.first_partials.push_back(static_cast<int32_t>(partials));
  }
  parts.first_partials.push_back(static_cast<int32_t>(partials));
  CHECK(parts.pages.size() < INT32_MAX && partials < INT32_MAX, "attention: {} pages, {} splits", parts.pages.size(), partials);

  const auto is_split = [&](size_t run) { return runs[run].count == 1 && splits[run] > 1; };
  // Whether both runs have the same keys throughout the split, all of them before either's own position.
  const auto share = [&](size_t a, size_t b, int64_t split) {
    if (heads.window > 0 || std::min(runs[a].first_position, runs[b].first_position) < (split + 1) * kSplitKeys) return false;
    const auto pages = [&](size_t run) { return runs[run].pages.subspan(static_cast<size_t>(split * split_pages), static_cast<size_t>(split_pages)); };
    return std::ranges::equal(pages(a), pages(b));
  };
  const auto add_set = [&](size_t run, int64_t queries) {
    const int64_t query = first_query[run];
    parts.sets.push_back({static_cast<int32_t>(query), static_cast<int32_t>(queries), 0, 0, 0, parts.first_pages[static_cast<size_t>(query)]});
  };
  int64_t most_splits = 0;
  for (size_t run = 0; run < runs.size(); ++run) {
    if (is_split(run)) {
      most_splits = std::max(most_splits, first_split[run] + splits[run]);
    } else {
      add_set(run, runs[run].count);
      add_tiles(parts.whole, parts.sets.back(), parts.sets.size() - 1, group, -1);
    }
  }
  for (int64_t split = 0; split < most_splits; ++split) {
    for (size_t run = 0; run < runs.size();) {
      size_t end = run + 1;
      if (!is_split(run) || split < first_split[run] || split >= first_split[run] + splits[run]) {
        run = end;
        continue;
      }
      while (end < runs.size() && is_split(end) && share(run, end, split)) ++end;
      add_set(run, static_cast<int64_t>(end - run));
      add_tiles(parts.split, parts.sets.back(), parts.sets.size() - 1, group, split);
      run = end;
    }
  }
  return finished(parts, rows, page_tokens, partials, heads);
}

}  // namespace cohort::cuda
