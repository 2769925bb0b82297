#include "trainer/rm_update.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/check.h"
#include "trainer/non_finite.h"

namespace cohort {
namespace {

// Pairs that an evaluation packs at once.
constexpr size_t kEvaluatedAtOnce = 512;

// log(1 + exp(x)) without overflow.
double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }
double sigmoid(double x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }

// This rank's pairs in their order.
class SumsOfPairs {
 public:
  SumsOfPairs(std::span<const PreferencePair* const> pairs, double center, const std::string& when) : pairs_(pairs), center_(center), when_(when) {}

  // Scores of the targets of a pack, and the gradient of the mean over `count` pairs; dscores may be empty.
  void add(const TrainPack& pack, std::span<const float> scores, std::span<float> dscores, double count) {
    for (size_t i = 0; i < scores.size(); i += 2) {
      const PreferencePair& pair = *pairs_[static_cast<size_t>(pack.refs[i].group)];
      const double chosen = static_cast<double>(scores[i]), rejected = static_cast<double>(scores[i + 1]);
      if (!std::isfinite(chosen) || !std::isfinite(rejected))
        fail(ExitCode::kNonFinite, "{}, pair '{}': score {} of chosen, {} of rejected; the weights are unchanged. Look at the pair, or {}",
             when_, pair.id, chosen, rejected, kGoOnSlower);
      const PairLoss loss = pair_loss(chosen, rejected, pair.margin, center_);
      sums_.push_back({1, loss.loss, chosen > rejected ? 1.0 : 0.0, chosen - rejected, chosen + rejected, std::min(chosen, rejected), std::max(chosen, rejected)});
      if (dscores.empty()) continue;
      dscores[i] = static_cast<float>(loss.by_chosen / count), dscores[i + 1] = static_cast<float>(loss.by_rejected / count);
    }
  }

  // Of all ranks: packs ascend with logical ranks, and pairs with packs.
  PairSums over_ranks(Comm& comm) const {
    PairSums all;
    for (const std::vector<std::byte>& bytes : comm.all_gather(std::as_bytes(std::span(sums_)), "loss")) {
      for (size_t at = 0; at < bytes.size(); at += sizeof(PairSums)) {
        PairSums pair;
        std::memcpy(&pair, bytes.data() + at, sizeof pair);
        all.add(pair);
      }
    }
    return all;
  }

 private:
  std::span<const PreferencePair* const> pairs_;
  double center_;
  const std::string& when_;
  std::vector<PairSums> sums_;
};

int64_t shared_tokens(const PreferencePair& pair) {
  const auto [at, other] = std::ranges::mismatch(pair.chosen, pair.rejected);
  return at - pair.chosen.begin();
}

int64_t rows_of(const PreferencePair& pair) { return std::ssize(pair.chosen) + std::ssize(pair.rejected) - shared_tokens(pair); }

void append_pair(TrainPack& pack, const PreferencePair& pair, int32_t number) {
  TokenPack& tokens = pack.tokens;
  const int64_t shared = shared_tokens(pair), prefix = std::ssize(tokens.tokens);
  append_run_behind(tokens, std::span(pair.chosen).first(static_cast<size_t>(shared)), prefix, 0);
  for (const std::vector<int32_t>* answer : {&pair.chosen, &pair.rejected}) {
    append_run_behind(tokens, std::span(*answer).subspan(static_cast<size_t>(shared)), prefix, shared);
    // The last row, which is the prefix's where nothing is behind it.
    tokens.rows.push_back(static_cast<int32_t>(std::ssize(*answer) == shared ? prefix + shared - 1 : std::ssize(tokens.tokens) - 1));
    tokens.targets.push_back(0);
    pack.refs.push_back({number, answer == &pair.rejected ? 1 : 0, 0});
  }
}

}  // namespace

