// Attention on the GPU: shapes and meaning as in ops/attention.h.
//
// Who attends to what is planned on the host, once for all layers of one window, and carried to the device as one i32
// tensor. A row's sums run over blocks of 64 keys within splits of kSplitKeys, both counted from the sequence's start, and
// the splits' results meet in their order: in one block of threads (training, prefill) or in several (decode), with the
// same bits.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/cuda/stream.h"
#include "model/ops/attention.h"
#include "model/tensor.h"

namespace cohort::cuda {

constexpr int64_t kSplitKeys = 256;  // part of the numerics

struct AttentionPlan {
  // Where the arrays begin in `numbers`; the kernels' structs are in attention_tiles.cuh.
  struct Places {
    int64_t rows, positions, first_pages, first_partials, sets, whole_tiles, split_tiles, key_tiles, seers, pages;
  };
  // What launches are made for: at least what there is. A plan of the cache has some to spare, and its arrays as much room, so
  // that passes that look alike have the same launches and places (pass_graphs.h); surplus blocks find that they have no tile.
  struct Room {
    int64_t whole_tiles = 0, split_tiles = 0, partials = 0;
  };
  int64_t rows = 0, queries = 0, whole_tiles = 0, split_tiles = 0, key_tiles = 0, partials = 0;
  int64_t group = 0, page_tokens = 0;  // page_tokens 0: of a pack
  int64_t window = 0;
  Places at{};
  Room room;
  std::vector<int32_t> numbers;
};

// Plans for T rows. The cache's plan puts samples that share leading pages into one set: their keys are read together; rows of no
// run are queries of no row.
AttentionPlan pack_plan(std::span<const PackRun> runs, int64_t rows, const HeadLayout& heads);
AttentionPlan cached_plan(std::span<const CachedRun> runs, int64_t rows, int64_t page_tokens, const HeadLayout& heads);

// --- sampling ------------------------------------------------------------------------------------------------------
// A page holds (K, page_tokens, cached_head_size(D)) keys, and so many values. `device_plan`: plan.numbers on the device.
// The host does not look at page numbers beyond those of the plan.
void store_cached(const KeyPages& cache, Tensor k, Tensor v, const AttentionPlan& plan, Tensor device_plan,
                  const HeadLayout& heads, Stream stream);
// Numbers (f32) that `scratch` of attention_cached holds: what splits leave for each other.
int64_t attention_cached_scratch(const AttentionPlan& plan, const HeadLayout& heads);
void attention_cached(Tensor out, Tensor q, const KeyPages& cache, const AttentionPlan& plan, Tensor device_plan,
                      const HeadLayout& heads, Tensor scratch, Stream stream, Tensor lse = {});

// --- training ------------------------------------------------------------------------------------------------------
// Equal bits to attention_cached on the same rows.
void attention_pack(Tensor out, Tensor lse, Tensor q, Tensor k, Tensor v, const AttentionPlan& plan, Tensor device_plan,
                    const HeadLayout& heads, Stream stream);
// delta (T, H) f32: room for each row's dout . out
void attention_pack_backward(Tensor dq, Tensor dk, Tensor dv, Tensor dout, Tensor out, Tensor lse, Tensor q, Tensor k,
                             Tensor v, const AttentionPlan& plan, Tensor device_plan, const HeadLayout& heads, Tensor delta,
                             Stream stream);

}  // namespace cohort::cuda
