// Attention's backward pass of one unit of rows and one kv head (attention_backward.cpp): in f32 with vectors, or in tile
// registers where bf16 goes through them. Private to model/cpu.
//
// With p = exp(s - lse):  dv = p^T dout,  ds = p (dout v^T - delta),  dq = ds k scale,  dk = ds^T q scale,
// delta = dout . out  (Dao et al. 2022, appendix B.2), and ds times 1 - tanh^2 where scores are soft-capped.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "model/cpu/attention_tiles.h"
#include "model/cpu/key_blocks.h"
#include "model/ops/attention.h"

namespace cohort::attention {

constexpr int64_t kUnitRows = 768;  // query rows (position x head of the group): three matrices of them stay in the L2
inline int64_t unit_positions(int64_t group) { return std::max<int64_t>(1, kUnitRows / group); }

// Rows [first, first + count) of a run.
struct Segment {
  int64_t run, first, count;
  bool final;  // in tiles: no other rows see its run's keys, so dk and dv are complete with it
  int64_t end() const { return first + count; }
};
// Consecutive segments with one shared prefix. Its keys: the prefix, then each segment's run from its start to the
// segment's end; they take `keys` rows from `offset` of the gradient buffers.
struct Unit {
  int64_t segments_begin, segments_end, prefix_begin, prefix_count, positions, keys, offset;
};
struct Task {
  int64_t unit, kv_head, cost;
};

// The plan of one backward pass; all of it lies in the first thread's workspace.
struct Plan {
  Segment* segments;
  Unit* units;
  Task* tasks;
  int64_t num_segments = 0, num_units = 0, num_tasks = 0, keys = 0;
};

// What all tasks share.
template <typename T>
struct BackwardPass {
  Tensor dq, dout, out, lse, q, k, v, dk, dv;
  std::span<const PackRun> runs;
  HeadLayout heads;
  ScoreScale scale;
  int64_t padded, group;
  const Plan& plan;
  float *dk_units, *dv_units;  // (K, plan.keys, padded), dk without the factor of the scores

  // Numbers from one row of q (and dout, out) to the next.
  int64_t width() const { return heads.num_heads * heads.head_size; }
  // The pack's row of a segment's first.
  int64_t row_of(const Segment& segment) const { return runs[static_cast<size_t>(segment.run)].begin + segment.first; }
  int64_t position_of(const Segment& segment) const {
    return runs[static_cast<size_t>(segment.run)].prefix_count + segment.first;
  }
  int64_t unit_keys_offset(const Task& task) const {
    return (task.kv_head * plan.keys + plan.units[task.unit].offset) * padded;
  }
};

// A head's size in the unit's buffers.
template <typename T>
int64_t unit_head_size(int64_t head_size) {
  return simd::round_up(head_size, kInTiles<T> ? 2 * tiles::kLanes : simd::kLanes);
}

// What a task leaves of a stretch of keys, rows [begin, begin + count) of the pack, the first at `position`, for the unit's rows
// [first, end) that see them: the gradients begin at row `offset` of the unit's, unless they are these rows' alone and final.
struct Stretch {
  int64_t begin, count, position, first, end, offset;
  bool final;
};
// Calls body(stretch) for each of a unit: the prefix's keys and those of each segment's run.
template <typename T, typename Body>
void for_stretches(const BackwardPass<T>& pass, const Unit& unit, const Body& body) {
  int64_t offset = unit.prefix_count, at = 0;
  if (unit.prefix_count > 0)
    body(Stretch{unit.prefix_begin, unit.prefix_count, 0, 0, unit.positions * pass.group, 0, false});
  for (int64_t i = unit.segments_begin; i < unit.segments_end; ++i) {
    const Segment& segment = pass.plan.segments[i];
    const int64_t end = at + segment.count * pass.group;
    body(Stretch{pass.runs[static_cast<size_t>(segment.run)].begin, segment.end(), unit.prefix_count, at, end, offset, segment.final});
    offset += segment.end(), at = end;
  }
}

// Bytes that unit_backward needs, and dq of a task's rows and what they give to dk and dv.
template <typename T>
size_t unit_workspace(int64_t group, int64_t head_size);
template <typename T>
void unit_backward(const BackwardPass<T>& pass, const Task& task, void* workspace);

#ifdef COHORT_TILES
template <>
size_t unit_workspace<bf16>(int64_t group, int64_t head_size);
template <>
void unit_backward(const BackwardPass<bf16>& pass, const Task& task, void* workspace);
#endif

}  // namespace cohort::attention
