// The products of a linear layer on the CPU (ops/matmul.h), as three layouts of one product (gemm.h, gemm_parts.h).
#include "model/ops/matmul.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "model/cpu/gemm.h"
#include "model/cpu/gemm_parts.h"
#include "model/ops/gpu.h"
#include "model/ops/merge.h"
#include "model/ops/packed_part.h"

namespace cohort {

struct PackedWeight::Impl {
  std::shared_ptr<std::byte> panels;  // perhaps a part of what reserve_packed took
  size_t bytes = 0;
  bool packed = false;
};

PackedWeight::PackedWeight() = default;
PackedWeight::~PackedWeight() = default;
PackedWeight::PackedWeight(PackedWeight&&) noexcept = default;
PackedWeight& PackedWeight::operator=(PackedWeight&&) noexcept = default;

std::byte* gemm::panels(const PackedWeight& w) {
  CHECK(w.impl != nullptr && w.impl->packed, "a weight that was never packed");
  return w.impl->panels.get();
}
size_t gemm::panel_bytes(const PackedWeight& w) { return panel_bytes(lanes_of(w.k, lane_dtype(w.dtype))); }
size_t gemm::panel_rows_bytes(const PackedWeight& w) {
  return static_cast<size_t>(kPanelColumns * w.k) * dtype_size(w.dtype);
}
gemm::PanelRange gemm::panels_over(const PackedWeight& w, int64_t from, int64_t count) {
  const int64_t elements = kPanelColumns * w.k;
  return {from / elements, count == 0 ? from / elements : (from + count - 1) / elements + 1};
}
gemm::PanelPart gemm::part_of_rows(int64_t row, int64_t row_end, int64_t k, int64_t from, int64_t count) {
  const int64_t first = row * k, last = row_end * k;
  const int64_t begin = std::max(first, from), end = std::min(last, from + count);
  return {begin - first, begin - from, end - begin, begin == first && end == last};
}
gemm::PanelPart gemm::part_of(const PackedWeight& w, int64_t panel, int64_t from, int64_t count) {
  return part_of_rows(panel * kPanelColumns, std::min(w.n, (panel + 1) * kPanelColumns), w.k, from, count);
}
Tensor gemm::unpack_panel(void* space, const PackedWeight& w, int64_t panel) {
  const Tensor rows(space, w.dtype, {std::min(kPanelColumns, w.n - panel * kPanelColumns), w.k});
  unpack_panel(rows, panels(w) + static_cast<size_t>(panel) * panel_bytes(w));
  return rows;
}

namespace {

void check_exec(const char* op, const Exec& ex) {
  CHECK(ex.device == Device::cpu && ex.pool != nullptr && ex.workspace != nullptr,
        "{} on the CPU without a CPU context", op);
}

void check_operand(const char* op, const char* name, Tensor t, DType dtype, int64_t rows, int64_t cols) {
  CHECK(t.rank == 2 && t.dtype == dtype && t.shape[0] == rows && t.shape[1] == cols,
        "{}: {} is {} ({}, {}) of rank {}, wanted {} ({}, {})", op, name, dtype_name(t.dtype), t.rows(), t.cols(),
        t.rank, dtype_name(dtype), rows, cols);
}

void check_output(const char* op, const char* name, Tensor t, DType act, int64_t rows, int64_t cols, bool accumulate) {
  check_operand(op, name, t, t.dtype == act ? act : DType::f32, rows, cols);
  CHECK(!accumulate || t.dtype == DType::f32, "{}: only float32 can be added to, {} is {}", op, name,
        dtype_name(t.dtype));
}

void check_act(const char* op, DType act) {
  CHECK(act == DType::f32 || act == DType::bf16, "{} of {}, allowed: float32, bfloat16", op, dtype_name(act));
}

// In huge pages where the system grants them: with few rows a product waits for its weight to come from memory, and a
// page of 4 KB lasts for as long as it takes to look up the next.
std::shared_ptr<std::byte> allocate_panels(size_t bytes, const std::string& what) {
  constexpr size_t kHugePage = 2 << 20, kCacheLine = 64;
  void* memory = nullptr;
  if (posix_memalign(&memory, bytes >= kHugePage ? kHugePage : kCacheLine, std::max(bytes, kCacheLine)) != 0)
    fail(ExitCode::kResources, "out of memory: {} needs {} bytes", what, bytes);
  // A hint, which may fail; the rest of the last page would be memory for nothing.
  if (bytes >= kHugePage) madvise(memory, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
  return {static_cast<std::byte*>(memory), [](std::byte* p) { std::free(p); }};
}

size_t packed_bytes(const PackedWeight& w) {
  return static_cast<size_t>(gemm::panels_of(w.n)) * gemm::panel_bytes(w);
}

}  // namespace

void reserve_packed(std::span<PackedWeight* const> weights) {
  size_t all = 0;
  for (const PackedWeight* w : weights) all += packed_bytes(*w);
  const std::shared_ptr<std::byte> memory = allocate_panels(all, "the packed weights");
  std::byte* next = memory.get();
  for (PackedWeight* w : weights) {
    std::shared_ptr<std::byte> part(memory, next);
    w->impl = std::make_unique<PackedWeight::Impl>(std::move(part), packed_bytes(*w));
    next += packed_bytes(*w);
  }
}

void share_packed(PackedWeight& to, const PackedWeight& from) {
  gemm::panels(from);  // there are some
  to.impl = std::make_unique<PackedWeight::Impl>(*from.impl);
  to.n = from.n, to.k = from.k, to.dtype = from.dtype;
}

void copy_packed(PackedWeight& to, const PackedWeight& from) {
  CHECK(to.impl && to.n == from.n && to.k == from.k && to.dtype == from.dtype && to.impl->bytes >= packed_bytes(from),
        "copy_packed: {} ({}, {}) to {} ({}, {}), or no memory for it", dtype_name(from.dtype), from.n, from.k, dtype_name(to.dtype),
        to.n, to.k);
  std::memcpy(to.impl->panels.get(), gemm::panels(from), packed_bytes(from));
  to.impl->packed = true;
}

void pack_weight(PackedWeight& packed, Tensor w, const Exec& ex) {
  check_exec("pack_weight", ex);
  check_act("pack_weight", w.dtype);
  check_operand("pack_weight", "w", w, w.dtype, w.rows(), w.cols());
  packed.n = w.rows(), packed.k = w.cols(), packed.dtype = w.dtype;
  pack_span(packed, 0, w, ex);
}

namespace {

void check_span(const char* op, const PackedWeight& w, int64_t begin, Tensor flat) {
  CHECK(flat.dtype == w.dtype && begin >= 0 && begin + flat.size() <= w.n * w.k,
        "{}: {} elements of {} from {} of a weight of {} ({}, {})", op, flat.size(), dtype_name(flat.dtype), begin,
        dtype_name(w.dtype), w.n, w.k);
}

}  // namespace

void pack_span(PackedWeight& packed, int64_t begin, Tensor flat, const Exec& ex) {
  check_exec("pack_span", ex);
  check_span("pack_span", packed, begin, flat);
  if (!packed.impl) packed.impl = std::make_unique<PackedWeight::Impl>();
  PackedWeight::Impl& impl = *packed.impl;
  const size_t panel = gemm::panel_bytes(packed), bytes = packed_bytes(packed);
  if (impl.bytes < bytes) {
    impl = {};
    impl.panels = allocate_panels(bytes, fmt::format("a packed weight ({}, {})", packed.n, packed.k));
    impl.bytes = bytes;
  }
  if (!impl.packed && flat.size() < packed.n * packed.k) std::memset(impl.panels.get(), 0, bytes);
  impl.packed = true;
  const size_t element = dtype_size(packed.dtype);
  const gemm::PanelRange range = gemm::panels_over(packed, begin, flat.size());
  ex.pool->run(range.end - range.begin, [&](int64_t task, int thread) {
    const int64_t p = range.begin + task;
    const gemm::PanelPart part = gemm::part_of(packed, p, begin, flat.size());
    std::byte* from = static_cast<std::byte*>(flat.data) + static_cast<size_t>(part.span_at) * element;
    Tensor rows(from, packed.dtype, {part.count / packed.k, packed.k});
    if (!part.whole) {
      rows = gemm::unpack_panel(ex.workspace->get(thread, gemm::panel_rows_bytes(packed)), packed, p);
      std::memcpy(static_cast<std::byte*>(rows.data) + static_cast<size_t>(part.at) * element, from,
                  static_cast<size_t>(part.count) * element);
    }
    gemm::pack_rows(impl.panels.get() + static_cast<size_t>(p) * panel, rows, 0, 1);
  });
}

void unpack_span(Tensor flat, const PackedWeight& packed, int64_t begin) {
  check_span("unpack_span", packed, begin, flat);
  const size_t element = dtype_size(packed.dtype);
  const gemm::PanelRange range = gemm::panels_over(packed, begin, flat.size());
  std::vector<std::byte> space;
  for (int64_t p = range.begin; p < range.end; ++p) {
    const gemm::PanelPart part = gemm::part_of(packed, p, begin, flat.size());
    std::byte* to = static_cast<std::byte*>(flat.data) + static_cast<size_t>(part.span_at) * element;
    if (part.whole) {
      gemm::unpack_panel(to, packed, p);
      continue;
    }
    space.resize(gemm::panel_rows_bytes(packed));
    const Tensor rows = gemm::unpack_panel(space.data(), packed, p);
    std::memcpy(to, static_cast<std::byte*>(rows.data) + static_cast<size_t>(part.at) * element,
                static_cast<size_t>(part.count) * element);
  }
}

PackedPart whole_panels(PackedWeight& packed, int64_t begin, int64_t end) {
  CHECK(begin >= 0 && begin <= end && end <= packed.n * packed.k, "whole_panels: elements [{}, {}) of a weight ({}, {})", begin, end, packed.n, packed.k);
  const size_t bytes = gemm::panel_bytes(packed);
  if (bytes != gemm::panel_rows_bytes(packed)) return {};  // widened, or half a lane at the end of each row
  const int64_t elements = gemm::kPanelColumns * packed.k, first = (begin + elements - 1) / elements, last = end / elements;
  if (first >= last) return {};
  return {first * elements, last * elements, {gemm::panels(packed) + static_cast<size_t>(first) * bytes, static_cast<size_t>(last - first) * bytes}};
}

void matmul(Tensor y, Tensor x, const PackedWeight& w, const Exec& ex, bool accumulate) {
  if (ex.gpu != nullptr) return gpu::matmul(y, x, w, accumulate, *ex.gpu);
  check_exec("matmul", ex);
  const std::byte* panels = gemm::panels(w);
  check_operand("matmul", "x", x, w.dtype, x.rows(), w.k);
  check_output("matmul", "y", y, x.dtype, x.rows(), w.n, accumulate);
  const Tensor a = gemm::in_lane_dtype(x, ex.workspace->get(0, gemm::widened_bytes(x)), ex);
  gemm::multiply({gemm::rows_in_place(a), panels, {y.data, y.dtype, w.n, accumulate}, x.rows(), w.n, a.dtype}, ex);
}

void packed_rows(Tensor x, const PackedWeight& w, std::span<const int32_t> rows, float scale, const Exec& ex) {
  if (ex.gpu != nullptr) return gpu::embedding(x, rows, w.flat, scale, *ex.gpu);
  check_exec("packed_rows", ex);
  const std::byte* panels = gemm::panels(w);
  check_operand("packed_rows", "x", x, DType::f32, static_cast<int64_t>(rows.size()), w.k);
  for (int32_t row : rows) CHECK(row >= 0 && row < w.n, "packed_rows: row {} of a matrix of {} rows", row, w.n);
  ex.pool->run(x.rows(), [&](int64_t t, int) {
    gemm::unpack_row(x.f32() + t * w.k, panels, w.dtype, rows[static_cast<size_t>(t)], w.n, w.k, scale);
  });
}

void matmul_backward_input(Tensor dx, Tensor dy, const PackedWeight& w, const Exec& ex, bool accumulate) {
  if (ex.gpu != nullptr) return gpu::matmul_backward_input(dx, dy, w, accumulate, *ex.gpu);
  const char* op = "matmul_backward_input";
  check_exec(op, ex);
  check_operand(op, "dy", dy, w.dtype, dy.rows(), w.n);
  check_output(op, "dx", dx, dy.dtype, dy.rows(), w.k, accumulate);
  // w is laid out anew each time, for a contraction over its rows: little beside a product with many rows, and nothing
  // to keep in memory or in step with the weights.
  const DType lane_dtype = gemm::lane_dtype(w.dtype);
  const int64_t lanes = gemm::lanes_of(w.n, lane_dtype);
  const size_t packed_bytes = static_cast<size_t>(gemm::panels_of(w.k)) * gemm::panel_bytes(lanes);
  const size_t wide = gemm::widened_bytes(dy), rows_bytes = gemm::panel_rows_bytes(w);
  std::byte* space = static_cast<std::byte*>(
      ex.workspace->get(0, packed_bytes + wide + static_cast<size_t>(ex.pool->size()) * rows_bytes));
  ex.pool->run(gemm::panels_of(w.n), [&](int64_t p, int thread) {
    gemm::turn_panel(space, w, p, lanes, gemm::lanes_of(p * gemm::kPanelColumns, lane_dtype),
                     space + packed_bytes + wide + static_cast<size_t>(thread) * rows_bytes);
  });
  const Tensor a = gemm::in_lane_dtype(dy, space + packed_bytes, ex);
  gemm::multiply({gemm::rows_in_place(a), space, {dx.data, dx.dtype, w.k, accumulate}, dy.rows(), w.k, a.dtype}, ex);
}

void matmul_backward_weight(Tensor dw, Tensor dy, Tensor x, const Exec& ex, std::span<const RowPart> parts) {
  if (ex.gpu != nullptr) return gpu::matmul_backward_weight(dw, dy, x, parts, *ex.gpu);
  const char* op = "matmul_backward_weight";
  check_exec(op, ex);
  check_act(op, x.dtype);
  check_operand(op, "x", x, x.dtype, dy.rows(), x.cols());
  check_operand(op, "dy", dy, x.dtype, x.rows(), dy.cols());
  check_operand(op, "dw", dw, DType::f32, dy.cols(), x.cols());
  check_row_parts(op, parts, x.rows());
  std::vector<gemm::SumStep> steps;
  for (const RowPart& part : parts) steps.push_back({part.count, false, -1, part.merges});
  if (parts.empty()) steps.push_back({x.rows(), false, -1, 0});
  const DType lane_dtype = gemm::lane_dtype(x.dtype);
  const int64_t lanes = gemm::lanes_of_steps(steps, lane_dtype);
  const size_t panel = gemm::panel_bytes(lanes), tile = gemm::tile_bytes(lanes, lane_dtype);
  const int64_t panels = gemm::panels_of(x.cols()), tiles = gemm::tiles_of(dy.cols(), lane_dtype);
  const size_t panels_size = static_cast<size_t>(panels) * panel;
  std::byte* space = static_cast<std::byte*>(ex.workspace->get(0, panels_size + static_cast<size_t>(tiles) * tile));
  const std::vector<gemm::RowBlock> blocks = gemm::row_blocks(steps, lane_dtype);
  ex.pool->run(2 * static_cast<int64_t>(blocks.size()), [&](int64_t task, int) {
    const gemm::RowBlock& block = blocks[static_cast<size_t>(task / 2)];
    if (task % 2 == 0) return gemm::pack_tiles(space + panels_size, dy, lanes, block, 0, tiles);
    gemm::pack_columns(space, x, lanes, block);
  });
  // Tiles that go through a panel together stay in the second-level cache while panels stream by.
  constexpr size_t kTileCache = 384 << 10;
  const int64_t together = std::clamp<int64_t>(static_cast<int64_t>(kTileCache / std::max<size_t>(tile, 1)), 2, 16) / 2 * 2;
  const int64_t chunks = (tiles + together - 1) / together, rows = together * gemm::tile_rows(lane_dtype);
  const gemm::PartProduct product{space + panels_size, space, lanes, dw.f32(), dy.cols(), x.cols(), lane_dtype, steps};
  ex.pool->run(chunks * panels, [&](int64_t task, int) {
    const int64_t row = task / panels * rows, j = task % panels;
    gemm::multiply_parts(product, row, std::min(dy.cols(), row + rows), j, j + 1);
  });
}

}  // namespace cohort
