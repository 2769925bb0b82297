#include "trainer/gradient_sum.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "core/check.h"
#include "model/gpu_stream.h"
#include "model/ops/update.h"
#include "trainer/device_reduction.h"

namespace cohort {
namespace {

bool covers(TreeNode node, LogicalRange range) {
  return first_leaf(node) >= range.first && last_leaf(node) < range.last;
}

}  // namespace

GradientSum::GradientSum(int64_t size, int logical_ranks, Comm& comm, int64_t exchange, Device device, DeviceComm* gpus,
                         Numerics numerics)
    : size_(size),
      exchange_(exchange),
      logical_ranks_(logical_ranks),
      comm_(comm),
      device_(device),
      range_(logical_range(logical_ranks, comm.rank(), comm.size())),
      begun_(static_cast<size_t>(logical_ranks)),
      gpus_(gpus) {
  CHECK(std::has_single_bit(static_cast<unsigned>(logical_ranks)) && size % logical_ranks == 0,
        "{} gradients over {} logical ranks", size, logical_ranks);
  CHECK(exchange >= 1, "exchanges of {} gradients", exchange);
  if (device == Device::cpu || comm.size() == 1) return;
  CHECK(gpus != nullptr, "gradients on the GPUs of {} ranks, which are not connected", comm.size());
  reduction_ = std::make_unique<DeviceReduction>(size, logical_ranks, *gpus, numerics, exchange);
}

GradientSum::~GradientSum() = default;

size_t GradientSum::bytes() const {
  const size_t buffers = nodes_.size() + free_.size() + (open_data_ ? 1 : 0);
  return buffers * static_cast<size_t>(size_) * sizeof(float) +
         (owned_.size() + received_.size()) * sizeof(float) + (reduction_ ? reduction_->bytes() : 0);
}

GradientSum::Buffer GradientSum::new_buffer(Device device) const {
  auto buffer = std::make_unique<Arena>("gradients");
  buffer->plan("sum", DType::f32, {size_});
  buffer->commit(Arena::Pages::all_now, device);
  return buffer;
}

Tensor GradientSum::begin(std::span<const int> leaves, const Exec& ex) {
  CHECK(open_.level < 0 && !leaves.empty() && std::ranges::is_sorted(leaves) && leaves.front() >= range_.first &&
            leaves.back() < range_.last,
        "gradients of {} leaves of [{}, {}), or others are open", leaves.size(), range_.first, range_.last);
  CHECK(leaf_goes_on_ ? leaves.front() == last_begun_ && leaves.back() == last_begun_ : leaves.front() > last_begun_,
        "leaf {} comes after leaf {}", leaves.front(), last_begun_);
  settle(leaves.front(), ex);
  for (int leaf : leaves) begun_[leaf] = true;
  open_ = common_ancestor({0, leaves.front()}, {0, leaves.back()});
  last_begun_ = leaves.back();
  next_buffer();
  open_data_ = std::move(free_.back());
  free_.pop_back();
  return (*open_data_)[0];
}

Tensor GradientSum::next_buffer() {
  if (free_.empty()) free_.push_back(new_buffer(device_));
  return (*free_.back())[0];
}

void GradientSum::end(const Exec& ex, bool leaf_goes_on) {
  CHECK(open_.level >= 0, "end without begin");
  CHECK(!leaf_goes_on || open_.level == 0, "a sum of several leaves goes on");
  nodes_.push_back({open_, std::move(open_data_)});
  open_.level = -1;
  leaf_goes_on_ = leaf_goes_on;
  settle(last_begun_ + (leaf_goes_on ? 0 : 1), ex);
}

// Merges the packs of a leaf, and neighbours whose common subtree ends before leaf `upto` and lies in this rank's range:
// nothing can join it any more.
void GradientSum::settle(int upto, const Exec& ex) {
  const LogicalRange complete{range_.first, std::min(upto, range_.last)};
  while (nodes_.size() >= 2) {
    Node &left = nodes_[nodes_.size() - 2], &right = nodes_.back();
    const TreeNode parent = common_ancestor(left.at, right.at);
    if (!(left.at == right.at) && !covers(parent, complete)) return;
    add_into({data(left.data), static_cast<size_t>(size_)}, {data(right.data), static_cast<size_t>(size_)}, ex);
    left.at = parent;
    free_.push_back(std::move(right.data));
    nodes_.pop_back();
  }
}

std::span<const float> GradientSum::finish(const std::vector<bool>& leaf_used, const Exec& ex) {
  CHECK(static_cast<int>(leaf_used.size()) == logical_ranks_ && open_.level < 0 && !leaf_goes_on_,
        "finish with a sum open");
  for (int leaf = range_.first; leaf < range_.last; ++leaf) {
    CHECK(leaf_used[leaf] == begun_[leaf],
          "logical rank {} is said to have {} packs, but was {}begun", leaf,
          leaf_used[leaf] ? "some" : "no", begun_[leaf] ? "" : "not ");
  }
  begun_.assign(begun_.size(), false);
  last_begun_ = -1;
  settle(range_.last, ex);
  const int ranks = comm_.size();
  if (ranks == 1) {
    CHECK(nodes_.size() == 1, "one rank holds {} sums at the end", nodes_.size());
    free_.push_back(std::move(nodes_.back().data));  // stays readable until it is handed out again
    nodes_.clear();
    return {data(free_.back()), static_cast<size_t>(size_)};
  }
  return reduction_ ? exchange_between_gpus(leaf_used, ex) : exchange(leaf_used, ex);
}

// The same sums in the same order, on the GPUs.
std::span<const float> GradientSum::exchange_between_gpus(const std::vector<bool>& leaf_used, const Exec& ex) {
  std::vector<float*> sums;
  for (const Node& node : nodes_) sums.push_back(data(node.data));
  CUstream_st* stream = gpu::stream(*ex.gpu);
  reduction_->begin(leaf_used, sums);
  reduction_->reduce({0, size_}, stream);
  const float* total = reduction_->finish(stream);
  gpus_->wait("gradients");  // with a deadline, which waiting for the stream has not
  for (Node& node : nodes_) free_.push_back(std::move(node.data));
  nodes_.clear();
  return {total, static_cast<size_t>(owned_end() - owned_begin())};
}

// What `finish` gives on several ranks.
std::span<const float> GradientSum::exchange(const std::vector<bool>& leaf_used, const Exec& ex) {
  const int ranks = comm_.size();
  // Every rank knows which sums every other rank holds: the used nodes of its cover, in order.
  std::vector<std::vector<TreeNode>> held(ranks);
  std::vector<int64_t> begins(ranks + 1, size_);
  size_t rounds = 0;
  for (int r = 0; r < ranks; ++r) {
    begins[r] = logical_range(logical_ranks_, r, ranks).first * (size_ / logical_ranks_);
    held[r] = held_nodes(leaf_used, r, ranks);
    rounds = std::max(rounds, held[r].size());
  }
  const int me = comm_.rank();
  CHECK(held[me].size() == nodes_.size(), "rank holds {} sums, expected {}", nodes_.size(),
        held[me].size());

  const auto owned = static_cast<size_t>(begins[me + 1] - begins[me]);
  int64_t largest = 0;
  for (int r = 0; r < ranks; ++r) largest = std::max(largest, begins[r + 1] - begins[r]);
  size_t others = 0;  // sums of this rank's span that come from others
  for (int r = 0; r < ranks; ++r)
    if (r != me) others += held[r].size();
  received_.resize(others * static_cast<size_t>(std::min({exchange_, largest, static_cast<int64_t>(owned)})));

  std::vector<std::span<const std::byte>> send(ranks);
  std::vector<std::span<std::byte>> receive(ranks);
  struct Part {
    TreeNode at;
    float* data;
    bool mine;  // in a buffer of this rank
  };
  std::vector<Part> parts, sum;
  for (int64_t offset = 0; offset < largest; offset += exchange_) {
    const auto piece = [&](int r) {
      return std::clamp<int64_t>(begins[r + 1] - begins[r] - offset, 0, exchange_);
    };
    const size_t mine = static_cast<size_t>(piece(me));
    parts.clear();
    float* next = received_.data();
    for (size_t round = 0; round < rounds; ++round) {
      for (int r = 0; r < ranks; ++r) {
        send[r] = {};
        receive[r] = {};
        if (r == me) {
          if (round < nodes_.size()) parts.push_back({held[me][round], data(nodes_[round].data) + begins[me] + offset, true});
          continue;
        }
        if (round < nodes_.size() && piece(r) > 0)
          send[r] = std::as_bytes(std::span(data(nodes_[round].data) + begins[r] + offset,
                                            static_cast<size_t>(piece(r))));
        if (round < held[r].size()) {
          receive[r] = std::as_writable_bytes(std::span(next, mine));
          parts.push_back({held[r][round], next, false});
          next += mine;
        }
      }
      comm_.all_to_all(send, receive, "gradients");
    }
    if (mine == 0) continue;
    // The same rule as in settle, now over the whole tree. A sum takes the place of either part, as a + b is b + a: of this
    // rank's own, so that the total ends in its first buffer without a copy.
    std::ranges::sort(parts, {}, [](const Part& part) { return first_leaf(part.at); });
    sum.clear();
    for (size_t i = 0; i < parts.size(); ++i) {
      sum.push_back(parts[i]);
      const int upto = i + 1 < parts.size() ? first_leaf(parts[i + 1].at) : logical_ranks_;
      while (sum.size() >= 2) {
        Part &left = sum[sum.size() - 2], &right = sum.back();
        const TreeNode parent = common_ancestor(left.at, right.at);
        if (!covers(parent, {0, upto})) break;
        if (right.mine && !left.mine) std::swap(left.data, right.data), left.mine = true;
        add_into({left.data, mine}, {right.data, mine}, ex);
        left.at = parent;
        sum.pop_back();
      }
    }
    CHECK(sum.size() == 1, "{} sums left at the end", sum.size());
    if (!nodes_.empty()) continue;  // it lies in nodes_[0]
    owned_.resize(owned);
    std::memcpy(owned_.data() + offset, sum.back().data, mine * sizeof(float));
  }
  const std::span<const float> total = nodes_.empty() ? std::span<const float>(owned_) : std::span<const float>(data(nodes_[0].data) + begins[me], owned);
  for (Node& node : nodes_) free_.push_back(std::move(node.data));
  nodes_.clear();
  return total;  // stays readable until its buffer is handed out again
}

}  // namespace cohort
