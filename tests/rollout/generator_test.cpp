// The generator: a completion is a function of weights, prompt and key, whatever happens around it.
#include "rollout/generator.h"

#include <gtest/gtest.h>

#include "core/rng.h"
#include "tests/core/expect_error.h"
#include "tests/model/tiny_model.h"

namespace cohort {
namespace {

struct Fixture {
  explicit Fixture(int threads, DType dtype = DType::bf16) : owner(threads), policy(tiny_policy(dtype, 9, owner.exec())) {}
  ExecOwner owner;
  std::unique_ptr<Policy> policy;
};

GeneratorConfig config(int64_t seqs = 8, int64_t batched = 64) {
  GeneratorConfig c;
  c.max_completion_length = 24;
  c.stop_token_ids = {1, 2};
  c.max_num_seqs = seqs;
  c.max_num_batched_tokens = batched;
  c.seed = 77;
  return c;
}

using Prompts = std::vector<std::vector<int32_t>>;
Prompts make_prompts() {
  Random random(21, Stream::kTest);
  Prompts result;
  for (const int64_t length : {1, 5, 17, 40, 3}) {
    result.emplace_back();
    for (int64_t i = 0; i < length; ++i) result.back().push_back(static_cast<int32_t>(3 + random.below(77)));
  }
  return result;
}

const Prompts& prompts() {  // requests point into them
  static const Prompts all = make_prompts();
  return all;
}

std::vector<GenerateRequest> requests(const Prompts& prompts, int64_t samples) {
  std::vector<GenerateRequest> result;
  for (size_t g = 0; g < prompts.size(); ++g)
    for (int64_t s = 0; s < samples; ++s)
      result.push_back({prompts[g], static_cast<int64_t>(g), static_cast<uint32_t>(g * samples + s)});
  return result;
}

void expect_same(const Rollout& a, const Rollout& b) {
  EXPECT_EQ(a.tokens, b.tokens);
  EXPECT_EQ(a.logprobs, b.logprobs);  // ==, not nearly
  EXPECT_EQ(a.finish_reason, b.finish_reason);
  EXPECT_EQ(a.kept_mass, b.kept_mass);
}

TEST(Generator, SameTokensAloneOrInABatch) {
  const Prompts& texts = prompts();
  const auto all = requests(texts, 6);
  Fixture first(1);
  Generator reference(*first.policy, config(), 40);
  const std::vector<Rollout> expected = reference.generate(all, 3, first.owner.exec());
  ASSERT_EQ(expected.size(), all.size());
  bool stopped = false, cut = false;
  for (const Rollout& r : expected) {
    ASSERT_EQ(r.tokens.size(), r.logprobs.size());
    const bool at_stop = r.tokens.back() == 1 || r.tokens.back() == 2;
    EXPECT_EQ(r.finish_reason == FinishReason::stop, at_stop);
    EXPECT_TRUE(at_stop || r.tokens.size() == 24u);
    (at_stop ? stopped : cut) = true;
  }
  EXPECT_TRUE(stopped && cut) << "the case should show both ways to end";
  // Alone, in other batches, with other budgets, more threads, in another order.
  for (size_t i = 0; i < all.size(); i += 4) {
    Generator alone(*first.policy, config(1, 16), 40);
    expect_same(alone.generate({&all[i], 1}, 3, first.owner.exec())[0], expected[i]);
  }
  for (const int threads : {1, 3}) {
    Fixture other(threads);
    for (const auto& [seqs, batched] : {std::pair<int64_t, int64_t>{3, 7}, {30, 512}, {5, 1}}) {
      Generator generator(*other.policy, config(seqs, batched), 40);
      const auto got = generator.generate(all, 3, other.owner.exec());
      for (size_t i = 0; i < all.size(); ++i) expect_same(got[i], expected[i]);
    }
  }
  std::vector<GenerateRequest> reversed(all.rbegin(), all.rend());
  Generator generator(*first.policy, config(4, 64), 40);
  const auto got = generator.generate(reversed, 3, first.owner.exec());
  for (size_t i = 0; i < all.size(); ++i) expect_same(got[all.size() - 1 - i], expected[i]);
}

TEST(Generator, SamplesOfAGroupAndStepsDiffer) {
  Fixture f(1);
  const Prompts one = {prompts()[2]};
  const auto all = requests(one, 8);
  Generator generator(*f.policy, config(), 40);
  const auto a = generator.generate(all, 1, f.owner.exec()), b = generator.generate(all, 2, f.owner.exec());
  int equal = 0;
  for (size_t i = 1; i < 8; ++i) equal += a[i].tokens == a[0].tokens;
  EXPECT_LT(equal, 3);
  EXPECT_NE(a[0].tokens, b[0].tokens);
  const auto again = generator.generate(all, 1, f.owner.exec());
  for (size_t i = 0; i < 8; ++i) expect_same(again[i], a[i]);
}

TEST(Generator, RecordsTheLogProbsThatTheTrainerComputes) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const float temperature : {1.0f, 0.6f}) {
      Fixture f(2, dtype);
      GeneratorConfig c = config();
      c.sampling.temperature = temperature;
      c.sampling.top_k = 20;  // filters change what is drawn, never what is recorded
      Generator generator(*f.policy, c, 40);
      const Prompts& texts = prompts();
      const auto rollouts = generator.generate(requests(texts, 2), 0, f.owner.exec());
      TrainState state(*f.policy, 64, 64);
      for (size_t i = 0; i < rollouts.size(); ++i) {
        const std::vector<int32_t>& prompt = texts[i / 2];
        const Rollout& r = rollouts[i];
        TokenPack pack;
        pack.tokens = prompt;
        pack.tokens.insert(pack.tokens.end(), r.tokens.begin(), r.tokens.end() - 1);
        for (size_t p = 0; p < pack.tokens.size(); ++p) pack.positions.push_back(static_cast<int32_t>(p));
        pack.runs.push_back({0, static_cast<int64_t>(pack.tokens.size()), 0, 0});
        for (size_t t = 0; t < r.tokens.size(); ++t) {
          pack.rows.push_back(static_cast<int32_t>(prompt.size() + t - 1));
          pack.targets.push_back(r.tokens[t]);
        }
        std::vector<float> logprobs(r.tokens.size());
        pack_logprobs(*f.policy, state, pack, temperature, logprobs, {}, f.owner.exec());
        EXPECT_EQ(logprobs, r.logprobs) << i;
        EXPECT_LT(r.kept_mass, 1.0f);
      }
    }
  }
}

