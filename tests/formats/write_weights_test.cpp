// Written weights: shards, their index, and numbers that are byte for byte what was read.
#include "model/formats/write_weights.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <cmath>

#include "core/files.h"
#include "core/json.h"
#include "core/rng.h"
#include "model/formats/convert_numbers.h"
#include "model/formats/safetensors.h"
#include "tests/formats/refused.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

class WriteWeights : public FolderTest {
 protected:
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
    std::ranges::sort(names);
    return names;
  }
  // A tensor that lies in memory as a whole.
  static WeightSource source(std::string name, int64_t count, const void* data, StoredDType memory,
                             StoredDType stored = StoredDType::f32) {
    return {std::move(name), {count}, [=](uint64_t begin, uint64_t) {
      return static_cast<const std::byte*>(data) + begin * stored_size(memory);
    }, stored};
  }
  static WeightSource source(std::string name, int64_t count, const float* data, StoredDType stored = StoredDType::f32) {
    return source(std::move(name), count, data, StoredDType::f32, stored);
  }
  void SetUp() override {
    FolderTest::SetUp();
    weights[0].shape = {2, 3};
  }

  const std::vector<float> numbers{1, 2, 3, 4, 5, 6};
  std::vector<WeightSource> weights{source("e", 6, numbers.data()), source("b", 3, numbers.data()), source("c", 3, numbers.data())};
};

TEST(PlanShards, ClosesAShardWhenTheNextTensorWouldNotFit) {
  const auto plan = [](std::vector<uint64_t> bytes, uint64_t most) { return plan_shards(bytes, most); };
  using Shards = std::vector<size_t>;
  EXPECT_EQ(plan({4, 4, 4}, 12), (Shards{3}));
  EXPECT_EQ(plan({4, 4, 4}, 11), (Shards{2, 1}));
  EXPECT_EQ(plan({4, 4, 4}, 1), (Shards{1, 1, 1}));
  EXPECT_EQ(plan({1, 20, 1, 1}, 10), (Shards{1, 1, 2}));  // one larger than a shard stands alone
  EXPECT_EQ(plan({20, 1}, 10), (Shards{1, 1}));
  EXPECT_EQ(plan({0, 10, 0, 10}, 10), (Shards{3, 1}));
  EXPECT_EQ(plan({}, 10), (Shards{0}));
  EXPECT_EQ(plan({UINT64_MAX - 1, 5, 5}, UINT64_MAX), (Shards{1, 2}));
}

TEST_F(WriteWeights, OneFileWhenAllFits) {
  write_weights(folder, weights, StoredDType::f32);
  EXPECT_EQ(files(), std::vector<std::string>{"model.safetensors"});
  const SafetensorsFolder read = SafetensorsFolder::open(folder);
  EXPECT_EQ(read.tensors().size(), 3u);
  EXPECT_EQ(read.tensors().at("e").shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(std::memcmp(read.tensors().at("e").data.data(), numbers.data(), 24), 0);
}

TEST_F(WriteWeights, EachTensorInItsOwnDType) {
  weights[1].stored = StoredDType::bf16;
  weights[2].stored = StoredDType::f16;
  write_weights(folder, weights, StoredDType::f32);
  const SafetensorsFolder read = SafetensorsFolder::open(folder);
  EXPECT_EQ(read.tensors().at("e").dtype, "F32");
  EXPECT_EQ(read.tensors().at("b").dtype, "BF16");
  EXPECT_EQ(read.tensors().at("c").dtype, "F16");
  const uint16_t halves[] = {0x3C00, 0x4000, 0x4200};
  EXPECT_EQ(std::memcmp(read.tensors().at("c").data.data(), halves, 6), 0);
}

TEST_F(WriteWeights, ShardsAndTheirIndex) {
  write_weights(folder, weights, StoredDType::f32, 24);
  EXPECT_EQ(files(), (std::vector<std::string>{"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
                                               "model.safetensors.index.json"}));
  EXPECT_EQ(read_file(folder / "model.safetensors.index.json"),
            "{\n  \"metadata\": {\n    \"total_size\": 48\n  },\n  \"weight_map\": {\n"
            "    \"b\": \"model-00002-of-00002.safetensors\",\n    \"c\": \"model-00002-of-00002.safetensors\",\n"
            "    \"e\": \"model-00001-of-00002.safetensors\"\n  }\n}\n");
  for (const std::string& name : {files()[0], files()[1]})
    EXPECT_NE(read_file(folder / name).find(R"({"__metadata__":{"format":"pt"})"), std::string::npos);
  const SafetensorsFolder read = SafetensorsFolder::open(folder);
  EXPECT_TRUE(read.warnings().empty());
  EXPECT_EQ(read.files().size(), 2u);
  EXPECT_EQ(std::memcmp(read.tensors().at("c").data.data(), numbers.data(), 12), 0);
}

TEST_F(WriteWeights, TheSameBytesEachTime) {
  for (WeightSource& weight : weights) weight.stored = StoredDType::bf16;
  fs::create_directories(folder / "again");
  write_weights(folder / "again", weights, StoredDType::f32, 13);
  fs::create_directories(folder / "first");
  write_weights(folder / "first", weights, StoredDType::f32, 13);
  int count = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder / "first")) {
    EXPECT_EQ(read_file(entry.path()), read_file(folder / "again" / entry.path().filename()));
    ++count;
  }
  EXPECT_EQ(count, 3);
}

