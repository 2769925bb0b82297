// The same tokens and log-probs whatever the batch, the budget of rows, the pages and the memory for them, and the threads.
#include <gtest/gtest.h>

#include "core/rng.h"
#include "rollout/generator.h"
#include "tests/core/expect_error.h"
#include "tests/model/tiny_model.h"

namespace cohort {
namespace {

constexpr int64_t kLongestPrompt = 50, kCompletion = 30;
constexpr uint64_t kSeed = 20261124;

struct Workload {
  std::vector<std::vector<int32_t>> prompts;
  std::vector<GenerateRequest> requests;

  Workload(Random& random, int64_t groups, int64_t samples) {
    for (int64_t g = 0; g < groups; ++g) {
      const int64_t lengths[] = {1, 8, 16, 17, kLongestPrompt, random.between(1, kLongestPrompt)};
      prompts.emplace_back();
      for (int64_t i = lengths[g % 6]; i > 0; --i) prompts.back().push_back(static_cast<int32_t>(3 + random.below(77)));
    }
    for (int64_t g = 0; g < groups; ++g)
      for (int64_t s = 0; s < samples; ++s)
        requests.push_back({prompts[static_cast<size_t>(g)], g, static_cast<uint32_t>(g * samples + s)});
  }
};

GeneratorConfig base_config() {
  GeneratorConfig c;
  c.max_completion_length = kCompletion;
  c.min_completion_length = 3;
  c.stop_token_ids = {1, 2, 5};
  c.seed = 5;
  return c;
}

TEST(GeneratorSettings, NoneOfTwoHundredChangesABit) {
  Random random(kSeed, Stream::kTest);
  SCOPED_TRACE(fmt::format("seed {}", kSeed));
  const Workload work(random, 7, 5);
  ExecOwner one(1), three(3);
  const auto policy = tiny_policy(DType::bf16, 9, one.exec());
  GeneratorConfig plain = base_config();
  plain.max_num_seqs = 1;
  const std::vector<Rollout> expected = Generator(*policy, plain, kLongestPrompt).generate(work.requests, 2, one.exec());
  int64_t preemptions = 0, settings_with_preemptions = 0;
  for (int setting = 0; setting < 200; ++setting) {
    GeneratorConfig c = base_config();
    c.max_num_seqs = random.between(1, 40);
    c.max_num_batched_tokens = random.below(3) == 0 ? random.between(1, 12) : random.between(1, 300);
    c.page_tokens = int64_t{1} << random.between(4, 8);
    const int64_t whole = kLongestPrompt + kCompletion;
    if (random.below(4) > 0) c.kv_cache_tokens = whole * (random.below(2) == 0 ? 1 : random.between(1, 4)) + random.between(0, 70);
    std::vector<GenerateRequest> requests = work.requests;
    if (random.below(4) == 0) std::reverse(requests.begin(), requests.end());
    Generator generator(*policy, c, kLongestPrompt);
    const std::vector<Rollout> got = generator.generate(requests, 2, random.below(3) == 0 ? three.exec() : one.exec());
    ASSERT_EQ(got.size(), expected.size());
    for (size_t i = 0; i < got.size(); ++i) {
      const Rollout& wanted = expected[requests[i].sequence];
      ASSERT_TRUE(got[i].tokens == wanted.tokens && got[i].logprobs == wanted.logprobs &&
                  got[i].finish_reason == wanted.finish_reason && got[i].kept_mass == wanted.kept_mass)
          << "setting " << setting << ": " << c.max_num_seqs << " sequences, " << c.max_num_batched_tokens << " rows, pages of "
          << c.page_tokens << ", cache of " << c.kv_cache_tokens << ": request " << i;
    }
    preemptions += generator.stats().preemptions;
    settings_with_preemptions += generator.stats().preemptions > 0;
  }
  EXPECT_GT(settings_with_preemptions, 20) << preemptions;
}

TEST(GeneratorSettings, AGroupsPromptIsRunOnceAndItsPagesAreShared) {
  ExecOwner owner(1);
  const auto policy = tiny_policy(DType::bf16, 9, owner.exec());
  const std::vector<int32_t> prompt(48, 9);
  std::vector<GenerateRequest> requests;
  for (uint32_t s = 0; s < 16; ++s) requests.push_back({prompt, 0, s});
  GeneratorConfig c = base_config();
  c.stop_token_ids = {};
  c.max_completion_length = 16;
  c.max_num_seqs = 16;
  c.page_tokens = 16;
  c.kv_cache_tokens = 48 + 16 * 16;  // the prompt once, and each completion
  Generator generator(*policy, c, 48);
  generator.generate(requests, 0, owner.exec());
  EXPECT_EQ(generator.stats().prefill_tokens, 48);
  EXPECT_EQ(generator.stats().preemptions, 0);
}

TEST(GeneratorSettings, ACacheTooSmallForOneSequenceIsRefused) {
  ExecOwner owner(1);
  const auto policy = tiny_policy(DType::f32, 9, owner.exec());
  GeneratorConfig c = base_config();
  c.kv_cache_tokens = kLongestPrompt + kCompletion - 1;
  EXPECT_ERROR(Generator(*policy, c, kLongestPrompt), kUsage, "a kv cache of 79 tokens does not hold one sequence of up to 80");
}

}  // namespace
}  // namespace cohort
