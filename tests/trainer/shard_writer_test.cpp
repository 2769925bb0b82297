// Shards that are written while the optimizer goes on hold the state of the moment when writing began.
#include "trainer/shard_writer.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "core/hash.h"
#include "tests/core/expect_error.h"
#include "tests/trainer/tiny_run.h"
#include "trainer/checkpoint_layout.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;
const std::vector<std::vector<double>> kMixed = {{1, 0, 0, 1}, {0, 1, 0, 0}};

class ShardWriting : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "cohort-shards-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder = name;
    run.make_optimizer();
    train(1);
  }
  void TearDown() override { fs::remove_all(folder); }

  void train(int64_t step) { run.update(run.sample(static_cast<uint32_t>(step), kMixed), step); }
  // A shard's file, from the optimizer as it is.
  std::string expected(int shard) const {
    std::string bytes;
    for (const Optimizer::Part part : kShardParts) {
      std::vector<float> numbers(static_cast<size_t>(run.optimizer->shard_size()));
      run.optimizer->read_state(shard, part, 0, numbers);
      bytes.append(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(float));
    }
    return bytes;
  }
  static std::string bytes_of(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  TinyRun run;
  fs::path folder;
};

TEST_F(ShardWriting, WritesEveryShardAndItsHash) {
  ShardWriter writer(folder, *run.optimizer);
  const std::vector<ShardRecord> records = writer.finish();
  EXPECT_TRUE(writer.done());
  ASSERT_EQ(records.size(), 4u);
  for (int k = 0; k < 4; ++k) {
    const std::string bytes = bytes_of(shard_file(folder, k));
    EXPECT_TRUE(bytes == expected(k)) << k;
    EXPECT_EQ(records[static_cast<size_t>(k)].bytes, bytes.size());
    EXPECT_EQ(records[static_cast<size_t>(k)].hash, fingerprint(bytes));
  }
}

// The first shard's file is a pipe without a reader: the writer waits when it opens it, having read one piece.
TEST_F(ShardWriting, WhatIsNotReadBeforeTheNextUpdateIsCopied) {
  const fs::path pipe = shard_file(folder, 0);
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const std::string before = expected(0);
  ShardWriter writer(folder, *run.optimizer);
  bool released = false;
  run.optimizer->before_change([&](const Exec& ex) {
    writer.release(ex, std::nullopt);
    released = true;
  });
  train(2);
  EXPECT_TRUE(released);
  EXPECT_FALSE(writer.done());
  EXPECT_FALSE(expected(0) == before);
  EXPECT_TRUE(bytes_of(pipe) == before);
  EXPECT_ERROR(writer.finish(), kInput, "shard_00000.bin: cannot be written");  // a pipe cannot be flushed
}

TEST_F(ShardWriting, WithoutMemoryForCopiesTheUpdateWaits) {
  ShardWriter writer(folder, *run.optimizer);
  const std::string before = expected(2);
  run.optimizer->before_change([&](const Exec& ex) { writer.release(ex, /*free_bytes=*/0); });
  train(2);
  writer.finish();
  EXPECT_TRUE(bytes_of(shard_file(folder, 2)) == before);
}

TEST_F(ShardWriting, WhatGoesWrongIsThrownAtTheEnd) {
  ShardWriter writer(folder / "absent", *run.optimizer);
  EXPECT_ERROR(writer.finish(), kInput, "shard_00000.bin: cannot be written: No such file or directory; earlier checkpoints");
  EXPECT_TRUE(writer.done());
  writer.release(run.owner.exec(), std::nullopt);  // nothing to wait for
}

TEST_F(ShardWriting, AbandonedItEnds) {
  ShardWriter writer(folder, *run.optimizer);
}

}  // namespace
}  // namespace cohort
