// LoRA: where A and B lie and begin, what the merged weights are, and their gradients against those of whole weights.
#include "model/lora.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "model/ops/row_parts.h"
#include "model/transformer.h"
#include "tests/core/expect_error.h"
#include "tests/model/random_model.h"

namespace cohort {
namespace {

const std::vector<std::string> kAll(kLoraModules.begin(), kLoraModules.end());
const std::vector<std::vector<std::string>> kTargets = {kAll, {"q_proj", "v_proj"}, {"o_proj"}, {"up_proj", "down_proj", "k_proj"}};

// A and B are random numbers, so that all of it counts.
void add_random_lora(Policy& policy, const LoraConfig& config, const Exec& ex, int64_t shards = 1) {
  add_lora(policy, config, shards, 3, ex);
  Random random(23, Stream::kTest);
  for (const ParamEntry& entry : policy.lora->layout.table.entries)
    for (int64_t i = 0; i < entry.size(); ++i) policy.lora->params.weights.f32()[entry.offset + i] = 0.15f * random.normal();
  merge_lora(policy, ex);
}

const ParamEntry& entry_of(const ParamTable& table, const std::string& name) {
  const auto found = std::ranges::find(table.entries, name, &ParamEntry::name);
  if (found == table.entries.end()) throw std::runtime_error("no " + name);
  return *found;
}

TEST(Lora, TheLayoutIsNamedAsPeftDoesAndHasNoGaps) {
  const ModelConfig model = tiny_config();
  const ParamTable weights = make_param_table(model, 4);
  const LoraLayout all = make_lora_layout(model, weights, {.rank = 3, .alpha = 6, .target_modules = kAll}, 4);
  EXPECT_EQ(all.table.entries.size(), 2u * 2 * 7);
  int64_t end = 0;
  for (const ParamEntry& entry : all.table.entries) {
    EXPECT_EQ(entry.offset, end) << entry.name;
    EXPECT_TRUE(entry.decay());
    end += entry.size();
  }
  EXPECT_EQ(all.table.count, end);
  EXPECT_EQ(all.table.size % (4 * 16), 0);
  EXPECT_EQ(entry_of(all.table, "base_model.model.model.layers.1.self_attn.k_proj.lora_A.weight").stored_shape(), (std::vector<int64_t>{3, 48}));
  EXPECT_EQ(entry_of(all.table, "base_model.model.model.layers.1.self_attn.k_proj.lora_B.weight").stored_shape(), (std::vector<int64_t>{32, 3}));
  EXPECT_EQ(entry_of(all.table, "base_model.model.model.layers.0.mlp.down_proj.lora_A.weight").stored_shape(), (std::vector<int64_t>{3, 112}));
  // q, k and v are one matrix: k's rows come behind q's, and the A's lie side by side.
  const LoraMatrix& qkv = all.layers[1][0];
  ASSERT_EQ(qkv.targets.size(), 3u);
  EXPECT_EQ(qkv.targets[1].row, 96);
  EXPECT_EQ(qkv.targets[1].rows, 32);
  EXPECT_EQ(qkv.targets[2].row, 128);
  EXPECT_EQ(qkv.targets[1].a, qkv.targets[0].a + 3 * 48);
  EXPECT_EQ(all.most_columns, 9);
  EXPECT_EQ(all.largest_n, 224);
  const LoraLayout some = make_lora_layout(model, weights, {.rank = 2, .alpha = 1, .target_modules = {"v_proj"}}, 1);
  EXPECT_EQ(some.table.entries.size(), 4u);
  EXPECT_EQ(some.layers[0][0].targets[0].row, 128);
  EXPECT_EQ(some.merged, 2 * 160 * 48);
}

TEST(Lora, ModulesAreASetOfKnownNames) {
  EXPECT_EQ(lora_modules({"v_proj", "q_proj", "v_proj"}), (std::vector<std::string>{"q_proj", "v_proj"}));
  EXPECT_EQ(lora_modules({"all-linear"}), kAll);
  EXPECT_ERROR(lora_modules({"q_proj", "lm_head"}), kUsage, "target module 'lm_head'; allowed: q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj, or all-linear");
  EXPECT_ERROR(lora_modules({}), kUsage, "no target modules; allowed: q_proj");
}

TEST(Lora, AScaleIsAlphaOverRankOrItsRoot) {
  EXPECT_EQ((LoraConfig{.rank = 8, .alpha = 4}.scale()), 0.5f);
  EXPECT_EQ((LoraConfig{.rank = 16, .alpha = 4, .rslora = true}.scale()), 1.0f);
}

// PEFT: kaiming_uniform with a = sqrt(5) is uniform in +-1/sqrt(K), of standard deviation 1/sqrt(3 K); B is 0.
TEST(Lora, ANewAdapterChangesNothing) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const auto policy = make_random_policy(config_of(false, true), dtype, ex), same = make_random_policy(config_of(false, true), dtype, ex);
    const std::string before = weights_fingerprint(*policy);
    const LoraConfig config{.rank = 16, .alpha = 32, .target_modules = kAll};
    add_lora(*policy, config, 4, 7, ex);
    EXPECT_EQ(weights_fingerprint(*policy), before);
    EXPECT_EQ(weights_fingerprint(*policy->lora->base), before);
    add_lora(*same, config, 8, 7, ex);  // a function of seed and layout, not of shards
    const WeightStore &params = policy->lora->params, &others = same->lora->params;
    EXPECT_EQ(std::memcmp(params.weights.data, others.weights.data, static_cast<size_t>(params.table.count) * 4), 0);
    for (const ParamEntry& entry : params.table.entries) {
      const float* numbers = params.weights.f32() + entry.offset;
      const float bound = 1 / std::sqrt(static_cast<float>(entry.shape[1]));
      double squares = 0;
      for (int64_t i = 0; i < entry.size(); ++i) {
        ASSERT_LE(std::abs(numbers[i]), bound) << entry.name;
        squares += static_cast<double>(numbers[i]) * numbers[i];
      }
      const double deviation = std::sqrt(squares / static_cast<double>(entry.size()));
      EXPECT_NEAR(deviation, entry.name.ends_with("lora_B.weight") ? 0 : bound / std::sqrt(3.0f), 0.1f * bound) << entry.name;
    }
    const auto seeded = make_random_policy(config_of(false, true), dtype, ex);
    add_lora(*seeded, config, 4, 8, ex);
    EXPECT_NE(std::memcmp(params.weights.data, seeded->lora->params.weights.data, static_cast<size_t>(params.table.count) * 4), 0);
    EXPECT_ERROR(add_lora(*seeded, config, 4, 8, ex), kInternal, "twice");
  }
}

