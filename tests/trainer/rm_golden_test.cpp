// A step of a reward model against torch in float64 (scripts/goldens/make_reward_model_goldens.py): loss, metrics and every gradient; and what
// its bits must not depend on.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "core/files.h"
#include "core/rng.h"
#include "model/formats/safetensors.h"
#include "model/load_weights.h"
#include "model/ops/score.h"
#include "tests/core/expect_error.h"
#include "tests/model/tiny_model.h"
#include "tests/trainer/thread_comm.h"
#include "trainer/rm_update.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

const fs::path kGolden = GOLDEN_DIR;

// The first moment after one step of AdamW is (1 - beta1) times the gradient.
std::vector<float> gradient_of(const Optimizer& optimizer, float beta1) {
  std::vector<float> all;
  for (int shard = 0; shard < optimizer.logical_ranks(); ++shard) {
    std::vector<float> part(static_cast<size_t>(optimizer.shard_size()));
    optimizer.read_state(shard, Optimizer::Part::m, 0, part);
    for (const float value : part) all.push_back(value / (1 - beta1));
  }
  return all;
}

std::vector<const PreferencePair*> pointers(const std::vector<PreferencePair>& pairs) {
  std::vector<const PreferencePair*> all;
  for (const PreferencePair& pair : pairs) all.push_back(&pair);
  return all;
}

class RmGolden : public testing::TestWithParam<std::string> {};

TEST_P(RmGolden, LossMetricsAndGradientsAreThoseOfTorch) {
  const fs::path dir = kGolden / "families" / GetParam();
  const Json golden = parse_json(read_file(kGolden / "reward_model" / (GetParam() + ".json")), GetParam());
  ExecOwner owner(2);
  const std::unique_ptr<Policy> policy =
      load_policy(load_model_config(dir), SafetensorsFolder::open(dir), GetParam(), DType::f32, 4, PolicyUse::training, owner.exec());
  const auto comm = make_self_comm();
  const OptimSection optim{.adam_beta1 = 0.5f, .max_grad_norm = 0};  // a half, so that nothing is rounded on the way back
  TrainerSection trainer;
  trainer.logical_ranks = 4;
  Optimizer optimizer(*policy, optim, 4, *comm);
  RmUpdater updater(*policy, optimizer, trainer, golden["center_rewards_coefficient"], *comm);
  std::vector<PreferencePair> pairs;
  for (const Json& row : golden["pairs"])
    pairs.push_back({std::to_string(pairs.size()), row["chosen"].get<std::vector<int32_t>>(), row["rejected"].get<std::vector<int32_t>>(),
                     row.value("margin", 0.0)});
  const PairSums evaluated = updater.evaluate(pairs, "test", owner.exec());
  const PairSums sums = updater.step(pointers(pairs), 1e-3, "test", owner.exec());

  // The model itself is computed in float32: torch's float32 is as far from its float64 (scores 3.5e-6, gradient 3.4e-6, head 1.6e-6).
  for (const auto& [name, value] : sums.means()) {
    const double expected = golden[name];
    EXPECT_NEAR(value, expected, 2e-6 * std::max(1.0, std::abs(expected))) << name;
  }
  const double norm = golden["grad_norm"];
  EXPECT_NEAR(updater.grad_norm(), norm, 2e-6 * norm);
  EXPECT_EQ(evaluated.means(), sums.means()) << "an evaluation computes the same bits";

  const std::string image = read_file(kGolden / "reward_model" / (GetParam() + ".safetensors"));
  const auto expected = parse_safetensors(std::as_bytes(std::span(image)), "gradients");
  const std::vector<float> flat = gradient_of(optimizer, optim.adam_beta1);
  double difference = 0, head_difference = 0, head_norm = 0;
  for (const ParamEntry& entry : policy->table.entries) {
    const auto found = expected.find(entry.name);
    ASSERT_NE(found, expected.end()) << entry.name;
    std::vector<float> wanted(static_cast<size_t>(entry.size()));
    ASSERT_EQ(found->second.data.size(), wanted.size() * sizeof(float)) << entry.name;
    std::memcpy(wanted.data(), found->second.data.data(), found->second.data.size());
    for (size_t i = 0; i < wanted.size(); ++i) {
      const double w = static_cast<double>(wanted[i]), d = static_cast<double>(flat[static_cast<size_t>(entry.offset) + i]) - w;
      difference += d * d;
      if (entry.name == "score.weight") head_difference += d * d, head_norm += w * w;
    }
  }
  EXPECT_EQ(expected.size(), policy->table.entries.size());
  EXPECT_LE(std::sqrt(head_difference), 2e-6 * std::sqrt(head_norm));
  EXPECT_LE(std::sqrt(difference), 4e-6 * norm);
}

