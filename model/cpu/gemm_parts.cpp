#include "model/cpu/gemm_parts.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "model/cpu/gemm_tile.h"
#include "model/cpu/wide_tile.h"

namespace cohort {

void check_row_parts(const char* op, std::span<const RowPart> parts, int64_t rows) {
  int64_t next = parts.empty() ? rows : 0;
  int open = parts.empty() ? 1 : 0;
  for (const RowPart& part : parts) {
    CHECK(part.begin == next && part.count >= 0, "{}: a part of {} rows from {}, after row {}", op, part.count,
          part.begin, next);
    next += part.count;
    ++open;
    CHECK(open <= kMaxOpenSums && part.merges >= 0 && part.merges < open, "{}: {} merges of {} sums, at most {}", op,
          part.merges, open, kMaxOpenSums);
    open -= part.merges;
  }
  CHECK(next == rows && open == 1, "{}: parts of {} of {} rows, {} sums are left", op, next, rows, open);
}

namespace gemm {
namespace {

constexpr int64_t kColumns = kMaxVectors * kVectorLanes;
// A block's floats.
constexpr int64_t kBlockRows = kHasTiles ? std::max<int64_t>(kWideRows, kMaxRows) : kMaxRows, kSlot = kBlockRows * kColumns;

void add_tile(float* sum, const float* other, int64_t n) {
  for (int64_t i = 0; i < n; i += kVectorLanes) {
    const Floats result = load_floats(reinterpret_cast<const std::byte*>(sum + i)) +
                          load_floats(reinterpret_cast<const std::byte*>(other + i));
    std::memcpy(sum + i, &result, sizeof result);
  }
}

// `count` floats, from a row of a block to C: `from`, or from + other.
void write_row(float* to, float* from, const float* other, int64_t count) {
#if defined(__AVX512F__)
  if (count == kColumns && reinterpret_cast<uintptr_t>(to) % sizeof(__m512) == 0) {
    for (int64_t i = 0; i < kColumns; i += kVectorLanes) {
      const __m512 sum = _mm512_load_ps(from + i);
      _mm512_stream_ps(to + i, other != nullptr ? sum + _mm512_load_ps(other + i) : sum);
    }
    return;
  }
#endif
  if (other != nullptr) add_tile(from, other, kColumns);
  std::memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
}

// Rows and columns of a block in C.
struct Place {
  int64_t row, rows, column, columns;
};

void keep_rows(const PartProduct& p, int part, const float* tile, const Place& at) {
  const std::span<const int32_t> ids = p.kept.rows;
  const int64_t first = p.first_row + at.row, width = p.kept.sums.cols();
  for (auto id = std::ranges::lower_bound(ids, first); id != ids.end() && *id < first + at.rows; ++id) {
    const int64_t slot = part * static_cast<int64_t>(ids.size()) + (id - ids.begin());
    std::memcpy(p.kept.sums.f32() + slot * width + at.column, tile + (*id - first) * kColumns,
                static_cast<size_t>(at.columns) * sizeof(float));
  }
}

// Adds up the rows of the first step, and of each that comes after it, in registers; `store` says what becomes of the sums.
class RegisterSteps {
 public:
  RegisterSteps(const PartProduct& p, const Place& at)
      : run_((p.lane_dtype == DType::bf16 ? kTiles<true> : kTiles<false>)[at.rows - 1][(at.columns + kVectorLanes - 1) / kVectorLanes - 1]),
        a_(p.tiles + at.row / kMaxRows * static_cast<int64_t>(tile_bytes(p.lanes, p.lane_dtype))) {}
  void add(TileArgs args) {
    args.a = a_, args.a_row = 4, args.a_lane = kMaxRows * 4;
    run_(args);
    a_ += args.lanes * args.a_lane;
  }

 private:
  Tile run_;
  const std::byte* a_;
};

#ifdef COHORT_TILES
class WideSteps {
 public:
  WideSteps(const PartProduct& p, const Place& at)
      : two_(at.rows > tiles::kRows),
        tile_(static_cast<int64_t>(tile_bytes(p.lanes, p.lane_dtype))),
        a_(p.tiles + at.row / tiles::kRows * tile_) {}
  void add(TileArgs args) {
    args.a_row = tiles::kRowBytes;
    const WideArgs wide{args, tiles::kRows, tiles::kRows * tiles::kRowBytes, 0, 0};
    const WideRows first{a_, args.c, 0}, second{a_ + tile_, args.c + tiles::kRows * args.c_row, 0};
    if (two_) {
      wide_tile<2>(wide, {first, second});
    } else {
      wide_tile<1>(wide, {first});
    }
    a_ += args.lanes * tiles::kRows * 4;
  }

