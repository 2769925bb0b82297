// The transformer: sampling and training forward give the same bits, and the gradient is the derivative of the loss.
#include "model/transformer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "core/rng.h"
#include "model/ops/head.h"
#include "tests/core/expect_error.h"
#include "tests/model/tiny_model.h"

namespace cohort {
namespace {

std::vector<int32_t> random_tokens(Random& random, int64_t count) {
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  for (int32_t& token : tokens) token = static_cast<int32_t>(random.below(80));
  return tokens;
}

TokenPack text_pack(const std::vector<int32_t>& tokens) {
  TokenPack pack;
  append_text(pack, tokens);
  return pack;
}

// One prompt shared by two completions, and another text before it.
TokenPack shared_pack(Random& random) {
  TokenPack pack = text_pack(random_tokens(random, 5));
  const int64_t begin = static_cast<int64_t>(pack.tokens.size()), prompt = 7;
  const auto append = [&](int64_t count, int64_t first_position) {
    for (int64_t i = 0; i < count; ++i) {
      pack.tokens.push_back(static_cast<int32_t>(random.below(80)));
      pack.positions.push_back(static_cast<int32_t>(first_position + i));
    }
  };
  pack.runs.push_back({begin, prompt, begin, 0});
  append(prompt, 0);
  for (const int64_t length : {4, 9}) {
    const int64_t at = static_cast<int64_t>(pack.tokens.size());
    pack.runs.push_back({at, length, begin, prompt});
    append(length, prompt);
    for (int64_t i = 0; i <= length; ++i) {
      pack.rows.push_back(static_cast<int32_t>(i == 0 ? begin + prompt - 1 : at + i - 1));
      pack.targets.push_back(i < length ? pack.tokens[at + i] : 1);
    }
  }
  return pack;
}

TEST(Transformer, DecodePrefillAndTrainingForwardGiveTheSameBits) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const int threads : {1, 3}) {
      ExecOwner owner(threads);
      const Exec ex = owner.exec();
      const auto policy = tiny_policy(dtype, 1, ex);
      Random random(17, Stream::kTest);
      const std::vector<int32_t> tokens = random_tokens(random, 70), other = random_tokens(random, 33);
      TrainState train(*policy, 70, 70);
      const Tensor trained = forward_pack(*policy, train, text_pack(tokens), ex);

      KvCache cache(*policy, 9, 16);
      PageTable pages, other_pages;
      ASSERT_TRUE(cache.grow(pages, 70) && cache.grow(other_pages, 33));
      ForwardState state(*policy, 80);
      const size_t row_bytes = 48 * dtype_size(dtype);
      const auto expect_rows = [&](const Tensor& h, int64_t first, int64_t count, int64_t at) {
        for (int64_t i = 0; i < count && first + i < 69; ++i) {
          ASSERT_EQ(std::memcmp(h.slice_rows(at + i, 1).data, trained.slice_rows(first + i, 1).data, row_bytes), 0)
              << dtype_name(dtype) << " row " << first + i;
        }
      };
      // Prefill in chunks, another sequence in the same pass, then token by token.
      int64_t done = 0;
      for (const int64_t chunk : {1, 7, 32, 3}) {
        const ForwardRun runs[] = {{other, 0, &other_pages}, {std::span(tokens).subspan(done, chunk), done, &pages}};
        expect_rows(forward_cached(*policy, cache, state, runs, ex), done, chunk, 33);
        done += chunk;
      }
      for (; done < 70; ++done) {
        const ForwardRun run{std::span(tokens).subspan(done, 1), done, &pages};
        expect_rows(forward_cached(*policy, cache, state, {&run, 1}, ex), done, 1, 0);
      }
    }
  }
}

TEST(Transformer, ASharedPromptChangesNoBit) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  const auto policy = tiny_policy(DType::bf16, 2, ex);
  Random random(3, Stream::kTest);
  const TokenPack pack = shared_pack(random);
  TrainState state(*policy, 64, 64);
  std::vector<float> logprobs(pack.targets.size()), entropies(pack.targets.size());
  pack_logprobs(*policy, state, pack, 0.7f, logprobs, entropies, ex);
  // Each completion alone, behind its own copy of the prompt.
  size_t target = 4;
  for (size_t run = 2; run < 4; ++run) {
    std::vector<int32_t> tokens(pack.tokens.begin() + 5, pack.tokens.begin() + 12);
    const PackRun& r = pack.runs[run];
    tokens.insert(tokens.end(), pack.tokens.begin() + r.begin, pack.tokens.begin() + r.begin + r.count);
    tokens.push_back(1);
    const TokenPack alone = text_pack(tokens);
    std::vector<float> expected(alone.targets.size());
    pack_logprobs(*policy, state, alone, 0.7f, expected, {}, ex);
    for (size_t i = 6; i < expected.size(); ++i) EXPECT_EQ(logprobs[target++], expected[i]);
  }
  EXPECT_EQ(target, logprobs.size());
}

