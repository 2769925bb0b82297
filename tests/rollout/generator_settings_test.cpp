// The same tokens and log-probs whatever the batch, the budget of rows, the pages and the memory for them, the order of the
// requests and what is expected of them, and the threads.
#include <gtest/gtest.h>

#include "core/rng.h"
#include "rollout/generator.h"
#include "tests/model/tiny_model.h"
#include "tests/rollout/tiny_text.h"

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

// Whole pages for at least so many positions.
CacheLimit cache_of(const Policy& policy, const GeneratorConfig& config, int64_t positions) {
  const int64_t pages = (positions + config.page_tokens - 1) / config.page_tokens;
  return {.gb = static_cast<double>(pages * kv_page_bytes(policy.config, policy.dtype, config.page_tokens)) / 1e9 * (1 + 1e-12)};
}

// What ends completions changes their bits, so each way has an expectation of its own: made one sequence at a time.
struct Ending {
  std::vector<std::string> stop;
  std::vector<int32_t> stop_token_ids;
  int64_t min_completion_length;
  std::vector<Rollout> expected = {};
};

TEST(GeneratorSettings, NoneOfTwoHundredAndFiftyChangesABit) {
  Random random(kSeed, Stream::kTest);
  SCOPED_TRACE(fmt::format("seed {}", kSeed));
  const Workload work(random, 7, 5);
  ExecOwner one(1), three(3);
  const auto policy = tiny_policy(DType::bf16, 9, one.exec());
  const Tokenizer tokenizer = tiny_tokenizer();
  std::vector<Ending> endings = {{{}, {1, 2, 5}, 3},
                                 {{"b", "en", "\n\n"}, {1, 2, 5}, 3},
                                 {{"é", "nd", "xyz", "a"}, {1}, 0},
                                 {{"c", "€"}, {1, 2}, 12}};
  const auto config_of = [&](const Ending& ending) {
    GeneratorConfig c = base_config();
    c.stop = ending.stop;
    c.tokenizer = &tokenizer;
    c.stop_token_ids = ending.stop_token_ids;
    c.min_completion_length = ending.min_completion_length;
    return c;
  };
  for (Ending& ending : endings) {
    GeneratorConfig plain = config_of(ending);
    plain.max_num_seqs = 1;
    ending.expected = Generator(*policy, plain, kLongestPrompt).generate(work.requests, 2, one.exec());
  }
  int64_t preemptions = 0, settings_with_preemptions = 0, stopped_by_text = 0;
  for (int setting = 0; setting < 250; ++setting) {
    const Ending& ending = endings[random.below(endings.size())];
    GeneratorConfig c = config_of(ending);
    c.max_num_seqs = random.between(1, 40);
    c.max_num_batched_tokens = random.below(3) == 0 ? random.between(1, 12) : random.between(1, 300);
    c.page_tokens = int64_t{1} << random.between(4, random.below(3) == 0 ? 8 : 4);
    const int64_t whole = kLongestPrompt + kCompletion;
    if (random.below(4) > 0)
      c.kv_cache = cache_of(*policy, c, whole * (random.below(3) > 0 ? 1 : random.between(1, 4)) + random.between(0, 70));
    std::vector<GenerateRequest> requests = work.requests;
    const uint64_t order = random.below(4);
    if (order == 0) std::reverse(requests.begin(), requests.end());
    if (order == 1)
      for (size_t i = requests.size(); i > 1; --i) std::swap(requests[i - 1], requests[random.below(i)]);
    const bool lengths_known = random.below(2) == 0;
    for (GenerateRequest& request : requests) request.expected_length = lengths_known ? random.between(0, kCompletion) : 0;
    const Exec& ex = random.below(3) == 0 ? three.exec() : one.exec();
    Generator generator(*policy, c, kLongestPrompt);
    if (random.below(6) == 0) {  // after a call that was left
      const int64_t passes = random.between(1, 30);
      int64_t asked = 0;
      generator.generate(requests, 9, ex, {}, [&] { return ++asked == passes; });
    }
    const std::vector<Rollout> got = generator.generate(requests, 2, ex);
    ASSERT_EQ(got.size(), ending.expected.size());
    for (size_t i = 0; i < got.size(); ++i) {
      const Rollout& wanted = ending.expected[requests[i].sequence];
      ASSERT_TRUE(got[i].tokens == wanted.tokens && got[i].logprobs == wanted.logprobs &&
                  got[i].finish_reason == wanted.finish_reason && got[i].kept_mass == wanted.kept_mass)
          << "setting " << setting << ": " << c.max_num_seqs << " sequences, " << c.max_num_batched_tokens << " rows, pages of "
          << c.page_tokens << ", cache of " << generator.cache_size().pages << ", order " << order << ", stop '"
          << fmt::format("{}", fmt::join(c.stop, "', '")) << "': request " << i;
      stopped_by_text += got[i].finish_reason == FinishReason::stop &&
                         std::ranges::find(c.stop_token_ids, got[i].tokens.back()) == c.stop_token_ids.end();
    }
    preemptions += generator.stats().preemptions;
    settings_with_preemptions += generator.stats().preemptions > 0;
  }
  EXPECT_GT(settings_with_preemptions, 25) << preemptions;
  EXPECT_GT(stopped_by_text, 1000);
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
  c.kv_cache = cache_of(*policy, c, 48 + 16 * 16);  // the prompt once, and each completion
  Generator generator(*policy, c, 48);
  generator.generate(requests, 0, owner.exec());
  EXPECT_EQ(generator.stats().prefill_tokens, 48);
  EXPECT_EQ(generator.stats().preemptions, 0);
}

}  // namespace
}  // namespace cohort
