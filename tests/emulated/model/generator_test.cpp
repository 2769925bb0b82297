// Sampling on a GPU, where a pass begins before the host knows what the last one drew: what comes out is what a draw after
// the other gives, whatever the batch, the pages and the order of the device's work.
#include "rollout/generator.h"

#include <random>

#include "core/rng.h"
#include "model/gpu_draws.h"
#include "rollout/stop_text.h"
#include "tests/core/expect_error.h"
#include "tests/emulated/model/gpu_model.h"
#include "tests/rollout/tiny_text.h"

namespace cohort {
namespace {

constexpr int64_t kLongestPrompt = 20, kCompletion = 24;

class GpuGenerator : public GpuModel {
 protected:
  // One token after the other, each from the whole text, known before the next.
  static Rollout slowly(const Policy& policy, const GenerateRequest& request, const GeneratorConfig& c, uint32_t step, const Exec& ex) {
    std::vector<int32_t> text(request.prompt.begin(), request.prompt.end());
    Rollout rollout;
    StopText stop_text(*c.tokenizer, c.stop);
    while (std::ssize(rollout.tokens) < c.max_completion_length) {
      KvCache cache(policy, 8, 16);
      cache.version = policy.version;
      PageTable pages;
      const auto length = static_cast<int64_t>(text.size());
      CHECK(cache.grow(pages, length), "no pages");
      ForwardState state(policy, length);
      const ForwardRun run{text, 0, &pages};
      const Tensor h = forward_cached(policy, cache, state, {&run, 1}, ex);
      const auto position = static_cast<uint32_t>(rollout.tokens.size());
      const DrawKey key{c.seed, step, request.sequence, position};
      const Ban ban{position < c.min_completion_length ? std::span(c.stop_token_ids) : std::span<const int32_t>(), UINT32_MAX};
      SampledToken drawn{};
      sample_head({&drawn, 1}, h.slice_rows(length - 1, 1), policy.packed_head, policy.config.logit_softcap, c.sampling, {&key, 1}, ban, ex);
      text.push_back(drawn.token);
      rollout.tokens.push_back(drawn.token);
      rollout.logprobs.push_back(drawn.logprob);
      const bool stop_token = std::ranges::find(c.stop_token_ids, drawn.token) != c.stop_token_ids.end();
      if (stop_token || (stop_text.add(drawn.token) && position >= c.min_completion_length)) {
        rollout.finish_reason = FinishReason::stop;
        break;
      }
    }
    return rollout;
  }
};

TEST_F(GpuGenerator, GivesWhatOneTokenAfterTheOtherGives) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  Random random(seed, Stream::kTest);
  ExecOwner owner(1, {}, gpu_);
  const auto policy = tiny_policy(DType::bf16, 9, owner.exec());
  const Tokenizer tokenizer = tiny_tokenizer();
  std::vector<std::vector<int32_t>> prompts;
  std::vector<GenerateRequest> requests;
  for (const int64_t length : {1, 16, 7, 20}) {
    prompts.emplace_back();
    for (int64_t i = 0; i < length; ++i) prompts.back().push_back(static_cast<int32_t>(3 + random.below(77)));
  }
  for (uint32_t i = 0; i < 12; ++i) requests.push_back({prompts[i / 3], i / 3, i});
  GeneratorConfig c;
  c.max_completion_length = kCompletion, c.min_completion_length = 2, c.seed = 5;
  c.stop_token_ids = {1, 2, 5, 11, 30}, c.stop = {"b", "en", "e"}, c.tokenizer = &tokenizer;
  std::vector<Rollout> expected;
  const auto expect_of = [&] {
    expected.clear();
    for (const GenerateRequest& request : requests) expected.push_back(slowly(*policy, request, c, 2, owner.exec()));
  };
  expect_of();