INSTANTIATE_TEST_SUITE_P(All, RmGolden, testing::Values("llama_score", "qwen2_score"), [](const auto& info) { return info.param; });

// The head's own gradient, from hidden states as they are: against sums in float64.
TEST(HeadScores, GradientIsThatOfDoubles) {
  constexpr int64_t n = 12, C = 48;
  ExecOwner owner(2);
  Random random(4, Stream::kTest);
  std::vector<float> h(n * C), w(C), dscores(n), dh(n * C), dw(C);
  for (std::vector<float>* numbers : {&h, &w, &dscores})
    for (float& number : *numbers) number = random.normal();
  PackedWeight packed;
  pack_weight(packed, {w.data(), DType::f32, {1, C}}, owner.exec());
  const std::vector<RowPart> parts = {{0, 5, 0}, {5, 3, 1}, {8, 4, 1}};
  head_scores_backward({dh.data(), DType::f32, {n, C}}, {dw.data(), DType::f32, {1, C}}, dscores, {h.data(), DType::f32, {n, C}}, packed, owner.exec(), parts);
  double difference = 0, norm = 0;
  for (int64_t c = 0; c < C; ++c) {
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) {
      sum += static_cast<double>(dscores[i]) * static_cast<double>(h[i * C + c]);
      EXPECT_EQ(dh[i * C + c], dscores[i] * w[c]);
    }
    difference += std::pow(static_cast<double>(dw[c]) - sum, 2), norm += sum * sum;
  }
  EXPECT_LE(std::sqrt(difference), 1e-6 * std::sqrt(norm));
}

// Against differences of the loss, also far where exp overflows.
TEST(PairLoss, DerivativesAreThoseOfTheLoss) {
  for (const double center : {0.0, 0.3}) {
    for (const auto& [chosen, rejected, margin] : std::vector<std::array<double, 3>>{{0.3, -0.2, 0}, {-4, 7, 1.5}, {2, 2, 0}, {1, 0, -3}}) {
      const double h = 1e-5;
      const PairLoss at = pair_loss(chosen, rejected, margin, center);
      const auto loss = [&](double c, double r) { return pair_loss(c, r, margin, center).loss; };
      EXPECT_NEAR(at.by_chosen, (loss(chosen + h, rejected) - loss(chosen - h, rejected)) / (2 * h), 1e-8);
      EXPECT_NEAR(at.by_rejected, (loss(chosen, rejected + h) - loss(chosen, rejected - h)) / (2 * h), 1e-8);
      EXPECT_NEAR(at.loss, -std::log(1 / (1 + std::exp(-(chosen - rejected - margin)))) + center * std::pow(chosen + rejected, 2), 1e-12);
    }
  }
  EXPECT_DOUBLE_EQ(pair_loss(-2000, 2000, 0, 0).loss, 4000);
  EXPECT_DOUBLE_EQ(pair_loss(-2000, 2000, 0, 0).by_chosen, -1);
  EXPECT_EQ(pair_loss(2000, -2000, 0, 0).loss, 0);
}

// Pairs with long, short and no common beginning, and one whose worse answer is the beginning of the better one.
std::vector<PreferencePair> random_pairs(size_t count) {
  Random random(5, Stream::kTest);
  const auto text = [&](int64_t n) {
    std::vector<int32_t> tokens(static_cast<size_t>(n));
    for (int32_t& token : tokens) token = static_cast<int32_t>(3 + random.below(70));
    return tokens;
  };
  std::vector<PreferencePair> pairs;
  for (size_t i = 0; i < count; ++i) {
    PreferencePair pair{.id = std::to_string(i), .chosen = text(random.between(0, 30)), .rejected = {}, .margin = 0.1 * static_cast<double>(i % 3)};
    pair.rejected = pair.chosen;
    for (std::vector<int32_t>* answer : {&pair.chosen, &pair.rejected}) {
      const std::vector<int32_t> own = text(random.between(i % 5 == 0 && answer == &pair.rejected && !pair.rejected.empty() ? 0 : 1, 12));
      answer->insert(answer->end(), own.begin(), own.end());
    }
    pairs.push_back(std::move(pair));
  }
  return pairs;
}