TEST(Transformer, GradientsAreTheDerivativesOfTheLoss) {
  for (const bool tied : {true, false}) {
    ExecOwner owner(2);
    const Exec ex = owner.exec();
    const auto policy = tiny_policy(DType::f32, 4, ex, tied);
    Random random(5, Stream::kTest);
    const TokenPack pack = shared_pack(random);
    std::vector<float> weights(pack.targets.size());
    for (float& w : weights) w = random.normal();
    TrainState state(*policy, 64, 64);
    Arena arena("gradients");
    const size_t piece = arena.plan("g", DType::f32, {policy->table.size});
    arena.commit();
    const Tensor gradients = arena[piece];
    FlatWeights flat(*policy);
    const auto loss = [&] {
      std::vector<float> logprobs(pack.targets.size());
      flat.put(*policy, ex);
      pack_logprobs(*policy, state, pack, 0.8f, logprobs, {}, ex);
      double sum = 0;
      for (size_t i = 0; i < logprobs.size(); ++i) sum += static_cast<double>(weights[i]) * static_cast<double>(logprobs[i]);
      return sum;
    };
    pack_loss(*policy, state, pack, 0.8f, [&](int64_t i, float, float) { return weights[static_cast<size_t>(i)]; }, gradients, ex);

    // Along a random direction per parameter: one number checks all of its elements.
    for (const ParamEntry& entry : policy->table.entries) {
      const Tensor w = Policy::view(flat.t(), entry.offset, 1, entry.size()), g = Policy::view(gradients, entry.offset, 1, entry.size());
      std::vector<float> saved(w.f32(), w.f32() + entry.size()), direction(saved.size());
      double expected = 0, scale = 0;
      for (size_t i = 0; i < saved.size(); ++i) {
        direction[i] = random.normal();
        expected += static_cast<double>(direction[i]) * static_cast<double>(g.f32()[i]);
        scale += static_cast<double>(g.f32()[i]) * static_cast<double>(g.f32()[i]);
      }
      constexpr float kStep = 1e-3f;
      const auto shifted = [&](float step) {
        for (size_t i = 0; i < saved.size(); ++i) w.f32()[i] = saved[i] + step * direction[i];
        return loss();
      };
      const double numeric = (shifted(kStep) - shifted(-kStep)) / (2.0 * static_cast<double>(kStep));
      std::memcpy(w.data, saved.data(), saved.size() * 4);
      EXPECT_GT(scale, 0) << entry.name;
      EXPECT_NEAR(numeric, expected, 0.01 * std::sqrt(scale) + 2e-3) << entry.name << (tied ? " tied" : "");
    }
  }
}

TEST(Transformer, GradientBitsDoNotDependOnThreads) {
  std::vector<float> first;
  for (const int threads : {1, 2, 3}) {
    ExecOwner owner(threads);
    const Exec ex = owner.exec();
    const auto policy = tiny_policy(DType::bf16, 6, ex);
    Random random(8, Stream::kTest);
    const TokenPack pack = shared_pack(random);
    TrainState state(*policy, 64, 64);
    std::vector<float> gradients(static_cast<size_t>(policy->table.size));
    pack_loss(*policy, state, pack, 1.0f, [](int64_t i, float, float) { return i % 2 == 0 ? 0.25f : -0.125f; },
              {gradients.data(), DType::f32, {policy->table.size}}, ex);
    if (first.empty()) first = gradients;
    EXPECT_EQ(std::memcmp(first.data(), gradients.data(), first.size() * 4), 0) << threads;
  }
}

TEST(Transformer, RefusesWhatDoesNotFit) {
  ExecOwner owner(1);
  const Exec ex = owner.exec();
  const auto policy = tiny_policy(DType::f32, 1, ex);
  TrainState state(*policy, 8, 8);
  const std::vector<int32_t> nine(9, 3);
  EXPECT_ERROR(forward_pack(*policy, state, text_pack(nine), ex), kInternal, "a pack of 9 tokens");
  TokenPack pack = text_pack({1, 2, 3});
  pack.targets[0] = 80;
  EXPECT_ERROR(forward_pack(*policy, state, pack, ex), kInternal, "target 80");
  policy->use = PolicyUse::inference;
  std::vector<float> gradients(static_cast<size_t>(policy->table.size));
  EXPECT_ERROR(pack_loss(*policy, state, text_pack({1, 2, 3}), 1.0f, [](int64_t, float, float) { return 0.0f; },
                         {gradients.data(), DType::f32, {policy->table.size}}, ex),
               kInternal, "a policy for inference");
  KvCache cache(*policy, 1, 16);
  PageTable pages;
  EXPECT_TRUE(cache.grow(pages, 16));
  ForwardState forward(*policy, 16);
  const ForwardRun run{std::span(nine).first(5), 12, &pages};
  EXPECT_ERROR(forward_cached(*policy, cache, forward, {&run, 1}, ex), kInternal, "17 positions in 1 pages of 16");
  ++policy->version;
  const ForwardRun fits{std::span(nine).first(2), 0, &pages};
  EXPECT_ERROR(forward_cached(*policy, cache, forward, {&fits, 1}, ex), kInternal, "policy version 0");
}

}  // namespace
}  // namespace cohort
