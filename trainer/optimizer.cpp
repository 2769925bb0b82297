#include "trainer/optimizer.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "comm/device_comm.h"
#include "core/check.h"
#include "core/clock.h"
#include "core/trace.h"
#include "model/device.h"
#include "model/gpu_stream.h"
#include "model/lora.h"
#include "trainer/gather_weights.h"
#include "trainer/non_finite.h"

namespace cohort {

Optimizer::Optimizer(Policy& policy, const OptimSection& config, int logical_ranks, Comm& comm, DeviceComm* gpus,
                     Numerics numerics, int64_t shared_weights)
    : policy_(policy), trained_(policy.lora ? policy.lora->params : policy), config_(config), logical_ranks_(logical_ranks), shared_weights_(shared_weights),
      comm_(comm), gpus_(gpus),
      gradients_(trained_.table.size, logical_ranks, comm, kExchangedGradients, trained_.device, gpus, numerics) {
  // All of it 0: with no lower half and nothing rounded up, masters are the weights.
  const int64_t count = gradients_.owned_end() - gradients_.owned_begin();
  constexpr DType kHalves = DType::bf16;  // of that size
  const size_t low = arena_.plan("lower halves", kHalves, {trained_.dtype == DType::bf16 ? count : 0}),
               m = arena_.plan("m", DType::f32, {count}), v = arena_.plan("v", DType::f32, {count});
  arena_.commit(Arena::Pages::all_now, trained_.device);
  low_ = arena_[low], m_ = arena_[m], v_ = arena_[v];
}

// Of elements [begin, begin + count) of the table, all of them owned.
AdamWState Optimizer::state(int64_t begin, int64_t count) const {
  const size_t at = static_cast<size_t>(begin - gradients_.owned_begin()), n = static_cast<size_t>(count);
  AdamWState state{{}, {m_.f32() + at, n}, {v_.f32() + at, n}};
  if (trained_.dtype == DType::bf16) state.low = {static_cast<uint16_t*>(low_.data) + at, n};
  return state;
}

struct Optimizer::HostState {
  AdamWState state, on_gpu;      // on_gpu: where a copy is from
  std::vector<uint16_t> low;     // the copy
  std::vector<float> m, v;
};

namespace {

template <typename T>
void copy_span(std::span<T> to, Device to_device, std::span<T> from, Device from_device) {
  const DType dtype = sizeof(T) == 2 ? DType::bf16 : DType::f32;
  const auto count = static_cast<int64_t>(from.size());
  copy({to.data(), dtype, {count}, to_device}, {from.data(), dtype, {count}, from_device});
}

}  // namespace

Optimizer::HostState Optimizer::host_state(int64_t begin, int64_t count) const {
  HostState host{.state = state(begin, count)};
  if (!on_gpu()) return host;
  host.on_gpu = host.state;
  host.low.resize(host.on_gpu.low.size()), host.m.resize(host.on_gpu.m.size()), host.v.resize(host.on_gpu.v.size());
  host.state = {host.low, host.m, host.v};
  copy_span(host.state.low, Device::cpu, host.on_gpu.low, Device::cuda);
  copy_span(host.state.m, Device::cpu, host.on_gpu.m, Device::cuda);
  copy_span(host.state.v, Device::cpu, host.on_gpu.v, Device::cuda);
  return host;
}

void Optimizer::put(const HostState& from) const {
  if (!on_gpu()) return;
  copy_span(from.on_gpu.low, Device::cuda, from.state.low, Device::cpu);
  copy_span(from.on_gpu.m, Device::cuda, from.state.m, Device::cpu);
  copy_span(from.on_gpu.v, Device::cuda, from.state.v, Device::cpu);
}

Optimizer::Sum Optimizer::sum(const std::vector<bool>& leaf_used, const Exec& ex) {
  finish_computing(ex);
  const Clock::time_point start = Clock::now();
  const std::span<const float> gradient = [&] {
    const Span comm(ex.trace, "comm");
    return gradients_.finish(leaf_used, ex);
  }();
  comm_seconds_ = seconds_since(start);

  // The norm: per shard in fixed chunks, then over shards in order. Shards do not depend on the world.
  const auto size = static_cast<size_t>(shard_size());
  const LogicalRange range = gradients_.range();
  std::vector<double> mine;
  for (int shard = range.first; shard < range.last; ++shard)
    mine.push_back(sum_of_squares(gradient.subspan(static_cast<size_t>(shard - range.first) * size, size), ex));
  double squares = 0;
  std::vector<int> bad;
  int shard = 0;
  for (const std::vector<std::byte>& bytes : comm_.all_gather(std::as_bytes(std::span(mine)), "gradient norm")) {
    for (size_t at = 0; at < bytes.size(); at += sizeof(double), ++shard) {
      double value;
      std::memcpy(&value, bytes.data() + at, sizeof value);
      squares += value;
      if (!std::isfinite(value)) bad.push_back(shard);
    }
  }
  const double norm = std::sqrt(squares);
  if (!std::isfinite(norm))
    throw NonFiniteGradient(fmt::format("the gradient norm is {} at optimizer step {}; the weights are unchanged. Look at this step's completions, or {}",
                                        norm, steps_done_ + 1, kGoOnSlower), bad);
  return {gradient, norm};
}

void Optimizer::check_sum(const std::vector<bool>& leaf_used, const Exec& ex) { sum(leaf_used, ex); }

double Optimizer::step(double learning_rate, const std::vector<bool>& leaf_used, const Exec& ex) {
  const Span span(ex.trace, "optimizer");
  const auto [gradient, norm] = sum(leaf_used, ex);
  if (before_change_) before_change_(ex);
  AdamWStep update{.learning_rate = static_cast<float>(learning_rate), .beta1 = config_.adam_beta1,
                   .beta2 = config_.adam_beta2, .eps = config_.adam_epsilon, .step = ++steps_done_};
  if (config_.max_grad_norm > 0)
    update.gradient_scale = static_cast<float>(std::min(1.0, config_.max_grad_norm / (norm + 1e-6)));
  const int64_t begin = gradients_.owned_begin(), end = gradients_.owned_end();
  for (const WeightPiece& piece : trained_.pieces) {
    const int64_t from = std::max(begin, piece.begin), to = std::min(end, piece.end);
    if (from >= to) continue;
    update.weight_decay = piece.decay ? config_.weight_decay : 0.0f;
    const std::span<const float> part = gradient.subspan(static_cast<size_t>(from - begin), static_cast<size_t>(to - from));
    if (piece.packed) {
      adamw(*piece.packed, from - piece.begin, state(from, to - from), part, update, ex);
    } else {
      adamw(trained_.weight(from, 1, to - from), state(from, to - from), part, update, ex);
    }
  }
  ++policy_.version;

  finish_computing(ex);
  const Clock::time_point start = Clock::now();
  share_weights(ex);
  comm_seconds_ += seconds_since(start);
  apply(ex);
  return norm;
}

int64_t Optimizer::first_owned(int rank) const {
  return rank == comm_.size() ? trained_.table.size : logical_range(logical_ranks_, rank, comm_.size()).first * shard_size();
}

// What several ranks wait for in an exchange is then the exchange: comm_seconds_ holds no backward pass of the GPU's.
void Optimizer::finish_computing(const Exec& ex) const {
  if (on_gpu() && comm_.size() > 1) gpu::synchronize(*ex.gpu);
}

// On GPUs all weights are flat: each span goes to its place.
void Optimizer::share_between_gpus(const Exec& ex) {
  const auto element = static_cast<int64_t>(dtype_size(trained_.dtype));
  std::vector<int64_t> offsets;
  for (int r = 0; r <= comm_.size(); ++r) offsets.push_back(first_owned(r) * element);
  gpus_->start_after(gpu::stream(*ex.gpu));
  gpus_->all_gather_spans(trained_.weights.data, offsets, "weights");
  gpus_->wait("weights");
}

// Every rank's span of the weights, to every rank.
void Optimizer::share_weights(const Exec& ex) {
  if (comm_.size() == 1) return;
  const Span span(ex.trace, "comm");
  if (on_gpu()) return share_between_gpus(ex);
  std::vector<ParamSpan> owned;
  for (int r = 0; r < comm_.size(); ++r) owned.push_back({first_owned(r), first_owned(r + 1)});
  gather_weights(trained_, owned, comm_, std::max<int64_t>(1, shared_weights_ / comm_.size()), ex);
}

// What the policy computes with follows what is trained.
void Optimizer::apply(const Exec& ex) {
  if (!policy_.lora) return;
  const Span span(ex.trace, "merge adapter");
  merge_lora(policy_, ex);
}

// Elements [begin, begin + out.size()) of the table, all of them owned.
void Optimizer::read_masters(int64_t begin, std::span<float> out) const {
  const auto count = static_cast<int64_t>(out.size());
  std::vector<std::byte> space(out.size() * dtype_size(trained_.dtype));
  const Tensor weights(space.data(), trained_.dtype, {count});
  copy_weights(trained_, begin, weights);
  join_masters(out, weights, host_state(begin, count).state);
}

void Optimizer::write_masters(int64_t begin, std::span<const float> in, const Exec& ex) {
  const auto count = static_cast<int64_t>(in.size());
  std::vector<std::byte> space(in.size() * dtype_size(trained_.dtype));
  const Tensor weights(space.data(), trained_.dtype, {count});
  const HostState host = host_state(begin, count);
  split_masters(weights, host.state, in);
  put(host);
  set_weights(trained_, begin, weights, ex);
}

void Optimizer::set_masters(const std::function<void(int64_t, std::span<float>)>& read, const Exec& ex) {
  constexpr int64_t kSome = int64_t{1} << 22;
  std::vector<float> masters;
  for (int64_t at = gradients_.owned_begin(); at < gradients_.owned_end(); at += kSome) {
    masters.resize(static_cast<size_t>(std::min(kSome, gradients_.owned_end() - at)));
    read(at, masters);
    write_masters(at, masters, ex);
  }
  share_weights(ex);  // the masters may be other numbers than those that the weights were rounded from
  apply(ex);
}

std::vector<float> Optimizer::gather_masters() {
  std::vector<float> all(static_cast<size_t>(trained_.table.size));
  const int64_t begin = gradients_.owned_begin();
  read_masters(begin, std::span(all).subspan(static_cast<size_t>(begin), static_cast<size_t>(m_.size())));
  if (comm_.size() == 1) return all;
  std::vector<int64_t> offsets;
  for (int r = 0; r <= comm_.size(); ++r) offsets.push_back(first_owned(r) * static_cast<int64_t>(sizeof(float)));
  comm_.all_gather_spans(std::as_writable_bytes(std::span(all)), offsets, "master weights");
  return all;
}

namespace {

void check_shard(int shard, LogicalRange range, int64_t begin, size_t count, int64_t size) {
  CHECK(shard >= range.first && shard < range.last, "shard {} is not among [{}, {})", shard, range.first, range.last);
  CHECK(begin >= 0 && begin + static_cast<int64_t>(count) <= size, "elements [{}, {} + {}) of a shard of {}", begin, begin,
        count, size);
}

}  // namespace

void Optimizer::read_state(int shard, Part part, int64_t begin, std::span<float> out) const {
  check_shard(shard, owned_shards(), begin, out.size(), shard_size());
  const int64_t at = shard * shard_size() + begin;
  if (part == Part::master) return read_masters(at, out);
  const HostState from = host_state(at, static_cast<int64_t>(out.size()));
  std::ranges::transform(part == Part::m ? from.state.m : from.state.v, out.begin(),
                         [&](float x) { return part == Part::v ? std::abs(x) : x; });
}

void Optimizer::write_state(int shard, Part part, int64_t begin, std::span<const float> in, const Exec& ex) {
  check_shard(shard, owned_shards(), begin, in.size(), shard_size());
  const int64_t at = shard * shard_size() + begin;
  if (part == Part::master) return write_masters(at, in, ex);
  const HostState host = host_state(at, static_cast<int64_t>(in.size()));
  const AdamWState& to = host.state;
  for (size_t i = 0; i < in.size(); ++i) {
    if (part == Part::m) {
      to.m[i] = in[i];
    } else {
      to.v[i] = std::copysign(in[i], to.v[i]);  // the sign is the master's
    }
  }
  put(host);
}

void Optimizer::restore(int64_t steps_done, const Exec& ex) {
  steps_done_ = steps_done;
  ++policy_.version;
  share_weights(ex);
  apply(ex);
}

}  // namespace cohort
