// Parameters: where they lie, and that exactly the right ones are loaded.
#include "model/load_weights.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cmath>
#include <cstring>

#include "model/formats/safetensors.h"
#include "tests/core/expect_error.h"
#include "tests/formats/plain_formats.h"
#include "tests/model/tiny_model.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

TEST(ParamTable, CoversTheBufferWithoutOverlap) {
  for (const bool tied : {true, false}) {
    const ParamTable table = make_param_table(tiny_config(tied), 8);
    int64_t end = 0, count = 0;
    for (const ParamEntry& entry : table.entries) {
      EXPECT_GE(entry.offset, end);
      EXPECT_LT(entry.offset - end, 16);
      end = entry.offset + entry.size();
      count += entry.size();
    }
    EXPECT_EQ(count, table.count);
    EXPECT_GE(table.size, end);
    EXPECT_EQ(table.size % 8, 0);
    EXPECT_EQ(table.head == table.embedding, tied);
    EXPECT_EQ(table.entries.size(), tied ? 20u : 21u);
    // q, k, v are one matrix; gains do not decay.
    EXPECT_EQ(table.entries[3].offset, table.layers[0].qkv + 96 * 48);
    for (const ParamEntry& entry : table.entries) EXPECT_EQ(entry.decay(), entry.name.find("norm") == std::string::npos) << entry.name;
  }
}

TEST(InitWeights, DependOnTheSeedOnly) {
  const auto a = make_policy(tiny_config(), DType::f32, 1), b = make_policy(tiny_config(), DType::f32, 8),
             c = make_policy(tiny_config(), DType::f32, 1);
  init_weights(*a, 5), init_weights(*b, 5), init_weights(*c, 6);
  EXPECT_EQ(std::memcmp(a->weights.data, b->weights.data, a->table.count * 4), 0);
  EXPECT_NE(std::memcmp(a->weights.data, c->weights.data, a->table.count * 4), 0);
  double squares = 0;
  const Tensor embedding = a->weight(a->table.embedding, 80, 48);
  for (int64_t i = 0; i < embedding.size(); ++i) squares += embedding.f32()[i] * embedding.f32()[i];
  EXPECT_NEAR(std::sqrt(squares / static_cast<double>(embedding.size())), std::sqrt(2.0 / (5 * 48)), 0.005);
}

class LoadWeights : public testing::Test {
 protected:
  LoadWeights() : owner(1), policy(tiny_policy(DType::f32, 3, owner.exec())) {
    std::string name = (fs::temp_directory_path() / "cohort-policy-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    folder = name;
    for (const ParamEntry& e : policy->table.entries) {
      const Tensor w = policy->weight(e.offset, e.shape[0], e.shape[1]);
      std::vector<int64_t> shape = {e.shape[0], e.shape[1]};
      if (e.kind != ParamKind::matrix) shape = {e.shape[1]};
      tensors.push_back({e.name, {"F32", shape, {static_cast<const std::byte*>(w.data), w.bytes()}}});
    }
  }
  ~LoadWeights() override { fs::remove_all(folder); }
  std::unique_ptr<Policy> load(DType dtype = DType::f32) {
    return load_policy(tiny_config(), SafetensorsFolder::open(folder), folder.string(), dtype, 2, PolicyUse::training,
                       owner.exec());
  }
  void write() { write_safetensors(folder / "model.safetensors", tensors); }

  ExecOwner owner;
  std::unique_ptr<Policy> policy;
  fs::path folder;
  std::vector<NamedTensor> tensors;
};

TEST_F(LoadWeights, BringsBackEveryBit) {
  std::reverse(tensors.begin(), tensors.end());  // the order in the file does not matter
  write();
  const auto loaded = load();
  for (const ParamEntry& e : policy->table.entries)
    EXPECT_EQ(std::memcmp(policy->weight(e.offset, 1, e.size()).data, loaded->weight(e.offset, 1, e.size()).data, e.size() * 4), 0);
  const auto rounded = load(DType::bf16);
  for (int64_t i = 0; i < policy->table.entries[0].size(); ++i)
    ASSERT_EQ(rounded->weights.b16()[i].bits, to_bf16(policy->weights.f32()[i]).bits);
}

TEST_F(LoadWeights, RefusesMissingUnknownAndMisshapenTensors) {
  const std::vector<NamedTensor> good = tensors;
  tensors.pop_back();
  write();
  EXPECT_ERROR(load(), kInput, "'model.norm.weight' is missing");
  tensors = good;
  tensors[1].name = "model.layers.7.input_layernorm.weight";
  write();
  EXPECT_ERROR(load(), kInput, "model.layers.0.input_layernorm.weight");
  tensors = good;
  tensors.push_back({"model.layers.2.mlp.up_proj.weight", good[0].tensor});
  write();
  EXPECT_ERROR(load(), kInput, "has no 'model.layers.2.mlp.up_proj.weight'");
  tensors = good;
  std::swap(tensors[0].tensor.shape[0], tensors[0].tensor.shape[1]);
  write();
  EXPECT_ERROR(load(), kInput, "has shape (48, 80), config.json asks for (80, 48)");
}

TEST_F(LoadWeights, ATiedHeadMustBeTheEmbedding) {
  tensors.push_back({"lm_head.weight", tensors[0].tensor});
  write();
  EXPECT_NO_THROW(load());
  std::vector<std::byte> other(tensors[0].tensor.data.begin(), tensors[0].tensor.data.end());
  other[5] ^= std::byte{1};
  tensors.back().tensor.data = other;
  write();
  EXPECT_ERROR(load(), kInput, "tie_word_embeddings");
}

}  // namespace
}  // namespace cohort
