// Requests that leave a generator before it has begun them, and others that come while it runs: each that it makes has the tokens
// that it always has.
#include <gtest/gtest.h>

#include <set>

#include "core/rng.h"
#include "rollout/generator.h"
#include "tests/model/tiny_model.h"

namespace cohort {
namespace {

TEST(RequestShare, MovingRequestsChangesNoBit) {
  constexpr uint64_t kSeed = 20261130;
  SCOPED_TRACE(fmt::format("seed {}", kSeed));
  Random random(kSeed, Stream::kTest);
  ExecOwner owner(1);
  const auto policy = tiny_policy(DType::bf16, 9, owner.exec());
  std::vector<std::vector<int32_t>> prompts;
  std::vector<GenerateRequest> requests;
  for (int64_t g = 0; g < 6; ++g) prompts.emplace_back(static_cast<size_t>(random.between(1, 40)), static_cast<int32_t>(5 + g));
  for (uint32_t i = 0; i < 30; ++i) requests.push_back({prompts[i / 5], i / 5, i});
  GeneratorConfig plain;
  plain.max_completion_length = 30;
  plain.stop_token_ids = {1, 2, 5};
  plain.max_num_seqs = 1;
  const std::vector<Rollout> expected = Generator(*policy, plain, 40).generate(requests, 2, owner.exec());
  int64_t moved = 0, came = 0, preemptions = 0, kept_rows = 0;
  for (int round = 0; round < 60; ++round) {
    GeneratorConfig c = plain;
    c.max_num_seqs = random.between(1, 12);
    c.page_tokens = 16;
    if (random.below(2) == 0)  // so few pages that sequences are sent back to the queue
      c.kv_cache = {.gb = static_cast<double>(7 * kv_page_bytes(policy->config, policy->dtype, 16)) / 1e9 * (1 + 1e-12)};
    RequestShare share;
    std::vector<size_t> others;
    std::set<size_t> made, foreign;
    for (size_t i = 0; i < requests.size(); ++i) (random.below(2) == 0 ? share.mine : others).push_back(i);
    made.insert(share.mine.begin(), share.mine.end());
    share.exchange = [&](std::deque<size_t>& waiting, size_t movable, size_t room, bool idle) {
      EXPECT_LE(movable, waiting.size());
      EXPECT_LE(room, static_cast<size_t>(c.max_num_seqs));
      EXPECT_TRUE(!idle || (waiting.empty() && room == static_cast<size_t>(c.max_num_seqs)));
      if (movable > 0 && random.below(4) == 0) {
        made.erase(waiting.back()), foreign.erase(waiting.back());
        waiting.pop_back();
        ++moved;
      }
      if (!others.empty() && random.below(4) == 0) {
        waiting.push_back(others.back());
        made.insert(others.back()), foreign.insert(others.back());
        others.pop_back();
        ++came;
      }
      return !others.empty();
    };
    ActivationTape tape(policy->config, policy->dtype, random.below(2) == 0 ? 900 : 200);
    tape.begin(policy->version);
    Generator generator(*policy, c, 40);
    std::set<size_t> completed;
    const std::vector<Rollout> got = generator.generate(requests, 2, owner.exec(), {}, {}, &tape,
                                                        [&](size_t i, const Rollout&) { EXPECT_TRUE(completed.insert(i).second); }, &share);
    EXPECT_EQ(completed, made) << round;
    ASSERT_EQ(got.size(), requests.size());
    for (size_t i = 0; i < got.size(); ++i) {
      if (made.contains(i)) {
        ASSERT_TRUE(got[i].tokens == expected[i].tokens && got[i].logprobs == expected[i].logprobs) << "round " << round << ", request " << i;
        kept_rows += static_cast<int64_t>(got[i].slots.size());
      } else {
        EXPECT_TRUE(got[i].tokens.empty()) << "round " << round << ", request " << i;
      }
      if (foreign.contains(i) || !made.contains(i)) {
        EXPECT_TRUE(got[i].slots.empty()) << "round " << round << ", request " << i;
      }
    }
    preemptions += generator.stats().preemptions;
  }
  EXPECT_GT(moved, 50);
  EXPECT_GT(came, 200);
  EXPECT_GT(preemptions, 10);
  EXPECT_GT(kept_rows, 1000);
}

TEST(RequestShare, WithoutRequestsThereIsNothingToDo) {
  ExecOwner owner(1);
  const auto policy = tiny_policy(DType::bf16, 9, owner.exec());
  const std::vector<int32_t> prompt = {5, 6};
  const std::vector<GenerateRequest> requests = {{prompt, 0, 0}};
  Generator generator(*policy, {.max_completion_length = 3}, 8);
  const RequestShare none;
  const std::vector<Rollout> got = generator.generate(requests, 0, owner.exec(), {}, {}, nullptr, {}, &none);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_TRUE(got[0].tokens.empty());
}

}  // namespace
}  // namespace cohort
