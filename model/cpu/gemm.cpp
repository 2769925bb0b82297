#include "model/cpu/gemm.h"

#include <algorithm>

#include "model/cpu/gemm_tile.h"
#include "model/cpu/wide_tile.h"

namespace cohort::gemm {
namespace {

constexpr int64_t kColumns = kMaxVectors * kVectorLanes;
// Rows that go through a panel together: their part of A, so many bytes, stays in the second-level cache while panels
// stream by.
constexpr int64_t kChunkBytes = 384 << 10;
// A task should outlast the hand-over to a thread by far. With few rows it waits for its panels to come from memory, in
// the time of so many flops a byte.
struct TaskCost {
  double task_flops, byte_flops;
};
constexpr TaskCost kRegisterCost = {1 << 20, 12}, kTileCost = {1 << 24, 256};

const std::byte* bytes_at(const void* data, int64_t offset) { return static_cast<const std::byte*>(data) + offset; }

}  // namespace

const int64_t kPanelColumns = kColumns;

bool multiplies_tiles(DType lane_dtype) { return kHasTiles && lane_dtype == DType::bf16; }

int64_t block_rows(DType lane_dtype) { return multiplies_tiles(lane_dtype) ? kWideRows : kMaxRows; }

DType lane_dtype(DType act) { return act == DType::bf16 && kHasBf16Pairs ? DType::bf16 : DType::f32; }

int64_t lanes_of(int64_t depth, DType lane_dtype) { return lane_dtype == DType::bf16 ? (depth + 1) / 2 : depth; }

size_t widened_bytes(Tensor a) { return lane_dtype(a.dtype) == a.dtype ? 0 : static_cast<size_t>(a.size()) * 4; }

Tensor in_lane_dtype(Tensor a, void* space, const Exec& ex) {
  if (lane_dtype(a.dtype) == a.dtype) return a;
  const Tensor wide(space, DType::f32, {a.rows(), a.cols()});
  ex.pool->run(a.rows(), [&](int64_t row, int) {
    const bf16* from = a.b16() + row * a.cols();
    float* to = wide.f32() + row * a.cols();
    for (int64_t i = 0; i < a.cols(); ++i) to[i] = to_float(from[i]);
  });
  return wide;
}

Left rows_in_place(Tensor a) {
  const int64_t row = a.cols() * static_cast<int64_t>(dtype_size(a.dtype));
  const bool pairs = a.dtype == DType::bf16;
  return {static_cast<const std::byte*>(a.data), row, pairs ? a.cols() / 2 : a.cols(), pairs && a.cols() % 2 == 1};
}

namespace {

#ifdef COHORT_TILES
// All tiles have as many rows: the last begins above the rows that are left, and is computed again down to them.
void multiply_wide_block(const Product& p, TileArgs args, int64_t row, int64_t row_end, const std::byte* after) {
  const int tile = static_cast<int>(std::min<int64_t>(tiles::kRows, row_end));
  const int64_t blocks = (row_end - row + kWideRows - 1) / kWideRows;
  std::byte* const c = args.c;
  const auto rows_from = [&](int64_t i) {
    const int64_t first = std::min(i, row_end - tile);
    return WideRows{p.a.data + first * p.a.row, c + first * args.c_row, static_cast<int>(i - first)};
  };
  // One block of rows waits for its panel to come from memory: it asks for it a little in advance. Several of them share out
  // the lines of the panel that comes next.
  const int vectors = (args.columns + kVectorLanes - 1) / kVectorLanes;
  const int64_t lines = tiles::kLanes * vectors, share = std::max<int64_t>((lines + blocks - 1) / blocks, 1);
  for (int64_t i = row, from = 0; i < row_end; i += kWideRows, from += share) {
    args.ahead = after + from * 64;
    const WideArgs wide{args, tile, tiles::kRowBytes, blocks == 1 ? kStreamSteps : 0, static_cast<int>(std::clamp<int64_t>(lines - from, 0, share))};
    if (row_end - i > tile) {
      wide_tile<2>(wide, {rows_from(i), rows_from(i + tile)});
    } else {
      wide_tile<1>(wide, {rows_from(i)});
    }
  }
}
#endif

void multiply_register_block(const Product& p, TileArgs args, int64_t row, int64_t row_end, const std::byte* after) {
  const auto& tiles = p.lane_dtype == DType::bf16 ? kTiles<true> : kTiles<false>;
  const int vectors = (args.columns + kVectorLanes - 1) / kVectorLanes;
  std::byte* const c = args.c;
  // Each tile of rows asks for every third line of the panel that comes next.
  int64_t third = 0;
  for (int64_t i = row; i < row_end; i += kMaxRows) {
    args.ahead = after + third * 64;
    third = third == kMaxVectors - 1 ? 0 : third + 1;
    args.a = p.a.data + i * p.a.row;
    args.c = c + i * args.c_row;
    tiles[std::min<int64_t>(kMaxRows, row_end - i) - 1][vectors - 1](args);
  }
}

}  // namespace

void multiply_block(const Product& p, int64_t row, int64_t row_end, int64_t panel, int64_t panel_end, int64_t next) {
  if (row >= row_end || panel >= panel_end) return;
  const int64_t element = static_cast<int64_t>(dtype_size(p.c.dtype)), c_row = p.c.stride * element;
  const int64_t panel_size = static_cast<int64_t>(panel_bytes(p.a.lanes + p.a.half));
  TileArgs args{.a_row = p.a.row, .a_lane = 4, .lanes = p.a.lanes, .half = p.a.half, .c_row = c_row};
  args.store = p.c.dtype == DType::bf16 ? Store::set_bf16 : p.c.accumulate ? Store::add_f32 : Store::set_f32;
  const auto each_panel = [&](const auto& block) {
    for (int64_t j = panel; j < panel_end; ++j) {
      args.b = bytes_at(p.b, j * panel_size);
      args.c = static_cast<std::byte*>(p.c.data) + j * kColumns * element;
      args.columns = static_cast<int>(std::min(kColumns, p.n - j * kColumns));
      block(p, args, row, row_end, bytes_at(p.b, (j + 1 < panel_end ? j + 1 : next) * panel_size));
    }
  };
#ifdef COHORT_TILES
  if (p.lane_dtype == DType::bf16) {
    const tiles::Session session(wide_layout(static_cast<int>(std::min<int64_t>(tiles::kRows, row_end))));
    return each_panel(multiply_wide_block);
  }
#endif
  each_panel(multiply_register_block);
}

void multiply(const Product& p, const Exec& ex) {
  if (p.m == 0 || p.n == 0) return;
  const int64_t block = block_rows(p.lane_dtype);
  const TaskCost cost = multiplies_tiles(p.lane_dtype) ? kTileCost : kRegisterCost;
  const int64_t row_chunk = std::clamp<int64_t>(kChunkBytes / (4 * (p.a.lanes + 1)) / block, 4, 64) * block;
  const int64_t panels = panels_of(p.n), chunks = (p.m + row_chunk - 1) / row_chunk;
  const double panel_flops = 4.0 * static_cast<double>(std::min(p.m, row_chunk) * kColumns * (p.a.lanes + 1));
  const double panel_cost = std::max(panel_flops, cost.byte_flops * static_cast<double>(panel_bytes(p.a.lanes)));
  const int64_t group = std::clamp<int64_t>(static_cast<int64_t>(cost.task_flops / panel_cost), 1, panels);
  const int64_t groups = (panels + group - 1) / group;
  const int64_t stride = ex.pool->size() * group;
  ex.pool->run(chunks * groups, [&](int64_t task, int) {
    const int64_t row = task / groups * row_chunk, panel = task % groups * group;
    // Threads take tasks in turn, so that this one's next is likely `stride` panels on.
    const int64_t next = panel + stride < panels ? panel + stride : panels - 1;
    multiply_block(p, row, std::min(p.m, row + row_chunk), panel, std::min(panels, panel + group), next);
  });
}

}  // namespace cohort::gemm