TEST(Generator, StopTokensAreBannedBeforeTheMinimum) {
  Fixture f(1);
  GeneratorConfig c = config();
  c.min_completion_length = 12;
  c.stop_token_ids.clear();
  for (int32_t id = 0; id < 60; ++id) c.stop_token_ids.push_back(id);  // without the ban most would stop at once
  Generator generator(*f.policy, c, 40);
  for (const Rollout& r : generator.generate(requests(prompts(), 3), 0, f.owner.exec())) {
    EXPECT_GE(r.tokens.size(), 13u);
    for (size_t t = 0; t < 12; ++t) EXPECT_GE(r.tokens[t], 60);
  }
}

TEST(Generator, GreedyTakesTheLargestAndCountsProgress) {
  Fixture f(1);
  GeneratorConfig c = config();
  c.sampling.temperature = 0;
  Generator generator(*f.policy, c, 40);
  const auto all = requests(prompts(), 2);
  int64_t last = 0;
  const auto rollouts = generator.generate(all, 0, f.owner.exec(), [&](int64_t done) {
    EXPECT_GE(done, last);
    last = done;
  });
  EXPECT_EQ(last, 10);
  for (size_t i = 0; i < all.size(); i += 2) EXPECT_EQ(rollouts[i].tokens, rollouts[i + 1].tokens);
  int64_t tokens = 0;
  for (const Rollout& r : rollouts) tokens += static_cast<int64_t>(r.tokens.size());
  EXPECT_EQ(generator.stats().decode_tokens, tokens);
  EXPECT_EQ(generator.stats().prefill_tokens, 1 + 5 + 17 + 40 + 3);  // each prompt once
  EXPECT_EQ(generator.stats().cached_tokens, 1 + 5 + 17 + 40 + 3);   // and once from its pages
}