ModelConfig tiny_classifier() {
  ModelConfig config = tiny_config();
  config.num_labels = 1;
  return config;
}

struct Learnt {
  std::vector<std::byte> weights;
  std::vector<std::pair<std::string, double>> means;
  bool operator==(const Learnt&) const = default;
};

// Two steps on a rank of `comm`.
Learnt learn(Comm& comm, DType dtype, int threads, bool checkpointing, int64_t pack_tokens = 0) {
  ExecOwner owner(threads);
  const auto policy = make_policy(tiny_classifier(), dtype, 4);
  init_weights(*policy, 3, owner.exec());
  TrainerSection trainer;
  trainer.logical_ranks = 4, trainer.gradient_checkpointing = checkpointing, trainer.pack_tokens = pack_tokens;
  Optimizer optimizer(*policy, {.learning_rate = 1e-2f}, 4, comm);
  RmUpdater updater(*policy, optimizer, trainer, 0.01, comm);
  const std::vector<PreferencePair> pairs = random_pairs(23);
  Learnt learnt;
  for (int step = 0; step < 2; ++step) learnt.means = updater.step(pointers(pairs), 1e-2, "test", owner.exec()).means();
  learnt.weights = FlatWeights(*policy).bytes;
  return learnt;
}

TEST(RmUpdater, RanksThreadsAndCheckpointingChangeNoBit) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const Learnt one = learn(*make_self_comm(), dtype, 1, false);
    EXPECT_EQ(learn(*make_self_comm(), dtype, 3, true), one);
    for (const int ranks : {2, 3, 4})
      run_on_threads(ranks, [&](Comm& comm) { EXPECT_EQ(learn(comm, dtype, 1, false), one) << ranks; });
    const Learnt packed = learn(*make_self_comm(), dtype, 1, false, 64);  // other sums of the gradient, the same loss up to them
    EXPECT_NEAR(packed.means[0].second, one.means[0].second, 0.05);
  }
}

TEST(RmUpdater, APairIsNeverInTwoPacks) {
  const std::vector<PreferencePair> pairs = random_pairs(40);
  for (const int64_t pack_tokens : {0, 10, 100}) {
    size_t next = 0;
    for (const TrainPack& pack : build_pair_packs(pointers(pairs), pack_tokens, 4)) {
      ASSERT_EQ(pack.refs.size() % 2, 0u);
      for (size_t i = 0; i < pack.refs.size(); ++i) {
        EXPECT_EQ(pack.refs[i].group, static_cast<int32_t>(next + i / 2));
        EXPECT_EQ(pack.refs[i].sample, static_cast<int32_t>(i % 2));
        const std::vector<int32_t>& tokens = i % 2 == 0 ? pairs[next + i / 2].chosen : pairs[next + i / 2].rejected;
        EXPECT_EQ(pack.tokens.tokens[static_cast<size_t>(pack.tokens.rows[i])], tokens.back());
        EXPECT_EQ(pack.tokens.positions[static_cast<size_t>(pack.tokens.rows[i])], std::ssize(tokens) - 1);
      }
      next += pack.refs.size() / 2;
    }
    EXPECT_EQ(next, pairs.size());
  }
}

TEST(RmUpdater, AScoreThatIsNotFiniteEndsTheStep) {
  ExecOwner owner(1);
  const auto policy = make_policy(tiny_classifier(), DType::f32, 4);
  init_weights(*policy, 3, owner.exec());
  FlatWeights flat(*policy);
  flat.set(policy->table.head, INFINITY);
  flat.put(*policy, owner.exec());
  const auto comm = make_self_comm();
  TrainerSection trainer;
  trainer.logical_ranks = 4;
  Optimizer optimizer(*policy, {}, 4, *comm);
  RmUpdater updater(*policy, optimizer, trainer, 0, *comm);
  const std::vector<PreferencePair> pairs = random_pairs(2);
  EXPECT_ERROR(updater.step(pointers(pairs), 1e-2, "step 7", owner.exec()), kNonFinite, "step 7, pair '0': score");
}

}  // namespace
}  // namespace cohort
