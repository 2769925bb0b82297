// Every family against transformers: tiny checkpoints that it saved, and what it computed from them
// (scripts/goldens/make_family_goldens.py).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "core/files.h"
#include "model/load_weights.h"
#include "model/ops/head.h"
#include "model/transformer.h"
#include "tests/core/expect_error.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

const fs::path kFamilies = fs::path(GOLDEN_DIR) / "families";

std::vector<std::string> family_names(bool classifiers) {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(kFamilies)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with("_score") == classifiers) names.push_back(name);
  }
  std::ranges::sort(names);
  return names;
}

class Checkpoint {
 public:
  Checkpoint(const std::string& name, DType dtype)
      : policy(load_policy(load_model_config(kFamilies / name), SafetensorsFolder::open(kFamilies / name), name, dtype, 1,
                           PolicyUse::training, ex)),
        golden(parse_json(read_file(kFamilies / name / "golden.json"), name)) {}
  std::vector<int32_t> ids(const char* key) const { return golden[key].get<std::vector<int32_t>>(); }
  std::vector<float> numbers(const char* key) const { return golden[key].get<std::vector<float>>(); }

  ExecOwner owner{2};
  Exec ex = owner.exec();
  std::unique_ptr<Policy> policy;
  Json golden;
};

TokenPack pack_of(const std::vector<int32_t>& tokens) {
  TokenPack pack;
  append_text(pack, tokens);
  return pack;
}

std::vector<float> logprobs_of(const Checkpoint& c, const std::vector<int32_t>& ids) {
  TrainState state(*c.policy, 64, 64);
  std::vector<float> logprobs(ids.size() - 1);
  pack_logprobs(*c.policy, state, pack_of(ids), 1.0f, logprobs, {}, c.ex);
  return logprobs;
}

double mean_error(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
  return sum / static_cast<double>(a.size());
}

class Family : public testing::TestWithParam<std::string> {};

TEST_P(Family, LogprobsAreThoseOfTransformers) {
  const Checkpoint c(GetParam(), DType::f32);
  const std::vector<float> expected = c.numbers("logprobs"), found = logprobs_of(c, c.ids("ids"));
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-4) << i;
}

TEST_P(Family, InBf16ErrorsAreNotLargerThanThoseOfTransformers) {
  const Checkpoint c(GetParam(), DType::bf16);
  const std::vector<float> truth = c.numbers("logprobs"), found = logprobs_of(c, c.ids("ids"));
  EXPECT_LE(mean_error(found, truth), 1.1 * mean_error(c.numbers("logprobs_bf16"), truth));
}

// Greedy decoding, and each token's log-prob as the trainer computes it: equal bits.
TEST_P(Family, GreedyContinuationsAreThoseOfTransformersAndBitsThoseOfTheTrainer) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const Checkpoint c(GetParam(), dtype);
    const Policy& policy = *c.policy;
    const int64_t V = policy.config.vocab_size;
    std::vector<int32_t> ids = c.ids("prompt");
    const size_t prompt = ids.size();
    const std::vector<int32_t> expected = c.ids("greedy");
    KvCache cache(policy, 128 / kPageTokens);
    PageTable pages;
    ASSERT_TRUE(cache.grow(pages, 128));
    ForwardState state(policy, 64);
    std::vector<float> logits(static_cast<size_t>(V)), sampled;
    for (size_t done = 0; ids.size() < prompt + expected.size();) {
      const ForwardRun run{std::span(ids).subspan(done), static_cast<int64_t>(done), &pages};
      const Tensor h = forward_cached(policy, cache, state, {&run, 1}, c.ex);
      done = ids.size();
      head_logits({logits.data(), DType::f32, {1, V}}, h.slice_rows(h.rows() - 1, 1), policy.packed_head, c.ex,
                  policy.config.logit_softcap);
      const auto token = static_cast<int32_t>(std::ranges::max_element(logits) - logits.begin());
      sampled.push_back(token_logprob(logits.data(), logit_row_stats(logits.data(), V, 1.0f), token, 1.0f));
      ids.push_back(token);
    }
    if (dtype == DType::f32) {
      EXPECT_EQ(std::vector<int32_t>(ids.begin() + static_cast<std::ptrdiff_t>(prompt), ids.end()), expected);
    }
    TrainState train(policy, 128, 128);
    std::vector<float> trained(ids.size() - 1);
    pack_logprobs(policy, train, pack_of(ids), 1.0f, trained, {}, c.ex);
    EXPECT_EQ(std::memcmp(sampled.data(), trained.data() + prompt - 1, sampled.size() * sizeof(float)), 0)
        << dtype_name(dtype);
  }
}