// The definition in plain loops, bit for bit, for matrices of any width; and only rows of targets change.
TEST(Lora, MergedWeightsAreTheirDefinition) {
  for (const int threads : {1, 3}) {
    ExecOwner owner(threads);
    const Exec ex = owner.exec();
    for (const DType dtype : {DType::f32, DType::bf16}) {
      for (const auto& targets : kTargets) {
        for (const int64_t rank : {1, 3, 20}) {
          const auto policy = make_random_policy(config_of(true, false), dtype, ex);
          FlatWeights expected(*policy);
          const LoraConfig config{.rank = rank, .alpha = 5, .target_modules = targets};
          add_random_lora(*policy, config, ex);
          float* params = policy->lora->params.weights.f32();
          const LoraTarget& first = [&]() -> const LoraTarget& {
            for (const LoraMatrix& matrix : policy->lora->layout.layers[0])
              if (!matrix.targets.empty()) return matrix.targets[0];
            throw std::runtime_error("no target");
          }();
          std::fill_n(params + first.b, rank, 0.0f);  // a row of B that is 0 leaves the base alone
          merge_lora(*policy, ex);
          for (const auto& matrices : policy->lora->layout.layers)
            for (const LoraMatrix& matrix : matrices)
              for (const LoraTarget& target : matrix.targets) {
                const ParamEntry& entry = entry_of(policy->table, target.module + ".weight");
                for (int64_t n = 0; n < target.rows; ++n)
                  for (int64_t k = 0; k < matrix.k; ++k) {
                    float sum = 0;
                    for (int64_t j = 0; j < rank; ++j) sum = std::fma(params[target.b + n * rank + j], params[target.a + j * matrix.k + k], sum);
                    const int64_t at = entry.offset + n * matrix.k + k;
                    if (sum != 0) expected.set(at, std::fma(sum, config.scale(), expected.get(at)));
                  }
              }
          EXPECT_EQ(FlatWeights(*policy).bytes, expected.bytes) << dtype_name(dtype) << " rank " << rank << " " << targets.front();
        }
      }
    }
  }
}

