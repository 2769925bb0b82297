// What a tape keeps of a call: the rows of whole completions, the same whatever the batch, the budget, the pages and the
// memory for them, and without a change to what is sampled.
#include "rollout/taped_rows.h"

#include <gtest/gtest.h>

#include <random>

#include "core/rng.h"
#include "tests/core/expect_error.h"
#include "tests/model/tiny_model.h"

namespace cohort {
namespace {

GenerateRequest request(std::span<const int32_t> prompt, int64_t group, int64_t expected) {
  return {.prompt = prompt, .group = group, .sequence = 0, .expected_length = expected};
}

TEST(TapedRequests, AreAllWhereTheLongestFitElseTheFirstThatAreExpectedTo) {
  const std::vector<int32_t> prompt(10);
  const std::vector<GenerateRequest> requests = {request(prompt, 0, 40), request(prompt, 0, 8), request(prompt, 1, 0),
                                                 request(prompt, 1, 20)};
  const auto count = [&](int64_t slots) { return std::ranges::count(taped_requests(requests, slots, 50), true); };
  EXPECT_EQ(count(220), 4) << "2 prompts and 4 completions of 50";
  EXPECT_EQ(count(165), 4) << "10 + 50 + 10, 10 + 50 + 25";
  EXPECT_EQ(count(154), 3);
  EXPECT_EQ(count(129), 2) << "of the third's length nothing is known";
  EXPECT_EQ(count(70), 2);
  EXPECT_EQ(count(69), 1);
  EXPECT_EQ(count(59), 0);
  const std::vector<bool> two = taped_requests(requests, 100, 50);
  EXPECT_TRUE(two[0] && two[1] && !two[2] && !two[3]);
}

// All that the tape holds of a row.
std::string row_of(const ActivationTape& tape, int64_t layers, int32_t slot) {
  std::string bytes;
  const auto add = [&](Tensor t) {
    const Tensor row = t.slice_rows(slot, 1);
    bytes.append(static_cast<const char*>(row.data), row.bytes());
  };
  for (int64_t l = 0; l < layers; ++l) {
    const LayerActivations& a = tape.layer(l);
    add(a.x_in), add(a.x_mid), add(a.lse);
    add(a.block.q), add(a.block.k), add(a.block.v), add(a.block.attention), add(a.block.gate_up);
  }
  add(tape.x_out());
  return bytes;
}

TEST(TapedRows, AreTheSameForAnySettings) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  Random random(seed, Stream::kTest);
  ExecOwner one(1), three(3);
  const auto policy = tiny_policy(DType::bf16, 9, one.exec());
  std::vector<std::vector<int32_t>> prompts(5);
  std::vector<GenerateRequest> work;
  for (size_t g = 0; g < prompts.size(); ++g) {
    for (int64_t i = random.between(1, 40); i > 0; --i) prompts[g].push_back(static_cast<int32_t>(3 + random.below(77)));
    for (uint32_t s = 0; s < 4; ++s) work.push_back({prompts[g], static_cast<int64_t>(g), static_cast<uint32_t>(g) * 4 + s});
  }
  GeneratorConfig plain;
  plain.max_completion_length = 24;
  plain.stop_token_ids = {1, 2, 5, 6};
  plain.max_num_seqs = 1;
  const int64_t layers = policy->config.num_layers, whole = 40 + 24;
  ActivationTape all(policy->config, policy->dtype, 1000);
  all.begin(policy->version);
  const std::vector<Rollout> expected = Generator(*policy, plain, 40).generate(work, 2, one.exec(), {}, {}, &all);
  for (size_t i = 0; i < work.size(); ++i)
    ASSERT_EQ(expected[i].slots.size(), work[i].prompt.size() + expected[i].tokens.size() - 1) << i;

  int64_t preempted = 0, kept = 0, missing = 0;
  for (int setting = 0; setting < 60; ++setting) {
    GeneratorConfig c = plain;
    c.max_num_seqs = random.between(1, 24);
    c.max_num_batched_tokens = random.below(3) == 0 ? random.between(1, 12) : random.between(1, 200);
    c.page_tokens = int64_t{1} << random.between(4, 6);
    if (random.below(2) == 0) {
      const int64_t pages = (whole + random.between(0, 90) + c.page_tokens - 1) / c.page_tokens;
      c.kv_cache = {.gb = static_cast<double>(pages * kv_page_bytes(policy->config, policy->dtype, c.page_tokens)) / 1e9 * (1 + 1e-12)};
    }
    std::vector<GenerateRequest> requests = work;
    if (random.below(2) == 0) std::reverse(requests.begin(), requests.end());
    for (GenerateRequest& r : requests) r.expected_length = setting % 2 == 0 ? 0 : random.between(1, 12);
    ActivationTape tape(policy->config, policy->dtype, random.below(3) > 0 ? random.between(20, 700) : 1000);
    tape.begin(policy->version);
    Generator generator(*policy, c, 40);
    const std::vector<Rollout> got =
        generator.generate(requests, 2, (random.below(3) == 0 ? three : one).exec(), {}, {}, &tape);
    preempted += generator.stats().preemptions;
    for (size_t i = 0; i < got.size(); ++i) {
      const Rollout& wanted = expected[requests[i].sequence];
      ASSERT_TRUE(got[i].tokens == wanted.tokens && got[i].logprobs == wanted.logprobs) << "setting " << setting << ", " << i;
      ++(got[i].slots.empty() ? missing : kept);
      if (got[i].slots.empty()) continue;
      ASSERT_EQ(got[i].slots.size(), wanted.slots.size());
      for (size_t row = 0; row < wanted.slots.size(); ++row)
        ASSERT_EQ(row_of(tape, layers, got[i].slots[row]), row_of(all, layers, wanted.slots[row]))
            << "setting " << setting << ", request " << i << ", row " << row << ", tape of " << tape.slots();
    }
  }
  EXPECT_GT(preempted, 0);
  EXPECT_GT(kept, 300);
  EXPECT_GT(missing, 100);
}

TEST(TapedRows, ACallWithoutATapeOrThatIsLeftGivesNoSlots) {
  ExecOwner owner(1);
  const auto policy = tiny_policy(DType::f32, 9, owner.exec());
  const std::vector<int32_t> prompt(20, 7);
  const std::vector<GenerateRequest> requests = {{prompt, 0, 0}, {prompt, 0, 1}};
  GeneratorConfig c;
  c.max_completion_length = 8;
  c.max_num_seqs = 2, c.max_num_batched_tokens = 8;
  Generator generator(*policy, c, 20);
  ActivationTape tape(policy->config, policy->dtype, 100);
  tape.begin(policy->version);
  for (const Rollout& rollout : generator.generate(requests, 1, owner.exec(), {}, [] { return true; }, &tape))
    EXPECT_TRUE(rollout.slots.empty());  // its prompt had not been run to its end
  for (const Rollout& rollout : generator.generate(requests, 1, owner.exec())) EXPECT_TRUE(rollout.slots.empty());
  EXPECT_EQ(tape.free_slots(), 92);
  tape.begin(policy->version + 1);
  EXPECT_ERROR(generator.generate(requests, 1, owner.exec(), {}, {}, &tape), kInternal, "rows of policy version 1");
}

}  // namespace
}  // namespace cohort
