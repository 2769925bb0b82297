// TensorBoard's event files: bytes as its format has them, nothing twice after a resume, and damage that ends what is read.
#include "trainer/event_file.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <random>

#include "core/files.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

class EventFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "cohort-events-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder = name;
  }
  void TearDown() override { fs::remove_all(folder); }
  std::vector<int64_t> steps() const {  // of all files, in TensorBoard's order
    std::vector<int64_t> all;
    for (const fs::path& file : event_files(folder))
      for (const ScalarEvent& event : read_events(file))
        if (!event.values.empty()) all.push_back(event.step);
    return all;
  }
  static void write_steps(EventFileWriter& writer, int64_t first, int64_t last) {
    for (int64_t step = first; step <= last; ++step) writer.append(step, {{"reward", static_cast<float>(step) / 4}});
  }
  fs::path folder;
};

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    constexpr const char* kDigits = "0123456789abcdef";
    text += kDigits[static_cast<unsigned char>(c) >> 4];
    text += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return text;
}

// Made by tensorboard 2.21 (RecordWriter of an Event with these fields).
TEST_F(EventFile, ARecordIsTensorBoardsByteForByte) {
  EXPECT_EQ(hex(event_record({.wall_time = 1.5, .file_version = "brain.Event:2"})),
            "1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c");
  EXPECT_EQ(hex(event_record({.wall_time = 2.0, .step = 300, .values = {{"reward", 0.25f}, {"timing_s/step", -1.0f}}})), 
            "33000000000000000ca7205609000000000000004010ac022a250a0d0a06726577617264150000803e0a140a0d74696d696e675f732f7374657015000080bf7969c2ec");
  EXPECT_EQ(hex(event_record({.wall_time = 2.0, .step = 4, .starts = true})), "0f000000000000006d532b0909000000000000004010043a0208017601b5eb");
}

TEST_F(EventFile, WhatIsWrittenIsReadBack) {
  EventFileWriter writer(folder);
  writer.append(7, {{"reward", 0.1f}, {"completions/mean_length", 1e30f}, {"kl", -0.0f}});
  const std::vector<fs::path> files = event_files(folder);
  ASSERT_EQ(files.size(), 1u);
  const std::vector<ScalarEvent> events = read_events(files[0]);
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].file_version, "brain.Event:2");
  EXPECT_TRUE(events[1].starts);
  EXPECT_EQ(events[1].step, 7);
  EXPECT_EQ(events[2].step, 7);
  EXPECT_GT(events[2].wall_time, 1.7e9);
  EXPECT_EQ(events[2].values, (std::vector<std::pair<std::string, float>>{{"reward", 0.1f}, {"completions/mean_length", 1e30f}, {"kl", -0.0f}}));
}

TEST_F(EventFile, ARunThatGoesOnWritesNoStepTwice) {
  {
    EventFileWriter first(folder);
    first.drop_after(0);
    write_steps(first, 1, 5);
  }
  const std::string whole = read_file(event_files(folder)[0]);
  {
    EventFileWriter second(folder);
    second.drop_after(3);
    write_steps(second, 4, 8);
  }
  EXPECT_EQ(steps(), (std::vector<int64_t>{1, 2, 3, 4, 5, 6, 7, 8}));
  ASSERT_EQ(event_files(folder).size(), 2u);
  // What TensorBoard may have read already stands where it stood.
  const std::string kept = read_file(event_files(folder)[0]);
  EXPECT_EQ(kept, whole.substr(0, kept.size()));
  EXPECT_TRUE(read_events(event_files(folder)[1])[1].starts);
  EXPECT_EQ(read_events(event_files(folder)[1])[1].step, 4);
  EventFileWriter third(folder);
  third.drop_after(2);  // also from a checkpoint before the last start
  write_steps(third, 3, 3);
  EXPECT_EQ(steps(), (std::vector<int64_t>{1, 2, 3}));
  EXPECT_EQ(event_files(folder).size(), 2u) << "a file without a step is removed";
}

TEST_F(EventFile, ANewRunInTheSameFolderBeginsAnew) {
  EventFileWriter first(folder);
  write_steps(first, 1, 2);
  EventFileWriter second(folder);
  second.drop_after(0);
  EXPECT_EQ(event_files(folder).size(), 0u);
  write_steps(second, 1, 1);
  EXPECT_EQ(steps(), std::vector<int64_t>{1});
}

TEST_F(EventFile, ARecordThatAKillCutShortIsDropped) {
  EventFileWriter writer(folder);
  write_steps(writer, 1, 3);
  const fs::path file = event_files(folder)[0];
  const std::string whole = read_file(file);
  write_steps(writer, 4, 4);
  const uint64_t all = fs::file_size(file);
  for (uint64_t size = all - 1; size >= whole.size(); --size) {
    fs::resize_file(file, size);
    EXPECT_EQ(steps(), (std::vector<int64_t>{1, 2, 3})) << size;
  }
  append_file(file, "torn");
  EventFileWriter next(folder);
  next.drop_after(9);
  EXPECT_EQ(read_file(file), whole);
  write_steps(next, 4, 5);
  EXPECT_EQ(steps(), (std::vector<int64_t>{1, 2, 3, 4, 5}));
}

TEST_F(EventFile, DamageEndsWhatIsReadAndNothingElse) {
  EventFileWriter writer(folder);
  write_steps(writer, 1, 6);
  const fs::path file = event_files(folder)[0];
  const std::string good = read_file(file);
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 300; ++round) {
    std::string bad = good;
    bad[random() % bad.size()] ^= static_cast<char>(1 << random() % 8);
    write_file_atomic(file, bad);
    const std::vector<int64_t> read = steps();
    ASSERT_LT(read.size(), 6u);
    for (size_t i = 0; i < read.size(); ++i) EXPECT_EQ(read[i], static_cast<int64_t>(i) + 1);
  }
  // Fields that a later version might add are skipped: 31 (varint) and 30 (bytes), behind the step.
  EXPECT_TRUE(event_files(folder / "absent").empty());
}

}  // namespace
}  // namespace cohort
