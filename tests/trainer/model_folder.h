// A folder of a tiny model whose weights are random bits, for the tests of what is read from and written to such folders.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "core/files.h"
#include "core/rng.h"
#include "model/formats/convert_numbers.h"
#include "tests/core/expect_error.h"
#include "tests/formats/plain_formats.h"
#include "trainer/model_setup.h"

namespace cohort {

namespace fs = std::filesystem;

class ModelSetup : public testing::Test {
 protected:
  void SetUp() override {
    folder = fs::path(testing::TempDir()) /
             fmt::format("cohort-{}-{}", testing::UnitTest::GetInstance()->current_test_info()->name(), ::getpid());
    fs::remove_all(folder);
    fs::create_directories(folder);
  }
  void TearDown() override { fs::remove_all(folder); }

  // A folder of a tiny tied model whose weights are random bits of `dtype`, no two models alike. `names` get `other` instead.
  fs::path make_model(const std::string& name, StoredDType dtype, const std::vector<std::string>& names = {},
                      StoredDType other = StoredDType::f32) {
    const fs::path dir = folder / name;
    ModelInitConfig init;
    init.hidden_size = 32;
    init.intermediate_size = 48;
    init.num_layers = 2;
    init.num_heads = 2;
    init.num_kv_heads = 1;
    init.max_positions = 64;
    write_initial_model(initial_model_files(init, "float32"), dir);
    set_config(dir, "torch_dtype", stored_name(dtype));
    const LoadedModel empty = init_model(dir, "float32", 1, 1, owner.exec());
    std::vector<std::vector<std::byte>> numbers;
    std::vector<NamedTensor> tensors;
    for (const ParamEntry& entry : empty.policy->table.entries) {
      const StoredDType mine = std::ranges::find(names, entry.name) != names.end() ? other : dtype;
      std::vector<std::byte>& bytes = numbers.emplace_back(static_cast<size_t>(entry.size()) * stored_size(mine));
      for (int64_t i = 0; i < entry.size(); ++i) random_number(mine, bytes.data() + static_cast<size_t>(i) * stored_size(mine));
      tensors.push_back({entry.name, {safetensors_name(mine), entry.stored_shape(), bytes}});
    }
    std::ranges::reverse(tensors);  // in an order of its own
    write_safetensors(dir / "model.safetensors", tensors);
    return dir;
  }
  // Any finite bits: subnormals, zeros of both signs, the largest numbers.
  void random_number(StoredDType dtype, std::byte* out) {
    const uint32_t exponent = dtype == StoredDType::f32 ? 0x7F800000 : dtype == StoredDType::bf16 ? 0x7F80 : 0x7C00;
    uint32_t bits = random.next();
    if ((bits & exponent) == exponent) bits &= ~exponent;
    if (dtype == StoredDType::f32 && (bits & 0x7FFFFFFF) > 0x7F7F7FFF) bits &= ~exponent;  // else beyond bfloat16
    std::memcpy(out, &bits, stored_size(dtype));
  }
  void set_config(const fs::path& dir, const std::string& key, const Json& value) {
    Json config = parse_json(read_file(dir / "config.json"), "config.json");
    config[key] = value;
    write_file_atomic(dir / "config.json", dump_json(config, 2) + "\n");
  }
  void expect_same_weights(const fs::path& a, const fs::path& b) {
    const SafetensorsFolder left = SafetensorsFolder::open(a), right = SafetensorsFolder::open(b);
    ASSERT_EQ(left.tensors().size(), right.tensors().size());
    for (const auto& [name, tensor] : left.tensors()) {
      ASSERT_TRUE(right.tensors().contains(name)) << name;
      const StoredTensor& other = right.tensors().at(name);
      EXPECT_EQ(tensor.dtype, other.dtype) << name;
      EXPECT_EQ(tensor.shape, other.shape) << name;
      EXPECT_TRUE(std::ranges::equal(tensor.data, other.data)) << name;
    }
  }
  std::vector<std::string> files(const fs::path& dir) {
    std::vector<std::string> names;
    for (const fs::directory_entry& entry : fs::directory_iterator(dir)) names.push_back(entry.path().filename().string());
    std::ranges::sort(names);
    return names;
  }

  fs::path folder;
  ExecOwner owner{2};
  Random random{271828, Stream::kTest};
};

}  // namespace cohort