// What a file holds comes back byte for byte through memory that can hold it: any dtype through f32, bf16 through bf16.
TEST_F(WriteWeights, WhatWasReadIsWrittenByteForByte) {
  Random random(1618, Stream::kTest);
  const std::tuple<StoredDType, StoredDType, uint32_t> ways[] = {
      {StoredDType::f32, StoredDType::f32, 0x7F800000},  {StoredDType::bf16, StoredDType::bf16, 0x7F80},
      {StoredDType::bf16, StoredDType::f32, 0x7F80}, {StoredDType::f16, StoredDType::f32, 0x7C00}};
  for (const auto& [stored, memory, exponent] : ways) {
    const size_t size = stored_size(stored), count = 300000;
    std::string bytes(count * size, '\0');
    for (size_t i = 0; i < count; ++i) {
      uint32_t bits = random.next();
      if ((bits & exponent) == exponent) bits &= ~exponent;
      std::memcpy(bytes.data() + i * size, &bits, size);
    }
    std::vector<std::byte> held(count * stored_size(memory));
    ASSERT_EQ(convert_numbers(stored, bytes.data(), memory, held.data(), count), count);
    const fs::path dir = folder / (std::string(stored_name(stored)) + stored_name(memory));
    fs::create_directories(dir);
    const std::vector<WeightSource> one{source("w", static_cast<int64_t>(count), held.data(), memory, stored)};
    write_weights(dir, one, memory);
    const SafetensorsFolder read = SafetensorsFolder::open(dir);
    EXPECT_EQ(read.tensors().at("w").dtype, safetensors_name(stored));
    EXPECT_EQ(std::memcmp(read.tensors().at("w").data.data(), bytes.data(), bytes.size()), 0) << dir;
  }
}

TEST_F(WriteWeights, RefusesWhatTheDTypeCannotHold) {
  std::vector<float> values(300000, 1.0f);
  values[299998] = 70000.0f;
  const std::vector<WeightSource> one{source("w", 300000, values.data())}, half{source("w", 300000, values.data(), StoredDType::f16)};
  expect_refused([&] { write_weights(folder, half, StoredDType::f32); },
                 {"'w'", "299998", "70000", "float16", "65504"}, ExitCode::kNonFinite);
  EXPECT_TRUE(files().empty());
  values[5] = NAN;
  expect_refused([&] { write_weights(folder, one, StoredDType::f32); }, {"'w'", "the number at 5 is nan"},
                 ExitCode::kNonFinite);
  EXPECT_TRUE(files().empty());
}

// A limit on the size of files stands in for a full disk.
TEST_F(WriteWeights, AFullDiskIsNotTheUsersInput) {
  const std::vector<float> values(1 << 20, 1.0f);
  const std::vector<WeightSource> one{source("w", 1 << 20, values.data())};
  rlimit old{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  const rlimit small{1 << 20, old.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  expect_refused([&] { write_weights(folder, one, StoredDType::f32); },
                 {"model.safetensors.tmp", "cannot be written"}, ExitCode::kResources);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
  signal(SIGXFSZ, handler);
  EXPECT_TRUE(files().empty());
}

}  // namespace
}  // namespace cohort
