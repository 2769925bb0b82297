#include "trainer/device_reduction.h"

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "model/gpu_stream.h"

namespace cohort {
namespace {

constexpr auto kBytes = static_cast<int64_t>(sizeof(float));
int64_t length(ParamSpan span) { return span.end - span.begin; }

}  // namespace

DeviceReduction::DeviceReduction(int64_t size, int logical_ranks, DeviceComm& comm, Numerics numerics, int64_t exchange)
    : size_(size), exchange_(exchange), logical_ranks_(logical_ranks), comm_(comm), numerics_(numerics) {
  CHECK(logical_ranks > 0 && size % logical_ranks == 0, "{} gradients over {} logical ranks", size, logical_ranks);
  CHECK(exchange >= 1, "exchanges of {} gradients", exchange);
  owned_ = part_of(comm.rank(), {0, size});
}

// Of rank `rank`'s span; of rank size(): the end of the last one's.
int64_t DeviceReduction::begin_of(int rank) const {
  if (rank == comm_.size()) return size_;
  return logical_range(logical_ranks_, rank, comm_.size()).first * (size_ / logical_ranks_);
}

ParamSpan DeviceReduction::part_of(int rank, ParamSpan piece) const {
  const int64_t begin = begin_of(rank), end = begin_of(rank + 1);
  return {std::clamp(piece.begin, begin, end), std::clamp(piece.end, begin, end)};
}

void DeviceReduction::begin(const std::vector<bool>& leaf_used, std::span<float* const> sums) {
  CHECK(static_cast<int>(leaf_used.size()) == logical_ranks_ && std::ranges::any_of(leaf_used, [](bool used) { return used; }),
        "{} leaves, some of them used, expected; there are {}", logical_ranks_, leaf_used.size());
  held_.clear();
  size_t others = 0;
  for (int r = 0; r < comm_.size(); ++r) {
    held_.push_back(held_nodes(leaf_used, r, comm_.size()));
    if (r != comm_.rank()) others += held_.back().size();
  }
  const size_t mine = held_[static_cast<size_t>(comm_.rank())].size();
  CHECK(sums.size() == mine, "rank {} has {} sums, expected {}", comm_.rank(), sums.size(), mine);
  sums_.assign(sums.begin(), sums.end());
  reduced_.clear();
  // Of the library's reduction a rank without a sum adds zeros, of as many elements as go at once.
  const int64_t wanted = numerics_ == Numerics::strict ? static_cast<int64_t>(others) * std::min(exchange_, length(owned_))
                         : sums.empty()          ? std::min(exchange_, size_)
                                                 : 0;
  if (wanted > received_count_) {
    received_.reset();
    received_ = comm_.allocate(static_cast<size_t>(wanted) * sizeof(float), "gradients of other ranks");
    received_count_ = wanted;
  }
  if (sums_.empty() && total_memory_ == nullptr)
    total_memory_ = comm_.allocate(static_cast<size_t>(length(owned_)) * sizeof(float), "the gradient of this rank's span");
  total_ = sums_.empty() ? static_cast<float*>(total_memory_.get()) : sums_[0] + owned_.begin;
}

void DeviceReduction::reduce(ParamSpan bucket, DeviceStream computed) {
  CHECK(!held_.empty() && bucket.begin >= 0 && bucket.begin <= bucket.end && bucket.end <= size_,
        "elements [{}, {}) of {}, or no step has begun", bucket.begin, bucket.end, size_);
  reduced_.push_back(bucket);
  comm_.start_after(computed);
  if (numerics_ == Numerics::fast) return reduce_by_library(bucket);
  int64_t longest = 0;
  for (int r = 0; r < comm_.size(); ++r) longest = std::max(longest, length(part_of(r, bucket)));
  for (int64_t at = 0; at < longest; at += exchange_) reduce_in_order(bucket, at);
}

// Of each rank's part of the bucket, the elements from `at` on, so many as go at once.
void DeviceReduction::reduce_in_order(ParamSpan bucket, int64_t at) {
  const auto piece_of = [&](int r) {
    const ParamSpan part = part_of(r, bucket);
    return ParamSpan{std::min(part.begin + at, part.end), std::min(part.begin + at + exchange_, part.end)};
  };
  const int me = comm_.rank();
  const ParamSpan mine = piece_of(me);
  std::vector<DeviceComm::Part> send, receive;
  std::vector<Term> terms;  // ranks ascend, and with them the nodes
  auto* next = static_cast<float*>(received_.get());
  for (int r = 0; r < comm_.size(); ++r) {
    if (r == me) {
      for (size_t i = 0; i < sums_.size(); ++i) terms.push_back({held_[r][i], sums_[i] + mine.begin});
      continue;
    }
    const ParamSpan theirs = piece_of(r);
    for (float* sum : sums_) send.push_back({r, sum + theirs.begin, length(theirs) * kBytes});
    for (TreeNode node : held_[r]) {
      receive.push_back({r, next, length(mine) * kBytes});
      terms.push_back({node, next});
      next += length(mine);
    }
  }
  comm_.exchange(send, receive, "gradients");
  if (length(mine) > 0) add_up(terms, total_ + (mine.begin - owned_.begin), length(mine));
}

// In the tree's order; the terms may be overwritten.
void DeviceReduction::add_up(std::span<Term> terms, float* sum, int64_t count) {
  if (terms.size() == 1 && terms[0].data == sum) return;
  if (terms.size() > gpu::kOrderedTerms) {  // the two halves of the tree first
    const TreeNode root = common_ancestor(terms.front().node, terms.back().node);
    const int middle = (first_leaf(root) + last_leaf(root) + 1) / 2;
    const auto right = std::ranges::find_if(terms, [&](const Term& term) { return first_leaf(term.node) >= middle; });
    const std::span<Term> halves[] = {{terms.begin(), right}, {right, terms.end()}};
    for (const std::span<Term> half : halves) add_up(half, half[0].data, count);
    Term both[] = {halves[0][0], halves[1][0]};
    return add_up(both, sum, count);
  }
  std::vector<const float*> data;
  std::vector<TreeNode> nodes;
  for (const Term& term : terms) {
    data.push_back(term.data);
    nodes.push_back(term.node);
  }
  gpu::ordered_sum(sum, data, node_merges(nodes), count, comm_.stream());
}

void DeviceReduction::reduce_by_library(ParamSpan bucket) {
  const int me = comm_.rank();
  std::vector<Term> terms;
  for (size_t i = 0; i < sums_.size(); ++i) terms.push_back({held_[me][i], sums_[i] + bucket.begin});
  if (!terms.empty() && length(bucket) > 0) add_up(terms, terms[0].data, length(bucket));
  const bool all = std::ranges::none_of(held_, [](const auto& nodes) { return nodes.empty(); });
  const int64_t most = all ? std::max<int64_t>(1, length(bucket)) : exchange_;
  for (int64_t at = bucket.begin; at < bucket.end; at += most) {
    const ParamSpan piece{at, std::min(at + most, bucket.end)};
    float* data = sums_.empty() ? static_cast<float*>(received_.get()) : sums_[0] + at;
    std::vector<int64_t> offsets;
    for (int r = 0; r <= comm_.size(); ++r) offsets.push_back(std::clamp(begin_of(r), piece.begin, piece.end) - at);
    if (sums_.empty()) comm_.clear(data, length(piece) * kBytes);
    comm_.reduce_spans(data, offsets, "gradients");
    const ParamSpan mine = part_of(me, piece);
    if (length(mine) == 0) continue;
    Term result{{}, data + (mine.begin - at)};
    add_up({&result, 1}, total_ + (mine.begin - owned_.begin), length(mine));
  }
}

const float* DeviceReduction::finish(DeviceStream stream) {
  std::ranges::sort(reduced_, {}, [](ParamSpan bucket) { return std::pair(bucket.begin, bucket.end); });  // empty ones first
  int64_t covered = 0;
  for (ParamSpan bucket : reduced_) {
    CHECK(bucket.begin == covered, "the buckets of a step: one begins at {}, those before it end at {}", bucket.begin, covered);
    covered = bucket.end;
  }
  CHECK(covered == size_ && !held_.empty(), "the buckets of a step: {} of {} elements", covered, size_);
  held_.clear();
  comm_.finish_before(stream);
  return total_;
}

std::vector<ParamSpan> backward_buckets(const ParamTable& table, int64_t least) {
  std::vector<ParamSpan> spans{{table.layers.back().span.end, table.size}};
  for (size_t l = table.layers.size(); l-- > 0;) spans.push_back(table.layers[l].span);
  spans.push_back({0, table.layers.front().span.begin});
  std::vector<ParamSpan> buckets;
  for (ParamSpan span : spans) {
    CHECK(buckets.empty() || span.end == buckets.back().begin, "parameters [{}, {}) do not end where the next begin, at {}",
          span.begin, span.end, buckets.back().begin);
    if (!buckets.empty() && length(buckets.back()) < least) {
      buckets.back().begin = span.begin;
    } else {
      buckets.push_back(span);
    }
  }
  return buckets;
}

}  // namespace cohort
