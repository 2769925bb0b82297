// A step of supervised fine-tuning against torch in float64 (scripts/goldens/make_sft_goldens.py): loss, metrics and every gradient.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>

#include "core/files.h"
#include "model/formats/safetensors.h"
#include "model/load_weights.h"
#include "trainer/sft_update.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

const fs::path kGolden = GOLDEN_DIR;

std::vector<std::string> models() {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(kGolden / "sft"))
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  return names;
}

class SftGolden : public testing::TestWithParam<std::string> {};

// The first moment after one step of AdamW is (1 - beta1) times the gradient.
std::vector<float> gradient_of(const Optimizer& optimizer, float beta1) {
  std::vector<float> all;
  for (int shard = 0; shard < optimizer.logical_ranks(); ++shard) {
    std::vector<float> part(static_cast<size_t>(optimizer.shard_size()));
    optimizer.read_state(shard, Optimizer::Part::m, 0, part);
    for (const float value : part) all.push_back(value / (1 - beta1));
  }
  return all;
}

TEST_P(SftGolden, LossMetricsAndGradientsAreThoseOfTorch) {
  const fs::path dir = kGolden / "families" / GetParam();
  const Json golden = parse_json(read_file(kGolden / "sft" / (GetParam() + ".json")), GetParam());
  ExecOwner owner(2);
  const std::unique_ptr<Policy> policy =
      load_policy(load_model_config(dir), SafetensorsFolder::open(dir), GetParam(), DType::f32, 4, PolicyUse::training, owner.exec());
  const auto comm = make_self_comm();
  const OptimSection optim{.adam_beta1 = 0.5f, .max_grad_norm = 0};  // a half, so that nothing is rounded on the way back
  TrainerSection trainer;
  trainer.logical_ranks = 4;
  Optimizer optimizer(*policy, optim, 4, *comm);
  SftUpdater updater(*policy, optimizer, trainer, *comm);

  std::vector<Example> examples;
  for (const Json& row : golden["examples"]) {
    Example example{.id = std::to_string(examples.size()), .tokens = row["ids"].get<std::vector<int32_t>>()};
    for (const Json& span : row["learnt"]) example.learnt.push_back({span[0].get<int64_t>(), span[1].get<int64_t>()});
    examples.push_back(std::move(example));
  }
  std::vector<const Example*> batch;
  for (const Example& example : examples) batch.push_back(&example);
  const TokenSums evaluated = updater.evaluate(examples, "test", owner.exec());
  const TokenSums sums = updater.step(batch, 1e-3, "test", owner.exec());

  const auto near = [](double found, double expected) { return std::abs(found - expected) <= 1e-6 * std::abs(expected); };
  const double loss = golden["loss"], entropy = golden["entropy"], norm = golden["grad_norm"];
  EXPECT_TRUE(near(sums.loss / sums.tokens, loss)) << sums.loss / sums.tokens << " for " << loss;
  EXPECT_TRUE(near(sums.entropy / sums.tokens, entropy)) << sums.entropy / sums.tokens << " for " << entropy;
  EXPECT_DOUBLE_EQ(sums.right / sums.tokens, golden["mean_token_accuracy"].get<double>());
  EXPECT_TRUE(near(updater.grad_norm(), norm)) << updater.grad_norm() << " for " << norm;
  EXPECT_EQ(evaluated.loss, sums.loss) << "an evaluation computes the same bits";
  EXPECT_EQ(evaluated.entropy, sums.entropy);
  EXPECT_EQ(evaluated.right, sums.right);

  const std::string image = read_file(kGolden / "sft" / (GetParam() + ".safetensors"));
  const auto expected = parse_safetensors(std::as_bytes(std::span(image)), "gradients");
  const std::vector<float> flat = gradient_of(optimizer, optim.adam_beta1);
  double difference = 0;
  for (const ParamEntry& entry : policy->table.entries) {
    const auto found = expected.find(entry.name);
    ASSERT_NE(found, expected.end()) << entry.name;
    std::vector<float> wanted(static_cast<size_t>(entry.size()));
    ASSERT_EQ(found->second.data.size(), wanted.size() * sizeof(float)) << entry.name;
    std::memcpy(wanted.data(), found->second.data.data(), found->second.data.size());
    for (size_t i = 0; i < wanted.size(); ++i) difference += std::pow(static_cast<double>(flat[static_cast<size_t>(entry.offset) + i]) - static_cast<double>(wanted[i]), 2);
  }
  // torch's own float32 is as far from its float64: 0.7e-6 to 1.0e-6.
  EXPECT_LE(std::sqrt(difference), 2e-6 * norm) << std::sqrt(difference) / norm;
}

INSTANTIATE_TEST_SUITE_P(Models, SftGolden, testing::ValuesIn(models()), [](const auto& info) { return info.param; });

}  // namespace
}  // namespace cohort
