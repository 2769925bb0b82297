#include "trainer/pack_runner.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <new>
#include <optional>

#include "core/check.h"
#include "model/device.h"
#include "trainer/compare_state.h"
#include "trainer/gradient_sum.h"

namespace cohort {
namespace {

int64_t round_rows(int64_t rows) { return (rows + kRowStep - 1) / kRowStep * kRowStep; }

// Packs of a pass: each keeps its own sums of the embedding rows that are touched.
constexpr size_t kPassPacks = 16;

int64_t rows_of(const TrainPack& pack) { return static_cast<int64_t>(pack.tokens.tokens.size()); }

bool any_taped(std::span<const PackPass> passes, std::span<const TrainPack> packs, const ActivationTape* tape) {
  return tape != nullptr && std::ranges::any_of(passes, [&](const PackPass& pass) {
    return std::ranges::any_of(packs.subspan(pass.first, pass.last - pass.first),
                               [](const TrainPack& pack) { return taped_rows(pack) > 0; });
  });
}

}  // namespace

std::vector<PackPass> plan_passes(std::span<const TrainPack> packs, LogicalRange range, int64_t max_rows) {
  std::vector<PackPass> passes;
  size_t next = 0;
  while (next < packs.size() && packs[next].logical_rank < range.first) ++next;
  // Packs from `next` on that lie in the subtree.
  const std::function<void(TreeNode)> plan = [&](TreeNode node) {
    const size_t first = next;
    int64_t rows = 0;
    size_t last = first;
    for (; last < packs.size() && packs[last].logical_rank < (node.index + 1) << node.level; ++last)
      rows += std::max(rows_of(packs[last]), static_cast<int64_t>(packs[last].tokens.targets.size()));
    if (first == last) return;
    next = last;
    if (last - first == 1 || (rows <= max_rows && last - first <= kPassPacks)) {
      passes.push_back({first, last, false});
    } else if (node.level == 0) {
      for (size_t p = first; p < last; ++p) passes.push_back({p, p + 1, p + 1 < last});
    } else {
      next = first;
      plan({node.level - 1, 2 * node.index});
      plan({node.level - 1, 2 * node.index + 1});
    }
  };
  for (TreeNode node : covering_nodes(range)) plan(node);
  return passes;
}

TrainState& PackRunner::state_for(std::span<const PackPass> passes, std::span<const TrainPack> packs,
                                  const ActivationTape* tape) {
  TrainLimits need{.tape = any_taped(passes, packs, tape)};
  for (const PackPass& pass : passes) {
    TrainLimits of_pass{};
    for (size_t p = pass.first; p < pass.last; ++p) {
      of_pass.tokens += rows_of(packs[p]);
      of_pass.targets += static_cast<int64_t>(packs[p].tokens.targets.size());
      of_pass.forward_tokens += rows_of(packs[p]) - (need.tape ? taped_rows(packs[p]) : 0);
    }
    need.tokens = std::max(need.tokens, of_pass.tokens), need.targets = std::max(need.targets, of_pass.targets);
    need.forward_tokens = std::max(need.forward_tokens, of_pass.forward_tokens);
  }
  if (!state_ || !state_->limits().holds(need)) {
    const TrainLimits old = state_ ? state_->limits() : TrainLimits{};
    // What has grown once will grow again: an eighth more than is needed, as new memory is slow at first touch.
    const auto grown = [](int64_t rows, int64_t before) {
      return rows <= before ? before : round_rows(before > 0 ? rows + rows / 8 : rows);
    };
    const int64_t tokens = grown(need.tokens, old.tokens);
    const TrainLimits more{.tokens = tokens,
                           .targets = grown(need.targets, old.targets),
                           .forward_tokens = std::min(tokens, grown(need.forward_tokens, old.forward_tokens)),
                           .tape = need.tape || old.tape};
    state_.reset();  // free the smaller one first
    state_ = std::make_unique<TrainState>(policy_, more, checkpointing_);
  }
  return *state_;
}

void PackRunner::run(const PackPass& pass, std::span<const TrainPack> packs, TrainState& state, const PassLoss& loss,
                     const ActivationTape* tape, const Exec& ex) {
  std::vector<int> leaves;
  for (size_t p = pass.first; p < pass.last; ++p) leaves.push_back(packs[p].logical_rank);
  const std::vector<int> merges = tree_merges(leaves);
  Joined joined;
  for (size_t p = pass.first; p < pass.last; ++p) {
    const TokenPack& tokens = packs[p].tokens;
    append_pack(joined.pack, tokens);
    joined.slots.insert(joined.slots.end(), packs[p].slots.begin(), packs[p].slots.end());
    joined.parts.push_back({rows_of(packs[p]), static_cast<int64_t>(tokens.targets.size()), merges[p - pass.first]});
    joined.ends.push_back(static_cast<int64_t>(joined.pack.targets.size()));
  }
  GradientSum& sum = optimizer_.gradients();
  loss(joined, pass.first, state, sum.begin(leaves, ex), any_taped({&pass, 1}, packs, tape) ? TapedRows{tape, joined.slots} : TapedRows{});
  sum.end(ex, pass.leaf_goes_on);
}

PackRunner::PassLoss PackRunner::loss_of(float temperature, const Gradient& gradient, const Exec& ex) {
  return [this, temperature, &gradient, &ex](const Joined& joined, size_t first, TrainState& state, Tensor flat, const TapedRows& taped) {
    size_t pack = 0;  // that the next target belongs to: they come in order
    const auto gradient_of = [&](int64_t target, float logprob, float entropy) {
      while (target >= joined.ends[pack]) ++pack;
      best_row_ = static_cast<size_t>(target);
      return gradient(first + pack, target - (pack > 0 ? joined.ends[pack - 1] : 0), logprob, entropy);
    };
    best_.resize(joined.pack.targets.size());
    pack_loss(policy_, state, joined.pack, temperature, gradient_of, flat, ex, joined.parts, taped, best_);
  };
}

void PackRunner::for_each(std::span<const TrainPack> packs, const std::function<void(size_t, TrainState&)>& body,
                          const ActivationTape* tape) {
  const std::vector<PackPass> passes = plan_passes(packs, optimizer_.owned_shards(), kPassRows);
  for (const PackPass& pass : passes) {
    TrainState& state = state_for(passes, packs, tape);
    for (size_t p = pass.first; p < pass.last; ++p) body(p, state);
  }
}

double PackRunner::step(std::span<const TrainPack> packs, float temperature, double learning_rate, const Gradient& gradient,
                        const std::function<void(size_t, TrainState&)>& prepare, const Exec& ex,
                        ActivationTape* tape) {
  return step(packs, learning_rate, loss_of(temperature, gradient, ex), prepare, ex, tape);
}

double PackRunner::step_scores(std::span<const TrainPack> packs, double learning_rate, const ScoreGradients& gradient, const Exec& ex) {
  const PassLoss loss = [&](const Joined& joined, size_t first, TrainState& state, Tensor flat, const TapedRows&) {
    const auto gradients = [&](std::span<const float> scores, std::span<float> dscores) {
      int64_t begin = 0;
      for (size_t pack = 0; pack < joined.ends.size(); begin = joined.ends[pack++]) {
        const auto count = static_cast<size_t>(joined.ends[pack] - begin);
        gradient(first + pack, scores.subspan(static_cast<size_t>(begin), count), dscores.subspan(static_cast<size_t>(begin), count));
      }
    };
    pack_score_loss(policy_, state, joined.pack, gradients, flat, ex, joined.parts);
  };
  return step(packs, learning_rate, loss, {}, ex, nullptr);
}

double PackRunner::step(std::span<const TrainPack> packs, double learning_rate, const PassLoss& loss,
                        const std::function<void(size_t, TrainState&)>& prepare, const Exec& ex, ActivationTape* tape) {
  CHECK(!packs.empty(), "an optimizer step without packs");
  std::vector<bool> leaf_used(static_cast<size_t>(optimizer_.logical_ranks()));
  for (const TrainPack& pack : packs) leaf_used[static_cast<size_t>(pack.logical_rank)] = true;
  const std::vector<PackPass> passes = plan_passes(packs, optimizer_.owned_shards(), kPassRows);
  const auto all_taped = [&](const PackPass& pass) {
    return std::ranges::all_of(packs.subspan(pass.first, pass.last - pass.first),
                               [](const TrainPack& pack) { return taped_rows(pack) == rows_of(pack); });
  };
  if (tape != nullptr && (passes.size() != 1 || !all_taped(passes.front()))) tape->leave_gradient();
  for (const PackPass& pass : passes) {
    TrainState& state = state_for(passes, packs, tape);
    for (size_t p = pass.first; prepare && p < pass.last; ++p) prepare(p, state);
    run(pass, packs, state, loss, tape, ex);
  }
  std::optional<NonFiniteGradient> found;
  try {
    return optimizer_.step(learning_rate, leaf_used, ex);
  } catch (const NonFiniteGradient& error) {
    found = error;
  }
  if (on_non_finite_) on_non_finite_(found->what());
  try {
    find_non_finite_gradient(packs, loss, prepare, ex);
  } catch (const std::bad_alloc&) {  // it needs more memory than a step with a tape
    throw *found;
  } catch (const Error& error) {
    if (error.code() == ExitCode::kResources) throw *found;
    throw;
  }
  blame_exchange(leaf_used, *found, ex);
}

std::string PackRunner::names_of(const PackPass& pass, std::span<const TrainPack> packs) const {
  std::vector<std::string> names;
  for (size_t p = pass.first; p < pass.last; ++p) {
    const std::string name = name_ && !packs[p].refs.empty() ? name_(packs[p]) : fmt::format("pack {}", p);
    if (names.empty() || names.back() != name) names.push_back(name);
  }
  constexpr size_t kNamed = 4;
  const size_t more = names.size() > kNamed ? names.size() - kNamed : 0;
  names.resize(names.size() - more);
  return fmt::format("{}{}", fmt::join(names, "; "), more > 0 ? fmt::format("; {} more packs", more) : "");
}

// This rank's gradients again, each looked at before anything is added to it: the sum that the ranks share does not tell whose it was. Throws
// where they are not finite; the loss does, where a log-prob is not.
void PackRunner::find_non_finite_gradient(std::span<const TrainPack> packs, const PassLoss& loss, const Prepare& prepare, const Exec& ex) {
  const std::vector<PackPass> passes = plan_passes(packs, optimizer_.owned_shards(), kPassRows);
  for (const PackPass& pass : passes) {
    TrainState& state = state_for(passes, packs, nullptr);
    for (size_t p = pass.first; prepare && p < pass.last; ++p) prepare(p, state);
    const PassLoss checked = [&](const Joined& joined, size_t first, TrainState& of_pass, Tensor flat, const TapedRows& taped) {
      // What no parameter has, between and behind them, is never written: the sum that was spoiled may be there.
      clear(flat);
      loss(joined, first, of_pass, flat, taped);
      const std::span<const float> gradient(flat.f32(), static_cast<size_t>(flat.size()));
      if (std::isfinite(sum_of_squares(gradient, ex))) return;
      const int64_t at = find_non_finite(gradient, ex);
      float value = 0;
      copy(Tensor(&value, DType::f32, {1}), Tensor(flat.f32() + at, DType::f32, {1}, flat.device));
      fail(ExitCode::kNonFinite, "{}: the gradient of {} is {}; the weights are unchanged. Look at the completions, or {}", names_of(pass, packs),
           element_name(optimizer_.table(), at), value, kGoOnSlower);
    };
    run(pass, packs, state, checked, nullptr, ex);
  }
}

// Every rank's own gradients are finite: the exchange once more, to tell what was spoiled on its way from what is too large to be added up.
void PackRunner::blame_exchange(const std::vector<bool>& leaf_used, const NonFiniteGradient& found, const Exec& ex) {
  Comm& comm = optimizer_.comm();
  comm.barrier("finite gradients");  // one that has found its own ends all before this
  if (comm.size() == 1) throw found;
  std::vector<std::string> owners, others;
  const std::string host = comm.host();
  int rank = 0;
  for (const auto& bytes : comm.all_gather(std::as_bytes(std::span(host)), "host names")) {
    const LogicalRange range = logical_range(optimizer_.logical_ranks(), rank, comm.size());
    const bool owns = std::ranges::any_of(found.shards(), [&](int shard) { return shard >= range.first && shard < range.last; });
    (owns ? owners : others).push_back(fmt::format("rank {} on {}", rank++, std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size())));
  }
  const std::string what = fmt::format("{}(gradients): every rank's own gradients are finite, but not their sum in the span of {}",
                                       optimizer_.on_gpu() ? "exchange" : "all_to_all", fmt::join(owners, ", "));
  try {
    optimizer_.check_sum(leaf_used, ex);
  } catch (const NonFiniteGradient&) {
    fail(ExitCode::kNonFinite, "{}: it leaves float32; the weights are unchanged. Look at this step's completions, or {}", what, kGoOnSlower);
  }
  fail(ExitCode::kNonFinite,
       "{}, and a second time it is: what came from {} was spoiled on its way or in memory; the weights are unchanged. Look at the memory and the "
       "network of these hosts; the same command goes on from the last checkpoint",
       what, others.empty() ? "another of them" : fmt::format("{}", fmt::join(others, " or ")));
}

}  // namespace cohort
