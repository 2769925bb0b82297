// What ranks send each other in an optimizer step: from the pattern of the ordered reduction alone.
#pragma once

#include <cstdint>

#include "model/tensor.h"

namespace cohort {

// Bytes of one rank to and from all others, without the records of a few bytes that each collective begins with (comm/).
struct RankTraffic {
  int64_t gradients_sent = 0, gradients_received = 0;  // float32 sums of subtrees (GradientSum::finish)
  int64_t weights_sent = 0, weights_received = 0;      // the updated spans, in their own dtype (Optimizer)
  int64_t sent() const { return gradients_sent + weights_sent; }
  int64_t received() const { return gradients_received + weights_received; }
};

// table_size: elements of the flat gradient (ParamTable::size). Every logical rank has a pack: what a step at most sends.
RankTraffic rank_traffic(int64_t table_size, DType weights, int logical_ranks, int rank, int ranks);
// Of the rank that sends and receives most.
RankTraffic largest_traffic(int64_t table_size, DType weights, int logical_ranks, int ranks);

// Collectives of an optimizer step whose matrices are whole panels (48 rows; for others it is up to one more for each matrix), each of which every rank begins with a record to every other one.
int64_t collectives_of_step(int64_t table_size, int logical_ranks, int ranks);

}  // namespace cohort
