// Training an adapter: what an optimizer step moves and what it leaves alone, and what is saved.
#include "trainer/adapter.h"

#include <cmath>
#include <fstream>

#include "tests/trainer/model_folder.h"
#include "tests/trainer/tiny_run.h"

namespace cohort {
namespace {

struct AdapterRun : TinyRun {
  explicit AdapterRun(DType dtype, int threads = 1) : TinyRun(dtype, threads) {
    config.model.lora.emplace().rank = 4;
    config.model.lora->target_modules = {"q_proj", "down_proj"};
    start_adapter(*policy, config, owner.exec());
  }
  std::span<const float> params() const {
    return {policy->lora->params.weights.f32(), static_cast<size_t>(policy->lora->params.table.size)};
  }
};

// A step on given gradients, against AdamW on two plain arrays.
TEST(Adapter, AStepIsAdamWOnAAndBAlone) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    AdapterRun run(dtype);
    const Exec ex = run.owner.exec();
    run.config.optim.weight_decay = 0.1f;
    run.config.optim.max_grad_norm = 1;
    run.make_optimizer();
    const std::string base = weights_fingerprint(*run.policy->lora->base);
    const auto size = static_cast<size_t>(run.policy->lora->layout.table.size);
    EXPECT_EQ(run.optimizer->table().size, static_cast<int64_t>(size));
    std::vector<float> weights(run.params().begin(), run.params().end()), m(size), v(size);
    Random random(7, Stream::kTest);
    std::string merged = weights_fingerprint(*run.policy);
    EXPECT_EQ(merged, base);
    for (int64_t step = 1; step <= 3; ++step) {
      std::vector<float> gradient(size);
      double squares = 0;
      for (const ParamEntry& entry : run.policy->lora->layout.table.entries)
        for (int64_t i = 0; i < entry.size(); ++i) {
          float& g = gradient[static_cast<size_t>(entry.offset + i)];
          g = random.normal();
          squares += static_cast<double>(g) * g;
        }
      const Tensor sum = run.optimizer->gradients().begin(std::array{0}, ex);
      ASSERT_EQ(sum.size(), static_cast<int64_t>(size));
      std::ranges::copy(gradient, sum.f32());
      run.optimizer->gradients().end(ex);
      const double norm = run.optimizer->step(1e-2, {true, false, false, false}, ex);
      EXPECT_NEAR(norm, std::sqrt(squares), 1e-9 * norm) << "frozen weights have no part in it";
      const AdamWStep update{.learning_rate = 1e-2f, .beta1 = run.config.optim.adam_beta1, .beta2 = run.config.optim.adam_beta2,
                             .eps = run.config.optim.adam_epsilon, .weight_decay = 0.1f,
                             .gradient_scale = static_cast<float>(1 / (norm + 1e-6)), .step = step};
      adamw(Tensor(weights.data(), DType::f32, {static_cast<int64_t>(size)}), {{}, m, v}, gradient, update, ex);
      EXPECT_TRUE(std::ranges::equal(weights, run.params())) << step;
      EXPECT_EQ(run.policy->version, step);
      EXPECT_EQ(weights_fingerprint(*run.policy->lora->base), base);
      const std::string now = weights_fingerprint(*run.policy);
      EXPECT_NE(now, merged) << "what the policy computes with follows";
      merged = now;
    }
    merge_lora(*run.policy, ex);
    EXPECT_EQ(weights_fingerprint(*run.policy), merged) << "a function of base, A and B";
  }
}

// Through the whole update: the first step's policy is its reference, the second's is not; and the ratio is 1.
TEST(Adapter, TheBaseIsTheReference) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    AdapterRun run(dtype);
    run.config.algorithm.beta = 0.1f;
    const Policy* reference = run.policy->lora->base.get();
    for (int64_t step = 1; step <= 2; ++step) {
      const Metrics metrics = run.update(run.sample(static_cast<uint32_t>(step), {{1, 0, 0, 1}, {0, 1, 0, 0}, {0, 0, 1, 1}}), step, reference);
      EXPECT_EQ(metrics.get("sampling/sampling_logp_difference/max"), 0);
      EXPECT_EQ(metrics.get("kl") > 0, step == 2) << metrics.get("kl");
    }
  }
}