std::vector<float> gradient_of(const Policy& policy, const TokenPack& pack, const Exec& ex, bool checkpointing = false,
                               std::span<const PackPart> parts = {}) {
  const ParamTable& table = policy.lora ? policy.lora->layout.table : policy.table;
  TrainState state(policy, static_cast<int64_t>(pack.tokens.size()), static_cast<int64_t>(pack.targets.size()), checkpointing);
  std::vector<float> gradient(static_cast<size_t>(table.size));
  std::vector<int64_t> starts = {0};
  for (const PackPart& part : parts) starts.push_back(starts.back() + part.targets);
  size_t part = 0;
  pack_loss(policy, state, pack, 0.9f,
            [&](int64_t target, float logprob, float) {
              while (part + 2 < starts.size() && target >= starts[part + 1]) ++part;
              return static_cast<float>((target - starts[part]) % 5 - 2) * 0.1f * logprob;
            },
            {gradient.data(), DType::f32, {table.size}}, ex, parts);
  return gradient;
}

// dA = scale B^T dW and dB = scale dW A^T in double, from the gradient dW of whole weights that are the merged ones.
std::vector<double> slow_gradient(const Policy& policy, const TokenPack& pack, const Exec& ex) {
  const auto whole = make_policy(policy.config, policy.dtype, 1);
  FlatWeights(policy).put(*whole, ex);
  const std::vector<float> dw = gradient_of(*whole, pack, ex);
  const LoraAdapter& lora = *policy.lora;
  const float* params = lora.params.weights.f32();
  const int64_t rank = lora.config.rank;
  const double scale = lora.config.scale();
  std::vector<double> gradient(static_cast<size_t>(lora.layout.table.size));
  for (const auto& matrices : lora.layout.layers)
    for (const LoraMatrix& matrix : matrices)
      for (const LoraTarget& target : matrix.targets) {
        const float* d = dw.data() + entry_of(whole->table, target.module + ".weight").offset;
        for (int64_t n = 0; n < target.rows; ++n)
          for (int64_t j = 0; j < rank; ++j)
            for (int64_t k = 0; k < matrix.k; ++k) {
              const double of_weight = scale * d[n * matrix.k + k];
              gradient[static_cast<size_t>(target.a + j * matrix.k + k)] += of_weight * params[target.b + n * rank + j];
              gradient[static_cast<size_t>(target.b + n * rank + j)] += of_weight * params[target.a + j * matrix.k + k];
            }
      }
  return gradient;
}

class LoraGradient : public testing::Test {
 protected:
  // body(policy) for every kind of model, with some adapter.
  void for_models(const std::function<void(Policy&)>& body) {
    for (const bool plain : {true, false})
      for (const bool tied : {true, false})
        for (const DType dtype : {DType::f32, DType::bf16}) {
          const auto policy = make_random_policy(config_of(plain, tied), dtype, ex_);
          const LoraConfig config{.rank = std::array{1, 4, 5, 8, 17}[random_() % 5], .alpha = 6, .target_modules = kTargets[random_() % kTargets.size()]};
          SCOPED_TRACE(testing::Message() << "seed " << seed_ << (plain ? ", plain" : ", all parts") << (tied ? ", tied, " : ", ")
                                          << dtype_name(dtype) << ", rank " << config.rank << " of " << config.target_modules.front());
          add_random_lora(*policy, config, ex_);
          body(*policy);
        }
  }
  const uint32_t seed_ = std::random_device{}();
  std::mt19937 random_{seed_};
  ExecOwner owner_{2};
  const Exec ex_ = owner_.exec();
};

