// Slots of a tape: taken in order, given back from the end, of one version of the policy.
#include "model/activation_tape.h"

#include <algorithm>
#include <vector>

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

TEST(ActivationTape, SlotsThatAreSetAsideAreTakenByNobody) {
  ActivationTape tape(tiny_config(), DType::bf16, 10);
  tape.begin(3);
  EXPECT_EQ(tape.take(2), 0);
  tape.set_aside(4);
  EXPECT_EQ(tape.first_aside(), 6);
  EXPECT_EQ(tape.free_slots(), 4);
  EXPECT_EQ(tape.take(5), std::nullopt);
  EXPECT_EQ(tape.take(4), 2);
  tape.begin(4);
  EXPECT_EQ(tape.free_slots(), 6) << "they stay aside";
  EXPECT_EQ(tape.take(6), 0);
  EXPECT_ERROR(tape.set_aside(5), kInternal, "5 of 10 slots set aside, 6 are taken");
  ExecOwner cpu(1);
  EXPECT_ERROR(tape.move_from_aside(0, 1, cpu.exec()), kInternal, "1 rows of 4 set aside");
}

TEST(ActivationTape, ASlotKeepsNothingThatIsSoonComputedAgain) {
  const ModelConfig c = tiny_config();  // 2 layers; C 48, F 112, H 6, K 2, D 16
  EXPECT_EQ(ActivationTape::slot_bytes(c, DType::bf16), 2 * (4 * (48 + 48 + 6) + 2 * (96 + 32 + 32 + 96 + 224)) + 4 * 48);
  const ActivationTape tape(c, DType::bf16, 10);
  EXPECT_FALSE(tape.layer(1).block.h_in || tape.layer(1).block.h_mid || tape.layer(1).block.mlp);
}

TEST(ActivationTape, InputsLieInGradientsOfLowerLayersAndComeBack) {
  ModelConfig config = tiny_config();
  config.num_layers = 6;
  const ParamTable table = make_param_table(config, 1);
  std::vector<float> gradient(static_cast<size_t>(table.size), -1.0f);
  const Tensor flat(gradient.data(), DType::f32, {table.size});
  for (const int64_t slots : {60, 200, 400, 600}) {
    ActivationTape tape(config, DType::bf16, slots, TapeRows::inputs);
    EXPECT_FALSE(tape.layer(1).x_mid || tape.layer(1).lse || tape.layer(1).block.q);
    tape.lie_in_gradient(flat, table);
    const InputsInGradient place(table, slots, config.hidden_size);
    EXPECT_EQ(tape.lenders(), place.lenders(6)) << slots;
    EXPECT_EQ(tape.gradient() != nullptr, slots < 600) << "whose layers hold " << table.layers[0].span.end - table.layers[0].span.begin;
    tape.begin(0);
    const int64_t rows = tape.take(slots - 1).value() + slots - 1;
    for (int64_t l = 0; l < 6; ++l) {
      float* x = tape.layer(l).x_in.f32();
      for (int64_t i = 0; i < rows * 48; ++i) x[i] = static_cast<float>(l * 100000 + i);
      if (l == 0 || tape.gradient() == nullptr) continue;
      const int64_t at = x - gradient.data();
      int64_t lender = 0;
      while (at >= table.layers[static_cast<size_t>(lender)].span.end) ++lender;
      EXPECT_GE(at, table.layers[static_cast<size_t>(lender)].span.begin);
      EXPECT_LE(at + slots * 48, table.layers[static_cast<size_t>(lender)].span.end);
      EXPECT_LT(lender, l) << "is written after layer " << l << " is done";
      EXPECT_LT(lender, tape.lenders());
    }
    tape.leave_gradient();
    EXPECT_EQ(tape.gradient(), nullptr);
    EXPECT_EQ(tape.lenders(), 0);
    std::ranges::fill(gradient, -1.0f);
    for (int64_t l = 0; l < 6; ++l)
      for (int64_t i = 0; i < rows * 48; ++i) ASSERT_EQ(tape.layer(l).x_in.f32()[i], static_cast<float>(l * 100000 + i));
  }
}

TEST(ActivationTape, OnlyInputsOfNoRowsYetLieInAGradient) {
  const ModelConfig config = tiny_config();
  const ParamTable table = make_param_table(config, 1);
  std::vector<float> gradient(static_cast<size_t>(table.size));
  const Tensor flat(gradient.data(), DType::f32, {table.size});
  ActivationTape all(config, DType::f32, 4), inputs(config, DType::f32, 4, TapeRows::inputs);
  EXPECT_ERROR(all.lie_in_gradient(flat, table), kInternal, "it holds more than layers' inputs");
  EXPECT_ERROR(inputs.lie_in_gradient({gradient.data(), DType::f32, {8}}, table), kInternal, "in a gradient of 8");
  inputs.take(1);
  EXPECT_ERROR(inputs.lie_in_gradient(flat, table), kInternal, "a tape with 1 rows in a gradient");
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