PairLoss pair_loss(double chosen, double rejected, double margin, double center) {
  const double difference = chosen - rejected - margin, both = chosen + rejected;
  const double by_difference = -sigmoid(-difference), by_both = 2 * center * both;
  return {softplus(-difference) + center * both * both, by_difference + by_both, -by_difference + by_both};
}

void PairSums::add(const PairSums& other) {
  lowest = pairs > 0 ? std::min(lowest, other.lowest) : other.lowest;
  highest = pairs > 0 ? std::max(highest, other.highest) : other.highest;
  pairs += other.pairs, loss += other.loss, accuracy += other.accuracy, margin += other.margin, rewards += other.rewards;
}

std::vector<std::pair<std::string, double>> PairSums::means() const {
  return {{"loss", loss / pairs}, {"accuracy", accuracy / pairs}, {"margin", margin / pairs}, {"mean_reward", rewards / (2 * pairs)},
          {"min_reward", lowest}, {"max_reward", highest}};
}

std::vector<TrainPack> build_pair_packs(std::span<const PreferencePair* const> pairs, int64_t pack_tokens, int64_t logical_ranks) {
  int64_t total = 0;
  for (const PreferencePair* pair : pairs) total += rows_of(*pair);
  const int64_t full = rows_of_a_pack(total, pack_tokens, logical_ranks);
  std::vector<TrainPack> packs;
  for (size_t i = 0; i < pairs.size(); ++i) {
    if (packs.empty() || std::ssize(packs.back().tokens.tokens) + rows_of(*pairs[i]) > full) packs.emplace_back();
    append_pair(packs.back(), *pairs[i], static_cast<int32_t>(i));
  }
  deal_packs(packs, logical_ranks);
  return packs;
}

RmUpdater::RmUpdater(Policy& policy, Optimizer& optimizer, const TrainerSection& trainer, double center, Comm& comm)
    : policy_(policy), trainer_(trainer), center_(center), comm_(comm), runner_(policy, optimizer, trainer.gradient_checkpointing) {}

PairSums RmUpdater::step(std::span<const PreferencePair* const> pairs, double learning_rate, const std::string& when, const Exec& ex) {
  const std::vector<TrainPack> packs = build_pair_packs(pairs, trainer_.pack_tokens, trainer_.logical_ranks);
  SumsOfPairs sums(pairs, center_, when);
  const auto gradient = [&](size_t p, std::span<const float> scores, std::span<float> dscores) {
    sums.add(packs[p], scores, dscores, static_cast<double>(pairs.size()));
  };
  runner_.name_packs([&](const TrainPack& pack) {
    return fmt::format("{}, pair '{}'", when, pairs[static_cast<size_t>(pack.refs.front().group)]->id);
  });
  grad_norm_ = runner_.step_scores(packs, learning_rate, gradient, ex);
  return sums.over_ranks(comm_);
}

PairSums RmUpdater::evaluate(std::span<const PreferencePair> pairs, const std::string& when, const Exec& ex,
                             const std::function<void(int64_t, int64_t)>& progress) {
  PairSums all;
  for (size_t begin = 0; begin < pairs.size(); begin += kEvaluatedAtOnce) {
    std::vector<const PreferencePair*> some;
    for (const PreferencePair& pair : pairs.subspan(begin, std::min(kEvaluatedAtOnce, pairs.size() - begin))) some.push_back(&pair);
    const std::vector<TrainPack> packs = build_pair_packs(some, trainer_.pack_tokens, trainer_.logical_ranks);
    SumsOfPairs sums(some, center_, when);
    runner_.for_each(packs, [&](size_t p, TrainState& state) {
      std::vector<float> scores(packs[p].refs.size());
      pack_scores(policy_, state, packs[p].tokens, scores, ex);
      sums.add(packs[p], scores, {}, 1);
    });
    all.add(sums.over_ranks(comm_));
    if (progress) progress(static_cast<int64_t>(begin + some.size()), static_cast<int64_t>(pairs.size()));
  }
  return all;
}

}  // namespace cohort