TEST(Generator, ACallThatIsLeftKeepsWhatWasDrawnAndTheNextOneIsWhole) {
  Fixture f(1);
  const auto all = requests(prompts(), 4);
  Generator generator(*f.policy, config(6), 40);
  const auto expected = generator.generate(all, 3, f.owner.exec());
  for (const int passes : {1, 2, 5, 9, 14}) {
    int asked = 0;
    const auto left = generator.generate(all, 3, f.owner.exec(), {}, [&] { return ++asked == passes; });
    EXPECT_EQ(asked, passes) << "not asked again";
    int64_t aborted = 0, untouched = 0;
    for (size_t i = 0; i < all.size(); ++i) {
      const Rollout &r = left[i], &whole = expected[i];
      if (r.finish_reason != FinishReason::abort) {
        expect_same(r, whole);
        continue;
      }
      ++aborted, untouched += r.tokens.empty();
      ASSERT_LE(r.tokens.size(), whole.tokens.size());
      EXPECT_TRUE(std::equal(r.tokens.begin(), r.tokens.end(), whole.tokens.begin()));
      EXPECT_TRUE(std::equal(r.logprobs.begin(), r.logprobs.end(), whole.logprobs.begin()));
      EXPECT_EQ(r.logprobs.size(), r.tokens.size());
      EXPECT_EQ(r.policy_version, f.policy->version);
    }
    EXPECT_GT(aborted, 6);
    EXPECT_GT(untouched, 0);
    const auto again = generator.generate(all, 3, f.owner.exec());
    for (size_t i = 0; i < all.size(); ++i) expect_same(again[i], expected[i]);
  }
}

TEST(Generator, ACallThatThrewLeavesTheNextOneWhole) {
  Fixture f(1);
  const auto all = requests(prompts(), 4);
  Generator generator(*f.policy, config(6), 40);
  const auto expected = generator.generate(all, 3, f.owner.exec());
  int passes = 0;
  EXPECT_THROW(generator.generate(all, 3, f.owner.exec(), [&](int64_t) { if (++passes == 4) throw std::runtime_error("x"); }),
               std::runtime_error);
  const auto again = generator.generate(all, 3, f.owner.exec());
  for (size_t i = 0; i < all.size(); ++i) expect_same(again[i], expected[i]);
}

TEST(Generator, OccupancyIsOneUntilTheTail) {
  Fixture f(1);
  GeneratorConfig c = config(4);
  c.stop_token_ids = {};  // all of one length
  const auto all = requests(prompts(), 4);  // 20, four at a time
  Generator even(*f.policy, c, 40);
  even.generate(std::span(all).first(4), 0, f.owner.exec());
  EXPECT_EQ(even.stats().occupancy(), 1.0);
  even.generate(std::span(all).first(3), 0, f.owner.exec());
  EXPECT_EQ(even.stats().occupancy(), 1.0) << "more than there are cannot be in flight";
  Generator uneven(*f.policy, config(20), 40);
  uneven.generate(all, 3, f.owner.exec());
  EXPECT_GT(uneven.stats().occupancy(), 0.05);
  EXPECT_LT(uneven.stats().occupancy(), 0.999);
}

TEST(Generator, RefusesWhatDoesNotFit) {
  Fixture f(1);
  EXPECT_ERROR(Generator(*f.policy, config(), 120), kUsage, "128 positions");
  Generator generator(*f.policy, config(), 4);
  EXPECT_ERROR(generator.generate(requests(prompts(), 1), 0, f.owner.exec()), kInternal, "a prompt of 5 tokens");
}

}  // namespace
}  // namespace cohort
