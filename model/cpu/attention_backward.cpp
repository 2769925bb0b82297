// Attention backward on a pack. Rows are cut into units; a unit and a kv head make a task, which finishes dq of its
// rows and leaves what its rows give to each key in a buffer of its own. Then each key adds up its units in their
// order. Units depend on the runs alone, so the bits do not depend on threads.
#include <algorithm>
#include <cstring>
#include <tuple>

#include "core/check.h"
#include "model/cpu/unit_backward.h"
#include "model/cpu/vector_math.h"
#include "model/ops/attention.h"
#include "model/ops/gpu.h"

namespace cohort {
namespace {

using namespace attention;
using namespace simd;

int64_t count_segments(std::span<const PackRun> runs, int64_t limit) {
  int64_t n = 0;
  for (const PackRun& run : runs) n += (run.count + limit - 1) / limit;
  return n;
}

// Fills segments and units: neighbours join a unit while they share a prefix and have at most `limit` positions. Without one they do not: a
// tile register adds up thirty-two rows of a unit at a time, and whose rows stand before a run's must not depend on which packs are joined.
void plan_units(Plan& plan, std::span<const PackRun> runs, int64_t limit) {
  for (size_t r = 0; r < runs.size(); ++r) {
    const PackRun& run = runs[r];
    for (int64_t first = 0; first < run.count; first += limit) {
      const Segment segment{static_cast<int64_t>(r), first, std::min(limit, run.count - first), false};
      Unit* unit = plan.num_units > 0 ? &plan.units[plan.num_units - 1] : nullptr;
      const bool joins = unit != nullptr && unit->positions + segment.count <= limit &&
                         run.prefix_count > 0 && unit->prefix_count == run.prefix_count && unit->prefix_begin == run.prefix_begin;
      if (!joins) {
        unit = &plan.units[plan.num_units++];
        *unit = {plan.num_segments, plan.num_segments, run.prefix_begin, run.prefix_count, 0,
                 run.prefix_count,  plan.keys};
        plan.keys += run.prefix_count;
      }
      plan.segments[plan.num_segments++] = segment;
      unit->segments_end = plan.num_segments;
      unit->positions += segment.count;
      unit->keys += segment.end();
      plan.keys += segment.end();
    }
  }
}

void plan_tasks(Plan& plan, int64_t kv_heads) {
  for (int64_t u = 0; u < plan.num_units; ++u) {
    const Unit& unit = plan.units[u];
    for (int64_t kv = 0; kv < kv_heads; ++kv) plan.tasks[plan.num_tasks++] = {u, kv, unit.positions * unit.keys};
  }
  std::sort(plan.tasks, plan.tasks + plan.num_tasks, [](const Task& a, const Task& b) {
    return std::tie(b.cost, a.unit, a.kv_head) < std::tie(a.cost, b.unit, b.kv_head);  // the longest first
  });
}

// Marks the segments that are whole runs whose keys no other run sees.
void find_final(Plan& plan, std::span<const PackRun> runs) {
  const auto seen_by_others = [&](const PackRun& run) {
    const PackRun* last = nullptr;  // neighbours mostly share a prefix
    for (const PackRun& other : runs) {
      if (other.prefix_count == 0 || (last != nullptr && last->prefix_begin == other.prefix_begin && last->prefix_count == other.prefix_count))
        continue;
      last = &other;
      if (other.prefix_begin < run.begin + run.count && run.begin < other.prefix_begin + other.prefix_count) return true;
    }
    return false;
  };
  for (int64_t i = 0; i < plan.num_segments; ++i) {
    Segment& segment = plan.segments[i];
    const PackRun& run = runs[static_cast<size_t>(segment.run)];
    segment.final = segment.count == run.count && !seen_by_others(run);
  }
}

// dk and dv of pack rows [first, end) that are not final: the sum over units, in order, of what their rows gave.
template <typename T>
void sum_units(const BackwardPass<T>& pass, int64_t first, int64_t end) {
  const int64_t D = pass.heads.head_size, kv_heads = pass.heads.num_kv_heads, kv_width = kv_heads * D;
  float *const dk = pass.dk.f32(), *const dv = pass.dv.f32();
  // Calls body(row, offset) for each of those rows among [begin, begin + count), whose gradients lie at `offset` of the buffers.
  const auto for_common = [&](int64_t begin, int64_t count, int64_t offset, const auto& body) {
    for (int64_t row = std::max(first, begin); row < std::min(end, begin + count); ++row) body(row, offset + row - begin);
  };
  // The rows of the units' stretches, in order.
  const auto for_rows_of_units = [&](const auto& body) {
    for (int64_t u = 0; u < pass.plan.num_units; ++u) {
      const Unit& unit = pass.plan.units[u];
      for_stretches(pass, unit, [&](const Stretch& stretch) {
        if (!stretch.final) for_common(stretch.begin, stretch.count, unit.offset + stretch.offset, body);
      });
    }
  };
  for_rows_of_units([&](int64_t row, int64_t) {
    std::fill_n(dk + row * kv_width, kv_width, 0.0f);
    std::fill_n(dv + row * kv_width, kv_width, 0.0f);
  });
  for_rows_of_units([&](int64_t row, int64_t offset) {
    for (int64_t kv = 0; kv < kv_heads; ++kv) {
      const int64_t from = (kv * pass.plan.keys + offset) * pass.padded, to = row * kv_width + kv * D;
      for (int64_t d = 0; d < D; d += kLanes) {
        const int64_t lanes = lanes_left(D, d);
        const F16 scaled = load(pass.dk_units + from + d) * splat(pass.scale.scale);
        store_first(dk + to + d, load_first(dk + to + d, lanes) + scaled, lanes);
        store_first(dv + to + d, load_first(dv + to + d, lanes) + load(pass.dv_units + from + d), lanes);
      }
    }
  });
}

template <typename T>
void backward(Tensor dq, Tensor dk, Tensor dv, Tensor dout, Tensor out, Tensor lse, Tensor q, Tensor k, Tensor v,
              std::span<const PackRun> runs, const HeadLayout& heads, const Exec& ex) {
  const int64_t D = heads.head_size, padded = unit_head_size<T>(D), group = heads.num_heads / heads.num_kv_heads;
  const int64_t limit = unit_positions(group), segments = count_segments(runs, limit);
  const size_t scratch = unit_workspace<T>(group, D);

  // The first thread's block holds its scratch, the plan and the gradient buffers, whose size the plan itself gives.
  Plan plan;
  const auto carve = [&](void* block, int64_t keys, float** dk_units, float** dv_units) {
    Carver carver(block);
    carver.take<std::byte>(static_cast<int64_t>(scratch));
    plan.segments = carver.take<Segment>(segments);
    plan.units = carver.take<Unit>(segments);
    plan.tasks = carver.take<Task>(segments * heads.num_kv_heads);
    *dk_units = carver.take<float>(heads.num_kv_heads * keys * padded);
    *dv_units = carver.take<float>(heads.num_kv_heads * keys * padded);
    return carver.size();
  };
  float *dk_units = nullptr, *dv_units = nullptr;
  carve(ex.workspace->get(0, carve(nullptr, 0, &dk_units, &dv_units)), 0, &dk_units, &dv_units);
  plan_units(plan, runs, limit);
  const int64_t keys = plan.keys;
  plan.num_segments = plan.num_units = plan.keys = 0;
  void* block = ex.workspace->get(0, carve(nullptr, keys, &dk_units, &dv_units));
  carve(block, keys, &dk_units, &dv_units);
  plan_units(plan, runs, limit);
  if (kInTiles<T>) find_final(plan, runs);
  plan_tasks(plan, heads.num_kv_heads);

  const BackwardPass<T> pass{dq,   dout,  out,   lse,  q,        k,       v, dk, dv, runs, heads, score_scale(heads),
                             padded, group, plan, dk_units, dv_units};
  ex.pool->run(plan.num_tasks, [&](int64_t task, int thread) {
    unit_backward(pass, plan.tasks[task], thread == 0 ? block : ex.workspace->get(thread, scratch));
  });
  constexpr int64_t kRows = 16;
  ex.pool->run((q.rows() + kRows - 1) / kRows, [&](int64_t chunk, int) {
    sum_units(pass, chunk * kRows, std::min(q.rows(), (chunk + 1) * kRows));
  });
}

}  // namespace

void attention_pack_backward(Tensor dq, Tensor dk, Tensor dv, Tensor dout, Tensor out, Tensor lse, Tensor q, Tensor k,
                             Tensor v, std::span<const PackRun> runs, const HeadLayout& heads, const Exec& ex) {
  if (ex.gpu != nullptr) return gpu::attention_pack_backward(dq, dk, dv, dout, out, lse, q, k, v, runs, heads, *ex.gpu);
  check_pack(q, k, v, runs, heads);
  const int64_t T = q.rows(), width = heads.num_heads * heads.head_size,
                kv_width = heads.num_kv_heads * heads.head_size;
  check_rows("dq", dq, T, width, DType::f32);
  check_rows("dk", dk, T, kv_width, DType::f32);
  check_rows("dv", dv, T, kv_width, DType::f32);
  check_rows("dout", dout, T, width, q.dtype);
  check_rows("out", out, T, width, q.dtype);
  check_rows("lse", lse, T, heads.num_heads, DType::f32);
  int64_t covered = 0;
  for (const PackRun& run : runs) covered += run.count;
  if (covered != T)
    for (Tensor gradient : {dq, dk, dv}) std::memset(gradient.data, 0, gradient.bytes());
  if (q.dtype == DType::bf16) return backward<bf16>(dq, dk, dv, dout, out, lse, q, k, v, runs, heads, ex);
  backward<float>(dq, dk, dv, dout, out, lse, q, k, v, runs, heads, ex);
}

}  // namespace cohort
