// Parameters: where they lie, and that exactly the right ones are loaded.
#include "model/load_weights.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/hash.h"
#include "core/rng.h"
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
  ExecOwner owner(2);
  const auto initial = [&](int64_t shards, uint64_t seed) {
    const auto policy = make_policy(tiny_config(), DType::f32, shards);
    init_weights(*policy, seed, owner.exec());
    FlatWeights flat(*policy);
    flat.bytes.resize(static_cast<size_t>(policy->table.count) * 4);
    return flat;
  };
  FlatWeights a = initial(1, 5);
  EXPECT_EQ(a.bytes, initial(8, 5).bytes);
  EXPECT_NE(a.bytes, initial(1, 6).bytes);
  double squares = 0;
  const Tensor embedding(a.t().f32(), DType::f32, {80, 48});
  for (int64_t i = 0; i < embedding.size(); ++i) squares += embedding.f32()[i] * embedding.f32()[i];
  EXPECT_NEAR(std::sqrt(squares / static_cast<double>(embedding.size())), std::sqrt(2.0 / (5 * 48)), 0.005);
}

// Spans that begin and end anywhere, as ranks cut the table, against a flat copy.
TEST(Weights, AnySpansAreSetAndComeBack) {
  const uint64_t seed = 20261125;
  Random random(seed, Stream::kTest);
  ExecOwner owner(2);
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const bool tied : {true, false}) {
      const auto policy = tiny_policy(dtype, 3, owner.exec(), tied), other = tiny_policy(dtype, 4, owner.exec(), tied);
      FlatWeights flat(*policy), found(*other);
      EXPECT_NE(flat.bytes, found.bytes);
      const int64_t size = policy->table.size;
      for (int64_t begin = 0, count; begin < size; begin += count) {
        count = std::min<int64_t>(size - begin, 1 + random.below(3000));
        set_weights(*other, begin, Policy::view(flat.t(), begin, 1, count), owner.exec());
      }
      EXPECT_EQ(FlatWeights(*other).bytes, flat.bytes) << "seed " << seed << (tied ? " tied" : "");
      EXPECT_EQ(weights_fingerprint(*other), fingerprint(flat.bytes));
      for (int trial = 0; trial < 20; ++trial) {
        const int64_t begin = random.below(static_cast<uint32_t>(size)), count = 1 + random.below(static_cast<uint32_t>(size - begin));
        std::ranges::fill(found.bytes, std::byte{7});
        copy_weights(*other, begin, Policy::view(found.t(), begin, 1, count));
        const Tensor wanted = Policy::view(flat.t(), begin, 1, count);
        ASSERT_EQ(std::memcmp(wanted.data, Policy::view(found.t(), begin, 1, count).data, wanted.bytes()), 0) << begin << " + " << count;
        EXPECT_EQ(std::ranges::count(found.bytes, std::byte{7}) >= (size - count) * static_cast<int64_t>(dtype_size(dtype)), true);
      }
      EXPECT_ERROR(set_weights(*other, size - 3, Policy::view(flat.t(), 0, 1, 4), owner.exec()), kInternal, "elements [");
    }
  }
  const auto empty = make_policy(tiny_config(), DType::f32, 1);
  std::vector<float> all(static_cast<size_t>(empty->table.size));
  EXPECT_ERROR(copy_weights(*empty, 0, {all.data(), DType::f32, {empty->table.size}}), kInternal, "never packed");
}

class LoadWeights : public testing::Test {
 protected:
  LoadWeights() : owner(1), policy(tiny_policy(DType::f32, 3, owner.exec())), flat(*policy) {
    std::string name = (fs::temp_directory_path() / "cohort-policy-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    folder = name;
    for (const ParamEntry& e : policy->table.entries) {
      const Tensor w = Policy::view(flat.t(), e.offset, e.shape[0], e.shape[1]);
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
  FlatWeights flat;
  fs::path folder;
  std::vector<NamedTensor> tensors;
};

TEST_F(LoadWeights, BringsBackEveryBit) {
  std::reverse(tensors.begin(), tensors.end());  // the order in the file does not matter
  write();
  EXPECT_EQ(FlatWeights(*load()).bytes, flat.bytes);
  FlatWeights rounded(*load(DType::bf16));
  for (int64_t i = 0; i < policy->table.size; ++i) ASSERT_EQ(rounded.t().b16()[i].bits, to_bf16(flat.get(i)).bits);
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
