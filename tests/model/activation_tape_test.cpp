// Slots of a tape: taken in order, given back from the end, of one version of the policy.
#include "model/activation_tape.h"

#include <gtest/gtest.h>

#include "model/transformer.h"
#include "tests/core/expect_error.h"
#include "tests/model/tiny_model.h"

namespace cohort {
namespace {

TEST(ActivationTape, SlotsAreTakenInOrderAndUsedAgain) {
  ActivationTape tape(tiny_config(), DType::bf16, 10);
  tape.begin(3);
  EXPECT_EQ(tape.version(), 3);
  EXPECT_EQ(tape.take(4), 0);
  EXPECT_EQ(tape.take(5), 4);
  EXPECT_EQ(tape.take(2), std::nullopt);
  EXPECT_EQ(tape.take(1), 9);
  tape.give_back(6);
  EXPECT_EQ(tape.free_slots(), 6);
  EXPECT_EQ(tape.take(6), 4);
  EXPECT_ERROR(tape.give_back(11), kInternal, "11 slots given back, 10 are taken");
  tape.begin(4);
  EXPECT_EQ(tape.take(10), 0);
}

TEST(ActivationTape, ASlotKeepsNothingThatIsSoonComputedAgain) {
  const ModelConfig c = tiny_config();  // 2 layers; C 48, F 112, H 6, K 2, D 16
  EXPECT_EQ(ActivationTape::slot_bytes(c, DType::bf16), 2 * (4 * (48 + 48 + 6) + 2 * (96 + 32 + 32 + 96 + 224)) + 4 * 48);
  const ActivationTape tape(c, DType::bf16, 10);
  EXPECT_FALSE(tape.layer(1).block.h_in || tape.layer(1).block.h_mid || tape.layer(1).block.mlp);
}

TEST(ActivationTape, RowsOfAnotherVersionAreRefused) {
  ExecOwner owner(1);
  const auto policy = tiny_policy(DType::f32, 1, owner.exec());
  ActivationTape tape(policy->config, policy->dtype, 4);
  tape.begin(policy->version + 1);
  KvCache cache(*policy, 1, 16);
  PageTable pages;
  ASSERT_TRUE(cache.grow(pages, 2));
  ForwardState forward(*policy, 4);
  const std::vector<int32_t> tokens = {3, 4};
  const ForwardRun run{tokens, 0, &pages};
  EXPECT_ERROR(forward_cached(*policy, cache, forward, {&run, 1}, owner.exec(), {&tape, 0}), kInternal,
               "the tape holds rows of policy version 1, the policy is at 0");
}

}  // namespace
}  // namespace cohort
