// Files: whole reads, and writes that are complete or absent.
#include "core/files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "core/hash.h"
#include "tests/core/expect_error.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

class Files : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "cohort-files-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder = name;
  }
  void TearDown() override { fs::remove_all(folder); }
  fs::path folder;
};

TEST_F(Files, ReadsBackWhatWasWritten) {
  const std::string text("a\0b\n", 4);
  write_file_atomic(folder / "x", text);
  EXPECT_EQ(read_file(folder / "x"), text);
  append_file(folder / "x", "more");
  EXPECT_EQ(read_file(folder / "x"), text + "more");
  const MappedFile mapped(folder / "x");
  EXPECT_EQ(mapped.bytes().size(), 8u);
  EXPECT_EQ(mapped.bytes()[2], std::byte{'b'});
  write_file_atomic(folder / "x", "");
  EXPECT_EQ(read_file(folder / "x"), "");
  EXPECT_TRUE(MappedFile(folder / "x").bytes().empty());
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), {}), 1);  // no temporary file stays
}

TEST_F(Files, RefusesWhatIsNoRegularFile) {
  EXPECT_ERROR(read_file(folder / "absent"), kInput, "absent");
  EXPECT_ERROR(read_file(folder), kInput, "not a regular file");
  EXPECT_ERROR(MappedFile(folder / "absent"), kInput, "absent");
  ASSERT_EQ(mkfifo((folder / "fifo").c_str(), 0600), 0);
  EXPECT_ERROR(read_file(folder / "fifo"), kInput, "not a regular file");  // and does not wait for a writer
  write_file_atomic(folder / "big", std::string(100, 'x'));
  EXPECT_ERROR(read_file(folder / "big", 99), kInput, "100 bytes, more than the 99");
}

TEST_F(Files, AFailedWriteLeavesTheOldFile) {
  write_file_atomic(folder / "x", "old");
  fs::create_directory(folder / "x.tmp");  // the temporary file cannot be made
  EXPECT_ERROR(write_file_atomic(folder / "x", "new"), kInput, "x.tmp");
  EXPECT_EQ(read_file(folder / "x"), "old");
}

TEST_F(Files, AFullDiskIsExitCodeSix) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  EXPECT_ERROR(append_file("/dev/full", "x"), kResources, "/dev/full");
}

TEST_F(Files, MakesWritableFolders) {
  make_writable_dir(folder / "a" / "b");
  EXPECT_TRUE(fs::is_empty(folder / "a" / "b"));
  write_file_atomic(folder / "file", "");
  EXPECT_ERROR(make_writable_dir(folder / "file"), kUsage, "file");
  EXPECT_ERROR(make_writable_dir(folder / "file" / "below"), kUsage, "below");
}

TEST(Hash, DependsOnEveryByte) {
  const std::string text(1000, 'a');
  const std::string print = fingerprint(text);
  EXPECT_EQ(print.size(), 32u);
  EXPECT_EQ(fingerprint(std::string_view(text)), print);
  for (size_t i = 0; i < text.size(); i += 37) {
    std::string other = text;
    other[i] ^= 1;
    EXPECT_NE(fingerprint(other), print);
  }
  EXPECT_NE(fingerprint(std::string_view("")), fingerprint(std::string_view("\0", 1)));
}

}  // namespace
}  // namespace cohort
