// Written files read back as they were, and are complete or absent.
#include "model/formats/safetensors_writer.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include "core/files.h"
#include "core/rng.h"
#include "model/formats/safetensors.h"
#include "tests/formats/plain_formats.h"
#include "tests/formats/refused.h"

namespace cohort {
namespace {

class SafetensorsWriterTest : public FolderTest {
 protected:
  size_t files() const {
    return std::distance(std::filesystem::directory_iterator(folder),
                         std::filesystem::directory_iterator());
  }
};

TEST_F(SafetensorsWriterTest, ReadsBackWhatWasWritten) {
  Random random(2718, Stream::kTest);
  std::vector<std::string> data;
  std::vector<NamedTensor> tensors;
  const std::pair<const char*, int> dtypes[] = {{"BF16", 2}, {"F32", 4}, {"U8", 1}, {"I64", 8}};
  for (int i = 0; i < 40; ++i) {
    const auto& [dtype, bytes] = dtypes[random.below(4)];
    std::vector<int64_t> shape(random.below(4));
    for (int64_t& dim : shape) dim = random.below(5);
    int64_t size = bytes;
    for (int64_t dim : shape) size *= dim;
    std::string& content = data.emplace_back(size, '\0');
    for (char& c : content) c = static_cast<char>(random.next());
    tensors.push_back({fmt::format("tensor.{}.\"é\\\n", i), {dtype, shape, {}}});
  }
  for (size_t i = 0; i < tensors.size(); ++i) tensors[i].tensor.data = bytes_of(data[i]);
  const std::filesystem::path file = folder / "model.safetensors";
  write_safetensors(file, tensors);

  const SafetensorsFolder read = SafetensorsFolder::open_file(file);
  ASSERT_EQ(read.tensors().size(), tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    const StoredTensor& tensor = read.tensors().at(tensors[i].name);
    EXPECT_EQ(tensor.dtype, tensors[i].tensor.dtype);
    EXPECT_EQ(tensor.shape, tensors[i].tensor.shape);
    EXPECT_TRUE(std::ranges::equal(tensor.data, tensors[i].tensor.data)) << i;
  }
  EXPECT_EQ(files(), 1u);
}

TEST_F(SafetensorsWriterTest, HeaderSaysFormatPtAndEndsAtAMultipleOfEight) {
  for (int length = 1; length <= 8; ++length) {
    const std::string name(length, 'n');
    const std::string data = "xyz";
    const std::filesystem::path file = folder / name;
    write_safetensors(file, std::vector<NamedTensor>{{name, {"U8", {3}, bytes_of(data)}}});
    const std::string image = read_file(file);
    EXPECT_EQ(image.find(R"({"__metadata__":{"format":"pt"},")"), 8u);
    EXPECT_EQ((image.size() - 3) % 8, 0u);
    EXPECT_EQ(image.substr(image.size() - 3), "xyz");
  }
}

TEST_F(SafetensorsWriterTest, KeepsTheOldFileUntilTheNewOneIsComplete) {
  const std::filesystem::path file = put("model.safetensors", "old");
  {
    SafetensorsWriter writer(file, std::vector<SafetensorsWriter::Entry>{{"w", "U8", {3}}});
    writer.append(bytes_of(std::string("xy")));
    EXPECT_EQ(read_file(file), "old");
    expect_refused([&] { writer.finish(); }, {"1 bytes of its tensors are missing"},
                   ExitCode::kInternal);
    expect_refused([&] { writer.append(bytes_of(std::string("zz"))); }, {"1 bytes more"},
                   ExitCode::kInternal);
  }
  EXPECT_EQ(read_file(file), "old");
  EXPECT_EQ(files(), 1u);
}

TEST_F(SafetensorsWriterTest, RefusesWhatAReaderWouldRefuse) {
  const std::string data = "xyz";
  const auto write = [&](const char* name, const char* dtype, std::vector<int64_t> shape) {
    return [=, &data, this] {
      write_safetensors(folder / "w",
                        std::vector<NamedTensor>{{name, {dtype, shape, bytes_of(data)}}});
    };
  };
  EXPECT_NO_THROW(write("w", "U8", {3})());
  expect_refused(write("", "U8", {3}), {"cannot name a tensor"}, ExitCode::kInternal);
  expect_refused(write("__metadata__", "U8", {3}), {"cannot name a tensor"}, ExitCode::kInternal);
  expect_refused(write("\xFF", "U8", {3}), {"cannot name a tensor"}, ExitCode::kInternal);
  expect_refused(write("w", "U9", {3}), {"U9"}, ExitCode::kInternal);
  expect_refused(write("w", "U8", {2}), {"1 bytes more than its header names"}, ExitCode::kInternal);
  expect_refused(write("w", "U8", {-3}), {"shape [-3]"}, ExitCode::kInternal);
  expect_refused(write("w", "F4", {3}), {"no whole bytes"}, ExitCode::kInternal);
  const NamedTensor twice{"w", {"U8", {3}, bytes_of(data)}};
  expect_refused(
      [&] {
        write_safetensors(folder / "w", std::vector<NamedTensor>{twice, twice});
      },
      {"stands twice"}, ExitCode::kInternal);
}

TEST_F(SafetensorsWriterTest, RefusesFoldersThatAreNotThere) {
  const std::string data = "xyz";
  const std::vector<NamedTensor> tensors{{"w", {"U8", {3}, bytes_of(data)}}};
  expect_refused([&] { write_safetensors(folder / "none" / "w", tensors); },
                 {"none/w.tmp", "cannot be created"});
}

// A limit on the size of files stands in for a full disk.
TEST_F(SafetensorsWriterTest, LeavesNothingBehindWhenSpaceIsShort) {
  const std::string data(1 << 20, 'x');
  const std::vector<NamedTensor> tensors{{"w", {"U8", {1 << 20}, bytes_of(data)}}};
  rlimit old{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  const rlimit small{4096, old.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  expect_refused([&] { write_safetensors(folder / "w", tensors); }, {"w.tmp", "cannot be written"},
                 ExitCode::kResources);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
  signal(SIGXFSZ, handler);
  EXPECT_EQ(files(), 0u);
}

}  // namespace
}  // namespace cohort