TEST_P(Family, GradientsAreThoseOfTransformers) {
  const Checkpoint c(GetParam(), DType::f32);
  const TokenPack pack = pack_of(c.ids("ids"));
  const auto n = static_cast<float>(pack.targets.size());
  TrainState state(*c.policy, 64, 64);
  std::vector<float> flat(static_cast<size_t>(c.policy->table.size));
  const Tensor gradients{flat.data(), DType::f32, {c.policy->table.size}};
  pack_loss(*c.policy, state, pack, 1.0f, [&](int64_t, float, float) { return -1 / n; }, gradients, c.ex);

  const std::string image = read_file(kFamilies / GetParam() / "gradients.safetensors");
  const auto expected = parse_safetensors(std::as_bytes(std::span(image)), "gradients.safetensors");
  double all_difference = 0, all_norm = 0;
  for (const ParamEntry& entry : c.policy->table.entries) {
    const auto found = expected.find(entry.name);
    ASSERT_NE(found, expected.end()) << entry.name;
    std::vector<float> wanted(static_cast<size_t>(entry.size()));
    ASSERT_EQ(found->second.data.size(), wanted.size() * sizeof(float)) << entry.name;
    std::memcpy(wanted.data(), found->second.data.data(), found->second.data.size());
    double difference = 0, norm = 0;
    for (size_t i = 0; i < wanted.size(); ++i) {
      const double w = wanted[i], d = static_cast<double>(flat[static_cast<size_t>(entry.offset) + i]) - w;
      difference += d * d, norm += w * w;
    }
    EXPECT_GT(norm, 0) << entry.name;
    EXPECT_LE(std::sqrt(difference), 1e-3 * std::sqrt(norm)) << entry.name;
    all_difference += difference, all_norm += norm;
  }
  EXPECT_EQ(expected.size(), c.policy->table.entries.size());
  EXPECT_LE(std::sqrt(all_difference), 1e-4 * std::sqrt(all_norm));
}

TEST_P(Family, TheConfigsOfTransformers4And5AreOne) {
  const fs::path dir = kFamilies / GetParam();
  const auto read = [&](const char* name) { return parse_model_config(parse_json(read_file(dir / name), name), name); };
  const ModelConfig now = read("config.json"), old = read("config_v4.json");
  EXPECT_EQ(now.architecture, old.architecture);
  EXPECT_EQ(now.dtype, old.dtype);
  EXPECT_EQ(now.head_size, old.head_size);
  EXPECT_EQ(now.rope, old.rope);
  EXPECT_EQ(now.local_rope, old.local_rope);
  EXPECT_EQ(now.window, old.window);
  EXPECT_EQ(now.local_layers, old.local_layers);
  EXPECT_EQ(now.tie_word_embeddings, old.tie_word_embeddings);
  EXPECT_EQ(now.eos_token_ids, old.eos_token_ids);
}

INSTANTIATE_TEST_SUITE_P(All, Family, testing::ValuesIn(family_names(false)),
                         [](const auto& info) { return info.param; });

float score_of(const Checkpoint& c, const std::vector<int32_t>& text) {
  TokenPack pack = pack_of(text);
  pack.rows = {static_cast<int32_t>(score_position(c.policy->config, text))};
  pack.targets = {0};
  TrainState state(*c.policy, 64, 1);
  float score = 0;
  pack_scores(*c.policy, state, pack, {&score, 1}, c.ex);
  return score;
}

class Classifier : public testing::TestWithParam<std::string> {};

TEST_P(Classifier, ScoresAreThoseOfTransformers) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const Checkpoint c(GetParam(), dtype);
    const std::vector<float> expected = c.numbers("scores");
    std::vector<float> found;
    for (const Json& text : c.golden["texts"])
      found.push_back(score_of(c, text.get<std::vector<int32_t>>()));
    ASSERT_EQ(found.size(), expected.size());
    if (dtype == DType::f32) {
      for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-4) << i;
    } else {
      EXPECT_LE(mean_error(found, expected), 1.1 * mean_error(c.numbers("scores_bf16"), expected));
    }
  }
}

TEST_P(Classifier, HasNoLogprobs) {
  const Checkpoint c(GetParam(), DType::f32);
  EXPECT_ERROR(logprobs_of(c, {4, 5, 6}), kInput, "is a reward model");
}

INSTANTIATE_TEST_SUITE_P(All, Classifier, testing::ValuesIn(family_names(true)),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace cohort