  int64_t preemptions = 0, replayed = 0;
  for (int setting = 0; setting < 9; ++setting) {
    emulated::set_settings(emulated::parse_settings(kGpuOrders[setting % 3]));
    if (setting == 6) {  // completions that only their length ends, and too few pages for them
      c.stop_token_ids.clear(), c.stop.clear();
      expect_of();
    }
    c.max_num_seqs = setting < 6 ? random.between(1, 13) : 12;
    c.max_num_batched_tokens = random.below(2) == 0 ? random.between(1, 12) : 100;
    c.page_tokens = 16;
    const int64_t pages = setting < 3 ? 0 : random.between(setting < 6 ? 3 : 5, 7);  // 3: one sequence; 0: all of them
    c.kv_cache.gb = static_cast<double>(pages * kv_page_bytes(policy->config, policy->dtype, c.page_tokens)) / 1e9 * (1 + 1e-12);
    Generator generator(*policy, c, kLongestPrompt);
    if (setting % 2 == 0) {  // after a call that was left: each has the first of its tokens
      int64_t asked = 0;
      const int64_t passes = random.between(1, 9);
      const std::vector<Rollout> left = generator.generate(requests, 2, owner.exec(), {}, [&] { return ++asked == passes; });
      for (size_t i = 0; i < left.size(); ++i) {
        ASSERT_LE(left[i].tokens.size(), expected[i].tokens.size());
        ASSERT_TRUE(std::equal(left[i].tokens.begin(), left[i].tokens.end(), expected[i].tokens.begin())) << "request " << i;
        ASSERT_EQ(left[i].finish_reason == FinishReason::abort, left[i].tokens.size() < expected[i].tokens.size()) << "request " << i;
      }
    }
    int64_t completed = 0, tokens = 0;
    const std::vector<Rollout> got = generator.generate(requests, 2, owner.exec(), {}, {}, nullptr, [&](size_t i, const Rollout& rollout) {
      ++completed;
      EXPECT_EQ(rollout.tokens, expected[i].tokens);
    });
    for (size_t i = 0; i < got.size(); ++i) {
      ASSERT_TRUE(got[i].tokens == expected[i].tokens && got[i].logprobs == expected[i].logprobs &&
                  got[i].finish_reason == expected[i].finish_reason && got[i].kept_mass == 1.0f)
          << "setting " << setting << ": " << c.max_num_seqs << " sequences, " << c.max_num_batched_tokens << " rows, " << pages
          << " pages: request " << i;
      tokens += std::ssize(got[i].tokens);
    }
    EXPECT_EQ(completed, 12);
    EXPECT_EQ(generator.stats().decode_tokens, tokens);
    replayed += generator.graphs().replayed;
    preemptions += generator.stats().preemptions;
  }
  EXPECT_GT(preemptions, 0);
  EXPECT_GT(replayed, 0);
}

// The next draw is on its way, and the last one's tokens are not lost.
TEST_F(GpuGenerator, TwoDrawsMayWaitToBeRead) {
  ExecOwner owner(1, {}, gpu_);
  for (const char* order : kGpuOrders) {
    emulated::set_settings(emulated::parse_settings(order));
    const auto policy = tiny_policy(DType::bf16, 9, owner.exec());
    KvCache cache(*policy, 2, 16);
    cache.version = policy->version;
    PageTable pages;
    ASSERT_TRUE(cache.grow(pages, 20));
    ForwardState state(*policy, 20);
    const std::vector<int32_t> prompt = {3, 9, 40, 7};
    const ForwardRun first{prompt, 0, &pages};
    const DrawKey keys[] = {{1, 2, 3, 0}, {1, 2, 3, 1}};
    SampledToken wanted[2], got[2];
    const auto draw = [&](Tensor h, int i) { return sample_head({&wanted[i], 1}, h, policy->packed_head, 0, {}, {&keys[i], 1}, {}, owner.exec()); };
    draw(forward_cached(*policy, cache, state, {&first, 1}, owner.exec()).slice_rows(3, 1), 0);
    ForwardRun second{{&wanted[0].token, 1}, 4, &pages};
    draw(forward_cached(*policy, cache, state, {&second, 1}, owner.exec()), 1);

    GpuDraws draws(4);
    const auto launch = [&](Tensor h, int i) {
      draws.sample_head(h, policy->packed_head, 0, {}, {&keys[i], 1}, {});
      draws.send({&keys[i], 1}, 1, 1);
    };
    EXPECT_FALSE(draws.tokens());
    launch(forward_cached(*policy, cache, state, {&first, 1}, owner.exec()).slice_rows(3, 1), 0);
    const int32_t unknown = -1;
    second.tokens = {&unknown, 1};
    const Tensor h = forward_cached(*policy, cache, state, {&second, 1}, owner.exec(), {}, draws.tokens());
    launch(h, 1);
    EXPECT_ERROR(launch(h, 1), kInternal, "with 2 unread");
    for (int i : {0, 1}) draws.read({&got[i], 1});
    for (int i : {0, 1}) {
      EXPECT_EQ(got[i].token, wanted[i].token) << order;
      EXPECT_EQ(got[i].logprob, wanted[i].logprob) << order;
    }
    EXPECT_ERROR(draws.read({got, 1}), kInternal, "no draw is left to read");
    const int32_t never_drawn = -2;
    second.tokens = {&never_drawn, 1};
    EXPECT_ERROR(forward_cached(*policy, cache, state, {&second, 1}, owner.exec(), {}, draws.tokens()), kInternal, "with 1 drawn");
  }
}

}  // namespace
}  // namespace cohort