 private:
  bool two_;
  int64_t tile_;
  const std::byte* a_;
};
#endif

template <typename Steps>
void finish_block(const PartProduct& p, const Place& at) {
  const int64_t width = (at.columns + kVectorLanes - 1) / kVectorLanes * kVectorLanes;
  float* c = p.c + at.row * p.n + at.column;
  alignas(64) float sums[kMaxOpenSums][kSlot];
  int depth = 0;
  if (p.open) {
    for (int64_t r = 0; r < at.rows; ++r)
      std::memcpy(sums[0] + r * kColumns, c + r * p.n, static_cast<size_t>(at.columns) * sizeof(float));
    depth = 1;
  }
  Steps steps(p, at);
  TileArgs args{.half = false,
                .b = p.panels + at.column / kColumns * static_cast<int64_t>(panel_bytes(p.lanes)),
                .c_row = kColumns * 4,
                .columns = static_cast<int>(width)};
  for (const SumStep& step : p.steps) {
    args.lanes = step_lanes(step.rows, p.lane_dtype);
    args.store = step.joins ? Store::add_f32 : Store::set_f32;
    args.c = reinterpret_cast<std::byte*>(sums[step.joins ? depth - 1 : depth]);
    args.ahead = args.b;  // nothing else is known to come next
    steps.add(args);
    args.b += args.lanes * width * 4;
    if (!step.joins) ++depth;
    if (step.part >= 0 && !p.kept.rows.empty()) keep_rows(p, step.part, sums[depth - 1], at);
    const int now = step.merges - (&step == &p.steps.back() && step.merges > 0);  // the last sum is added as it is written
    for (int merge = 0; merge < now; ++merge, --depth) add_tile(sums[depth - 2], sums[depth - 1], at.rows * kColumns);
  }
  for (int64_t r = 0; r < at.rows; ++r)
    write_row(c + r * p.n, sums[0] + r * kColumns, depth > 1 ? sums[1] + r * kColumns : nullptr, at.columns);
}

template <typename Steps>
void finish_blocks(const PartProduct& p, int64_t row, int64_t row_end, int64_t panel, int64_t panel_end) {
  const int64_t rows = block_rows(p.lane_dtype);
  for (int64_t j = panel; j < panel_end; ++j)
    for (int64_t i = row; i < row_end; i += rows)
      finish_block<Steps>(p, {i, std::min(rows, row_end - i), j * kColumns, std::min(kColumns, p.n - j * kColumns)});
}

}  // namespace

int64_t step_lanes(int64_t rows, DType lane_dtype) {
  const int64_t lanes = lanes_of(rows, lane_dtype), together = multiplies_tiles(lane_dtype) ? kWideLanes : 1;
  return (lanes + together - 1) / together * together;
}

int64_t lanes_of_steps(std::span<const SumStep> steps, DType lane_dtype) {
  int64_t lanes = 0;
  for (const SumStep& step : steps) lanes += step_lanes(step.rows, lane_dtype);
  return lanes;
}

int64_t tile_rows(DType lane_dtype) { return multiplies_tiles(lane_dtype) ? kWideRows / 2 : kMaxRows; }
int64_t tiles_of(int64_t rows, DType lane_dtype) { return (rows + tile_rows(lane_dtype) - 1) / tile_rows(lane_dtype); }
size_t tile_bytes(int64_t lanes, DType lane_dtype) { return static_cast<size_t>(lanes * tile_rows(lane_dtype)) * 4; }

void multiply_parts(const PartProduct& p, int64_t row, int64_t row_end, int64_t panel, int64_t panel_end) {
#ifdef COHORT_TILES
  if (p.lane_dtype == DType::bf16) {
    const tiles::Session session(wide_layout(tiles::kRows));
    finish_blocks<WideSteps>(p, row, row_end, panel, panel_end);
  } else {
    finish_blocks<RegisterSteps>(p, row, row_end, panel, panel_end);
  }
#else
  finish_blocks<RegisterSteps>(p, row, row_end, panel, panel_end);
#endif
#if defined(__AVX512F__)
  _mm_sfence();  // streamed rows are in memory before the task is done
#endif
}

}  // namespace gemm
}  // namespace cohort