TEST(Adapter, WithoutTheKeyNothingIsAdded) {
  TinyRun run;
  EXPECT_EQ(start_adapter(*run.policy, run.config, run.owner.exec()), "");
  EXPECT_EQ(run.policy->lora, nullptr);
  EXPECT_EQ(trained_table(run.policy->config, run.config).size, run.policy->table.size);
  EXPECT_EQ(trained_dtype(run.config, DType::bf16), DType::bf16);
  run.config.model.lora.emplace();
  EXPECT_LT(trained_table(run.policy->config, run.config).size, run.policy->table.size);
  EXPECT_EQ(trained_dtype(run.config, DType::bf16), DType::f32);
}

// A float32 folder, computed in bfloat16: what no adapter changes is saved as it was, the rest as it was computed with.
TEST_F(ModelSetup, AMergedModelKeepsTheFilesNumbersOfFrozenWeights) {
  const fs::path dir = make_model("m", StoredDType::f32);
  LoadedModel model = load_model(dir, "bfloat16", 1, owner.exec());
  Config config;
  config.trainer.logical_ranks = 1;
  config.model.lora.emplace().target_modules = {"v_proj", "down_proj"};
  start_adapter(*model.policy, config, owner.exec());
  float* params = model.policy->lora->params.weights.f32();
  for (int64_t i = 0; i < model.policy->lora->layout.table.count; ++i) params[i] = 0.01f * static_cast<float>(i % 11 - 5);
  merge_lora(*model.policy, owner.exec());
  const ModelFiles files = read_model_files(dir, model.policy->table);
  EXPECT_TRUE(weights_are_rounded(*model.policy, files));
  save_model(*model.policy, files, folder / "merged", {.masters = merged_masters(*model.policy, dir)});
  const SafetensorsFolder before = SafetensorsFolder::open(dir), after = SafetensorsFolder::open(folder / "merged");
  for (const auto& [name, tensor] : before.tensors()) {
    const StoredTensor& now = after.tensors().at(name);
    EXPECT_EQ(now.dtype, "F32");
    const bool is_target = name.find("v_proj") != name.npos || name.find("down_proj") != name.npos;
    EXPECT_EQ(std::ranges::equal(now.data, tensor.data), !is_target) << name;
  }
  const LoadedModel again = load_model(folder / "merged", "bfloat16", 1, owner.exec());
  EXPECT_EQ(weights_fingerprint(*again.policy), weights_fingerprint(*model.policy)) << "what was sampled from";
}

TEST_F(ModelSetup, AnAdapterIsSavedWithItsTokenizerAndWithoutAConfigOfAModel) {
  const fs::path dir = make_model("m", StoredDType::f32);
  std::ofstream(dir / "chat_template.jinja") << "{{ messages[0]['content'] }}";
  LoadedModel model = load_model(dir, "float32", 1, owner.exec());
  Config config;
  config.trainer.logical_ranks = 1;
  config.model.lora.emplace();
  start_adapter(*model.policy, config, owner.exec());
  save_adapter(*model.policy->lora, read_model_files(dir, model.policy->table), dir.string(), folder / "a");
  EXPECT_EQ(files(folder / "a"), (std::vector<std::string>{"adapter_config.json", "adapter_model.safetensors", "chat_template.jinja",
                                                            "tokenizer.json", "tokenizer_config.json"}));
  // Its own template is used, and its own tokenizer; the base has neither.
  fs::remove(dir / "chat_template.jinja");
  const LoadedModel adapted = load_model(folder / "a", "auto", 1, owner.exec(), PolicyUse::inference);
  EXPECT_TRUE(adapted.chat_template.has_template());
  EXPECT_EQ(adapted.adapter, folder / "a");
  EXPECT_EQ(adapted.source, dir);
  EXPECT_EQ(weights_fingerprint(*adapted.policy), weights_fingerprint(*model.policy)) << "B is 0";
  fs::remove(folder / "a" / "tokenizer.json");
  EXPECT_FALSE(load_model(folder / "a", "auto", 1, owner.exec(), PolicyUse::inference).chat_template.has_template());
  EXPECT_ERROR(load_model(folder / "a", "auto", 1, owner.exec()), kInput, "a: holds an adapter alone, and a whole model is needed");
  EXPECT_ERROR(load_model(dir, "auto", 1, owner.exec(), PolicyUse::inference, dir), kUsage, "is no adapter's folder");
}

}  // namespace
}  // namespace cohort
