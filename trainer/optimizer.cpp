#include "trainer/optimizer.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/check.h"
#include "core/clock.h"
#include "core/trace.h"
#include "model/ops/elementwise.h"
#include "model/ops/update.h"

namespace cohort {

Optimizer::Optimizer(Policy& policy, const OptimSection& config, int logical_ranks, Comm& comm)
    : policy_(policy), config_(config), logical_ranks_(logical_ranks), comm_(comm),
      gradients_(policy.table.size, logical_ranks, comm) {
  const int64_t begin = gradients_.owned_begin(), count = gradients_.owned_end() - begin;
  master_.resize(static_cast<size_t>(count));
  m_.resize(master_.size());
  v_.resize(master_.size());
  for (int64_t i = 0; i < count; ++i) {
    master_[i] = policy.dtype == DType::f32 ? policy.weights.f32()[begin + i] : to_float(policy.weights.b16()[begin + i]);
  }
}

Optimizer::Shard Optimizer::shard(int shard) {
  const LogicalRange range = gradients_.range();
  CHECK(shard >= range.first && shard < range.last, "shard {} is not among [{}, {})", shard, range.first, range.last);
  const size_t size = static_cast<size_t>(policy_.table.size / logical_ranks_);
  const size_t at = static_cast<size_t>(shard - range.first) * size;
  return {{master_.data() + at, size}, {m_.data() + at, size}, {v_.data() + at, size}};
}

double Optimizer::step(double learning_rate, const std::vector<bool>& leaf_used, const Exec& ex) {
  const Span span(ex.trace, "optimizer");
  Clock::time_point start = Clock::now();
  const std::span<const float> gradient = [&] {
    const Span comm(ex.trace, "comm");
    return gradients_.finish(leaf_used, ex);
  }();
  comm_seconds_ = seconds_since(start);

  // The norm: per shard in fixed chunks, then over shards in order. Shards do not depend on the world.
  const size_t shard_size = static_cast<size_t>(policy_.table.size / logical_ranks_);
  const LogicalRange range = gradients_.range();
  std::vector<double> mine;
  for (int shard = range.first; shard < range.last; ++shard)
    mine.push_back(sum_of_squares(gradient.subspan(static_cast<size_t>(shard - range.first) * shard_size, shard_size), ex));
  double squares = 0;
  for (const std::vector<std::byte>& bytes : comm_.all_gather(std::as_bytes(std::span(mine)), "gradient norm")) {
    for (size_t at = 0; at < bytes.size(); at += sizeof(double)) {
      double value;
      std::memcpy(&value, bytes.data() + at, sizeof value);
      squares += value;
    }
  }
  const double norm = std::sqrt(squares);
  if (!std::isfinite(norm)) {
    fail(ExitCode::kNonFinite, "the gradient norm is {} at optimizer step {}; the weights are unchanged. Lower "
         "optim.learning_rate, or look at this step's completions", norm, steps_done_ + 1);
  }

  AdamWStep update{.learning_rate = static_cast<float>(learning_rate), .beta1 = config_.adam_beta1,
                   .beta2 = config_.adam_beta2, .eps = config_.adam_epsilon, .step = ++steps_done_};
  if (config_.max_grad_norm > 0)
    update.gradient_scale = static_cast<float>(std::min(1.0, config_.max_grad_norm / (norm + 1e-6)));
  const int64_t begin = gradients_.owned_begin(), end = gradients_.owned_end();
  for (const ParamEntry& entry : policy_.table.entries) {
    const int64_t from = std::max(begin, entry.offset), to = std::min(end, entry.offset + entry.size());
    if (from >= to) continue;
    update.weight_decay = entry.decay() ? config_.weight_decay : 0.0f;
    const size_t at = static_cast<size_t>(from - begin), count = static_cast<size_t>(to - from);
    adamw({master_.data() + at, count}, {m_.data() + at, count}, {v_.data() + at, count}, gradient.subspan(at, count),
          policy_.weight(from, 1, to - from), update, ex);
  }
  ++policy_.version;

  start = Clock::now();
  share_weights(ex);
  comm_seconds_ += seconds_since(start);
  repack(policy_, ex);
  return norm;
}

// Each rank's span of a flat table of `element_bytes` numbers, to every rank.
void Optimizer::share(std::span<std::byte> table, size_t element_bytes, const char* what) {
  if (comm_.size() == 1) return;
  std::vector<int64_t> offsets;
  const int64_t shard_bytes = policy_.table.size / logical_ranks_ * static_cast<int64_t>(element_bytes);
  for (int r = 0; r < comm_.size(); ++r)
    offsets.push_back(logical_range(logical_ranks_, r, comm_.size()).first * shard_bytes);
  offsets.push_back(logical_ranks_ * shard_bytes);
  comm_.all_gather_spans(table, offsets, what);
}

void Optimizer::share_weights(const Exec& ex) {
  const Span span(ex.trace, "comm");
  share({static_cast<std::byte*>(policy_.weights.data), policy_.weights.bytes()}, dtype_size(policy_.dtype), "weights");
}

void Optimizer::set_masters(const std::function<void(int64_t, std::span<float>)>& read) {
  read(gradients_.owned_begin(), master_);
}

std::vector<float> Optimizer::gather_masters() {
  std::vector<float> all(static_cast<size_t>(policy_.table.size));
  std::ranges::copy(master_, all.begin() + gradients_.owned_begin());
  share(std::as_writable_bytes(std::span(all)), sizeof(float), "master weights");
  return all;
}

void Optimizer::restore(int64_t steps_done, const Exec& ex) {
  steps_done_ = steps_done;
  const int64_t begin = gradients_.owned_begin(), count = gradients_.owned_end() - begin;
  cast(policy_.weight(begin, 1, count), {master_.data(), DType::f32, {1, count}}, ex);
  ++policy_.version;
  share_weights(ex);
  repack(policy_, ex);
}

}  // namespace cohort