TEST_F(LoraGradient, IsThatOfTheMergedWeightByTheChainRule) {
  for_models([&](Policy& policy) {
    TokenPack pack = random_pack(random_);
    append_pack(pack, random_pack(random_));
    const std::vector<float> found = gradient_of(policy, pack, ex_);
    const std::vector<double> wanted = slow_gradient(policy, pack, ex_);
    for (const ParamEntry& entry : policy.lora->layout.table.entries) {
      double difference = 0, norm = 0;
      for (int64_t i = entry.offset; i < entry.offset + entry.size(); ++i) {
        const double w = wanted[static_cast<size_t>(i)], d = found[static_cast<size_t>(i)] - w;
        difference += d * d, norm += w * w;
      }
      EXPECT_GT(norm, 0) << entry.name;
      // Rounded in bf16: dy, x, and what A or B make of them, an epsilon each.
      EXPECT_LE(std::sqrt(difference), (policy.dtype == DType::f32 ? 1e-5 : 0.02) * std::sqrt(norm)) << entry.name;
    }
  });
}

TEST_F(LoraGradient, PacksRunAsOneGiveTheBitsOfEachAlone) {
  for_models([&](Policy& policy) {
    const size_t count = 2 + random_() % 4;
    TokenPack joined;
    std::vector<PackPart> parts;
    std::vector<std::vector<float>> open;
    for (size_t p = 0; p < count; ++p) {
      const TokenPack pack = random_pack(random_);
      append_pack(joined, pack);
      open.push_back(gradient_of(policy, pack, ex_));
      const int merges = static_cast<int>(p + 1 == count ? open.size() - 1 : random_() % open.size());
      parts.push_back({static_cast<int64_t>(pack.tokens.size()), static_cast<int64_t>(pack.targets.size()), merges});
      for (int merge = 0; merge < merges; ++merge) {
        const std::vector<float> top = open.back();
        open.pop_back();
        for (size_t i = 0; i < top.size(); ++i) open.back()[i] += top[i];
      }
    }
    for (const bool checkpointing : {false, true}) EXPECT_EQ(gradient_of(policy, joined, ex_, checkpointing, parts), open.front()) << checkpointing;
    ExecOwner one(1);
    EXPECT_EQ(gradient_of(policy, joined, one.exec(), false, parts), open.front()) << "on one thread";
  });
}

std::vector<float> logprobs_of(const Policy& policy, const TokenPack& pack, const Exec& ex) {
  TrainState state(policy, static_cast<int64_t>(pack.tokens.size()), static_cast<int64_t>(pack.targets.size()));
  std::vector<float> logprobs(pack.targets.size());
  pack_logprobs(policy, state, pack, 1.0f, logprobs, {}, ex);
  return logprobs;
}

TEST_F(LoraGradient, TheBaseStaysWhatItWas) {
  for_models([&](Policy& policy) {
    const auto plain = make_random_policy(policy.config, policy.dtype, ex_);
    const TokenPack pack = random_pack(random_);
    EXPECT_EQ(weights_fingerprint(*policy.lora->base), weights_fingerprint(*plain));
    EXPECT_EQ(logprobs_of(*policy.lora->base, pack, ex_), logprobs_of(*plain, pack, ex_));
    EXPECT_NE(logprobs_of(policy, pack, ex_), logprobs_of(*plain, pack, ex_));
  });
}

}  // namespace
}  // namespace cohort
