// Free memory: the kernel's word and the limits of control groups, in made-up /proc and /sys.
#include "core/free_memory.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>

namespace cohort {
namespace {

namespace fs = std::filesystem;

class FreeMemory : public testing::Test {
 protected:
  FreeMemory() {
    std::string name = (fs::temp_directory_path() / "cohort-memory-XXXXXX").string();
    root_ = mkdtemp(name.data());
    write("proc/meminfo", "MemTotal:       24000 kB\nMemFree:         1000 kB\nMemAvailable:   16000 kB\n");
  }
  ~FreeMemory() override { fs::remove_all(root_); }
  void write(const std::string& path, const std::string& text) const {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  int64_t free_kb() const { return free_memory(root_).value_or(-1024) / 1024; }

  fs::path root_;
};

TEST_F(FreeMemory, IsWhatTheKernelSaysWhereNoGroupHasALimit) {
  EXPECT_EQ(free_kb(), 16000);
  write("proc/self/cgroup", "0::/\n");
  EXPECT_EQ(free_kb(), 16000);
  write("sys/fs/cgroup/memory.max", "max\n");
  write("sys/fs/cgroup/memory.current", "4096\n");
  EXPECT_EQ(free_kb(), 16000);
}

TEST_F(FreeMemory, TheTightestGroupOfVersion2Counts) {
  write("proc/self/cgroup", "0::/job/step\n");
  write("sys/fs/cgroup/job/memory.max", "10240000\n");  // 10000 kB, 6000 used, of which 2000 are idle files
  write("sys/fs/cgroup/job/memory.current", "6144000\n");
  write("sys/fs/cgroup/job/memory.stat", "anon 1\ninactive_file 2048000\n");
  write("sys/fs/cgroup/job/step/memory.max", "max\n");
  write("sys/fs/cgroup/job/step/memory.current", "1000\n");
  EXPECT_EQ(free_kb(), 6000);
  write("sys/fs/cgroup/job/step/memory.max", "1024000\n");
  EXPECT_EQ(free_kb(), (1024000 - 1000) / 1024);
  write("sys/fs/cgroup/job/memory.current", "99999999\n");  // above its limit
  EXPECT_EQ(free_kb(), 0);
}

TEST_F(FreeMemory, TheMemoryGroupOfVersion1CountsAndNoOther) {
  write("proc/self/cgroup", "9:cpu,cpuacct:/a\n4:memory:/a/b\n1:name=systemd:/c\n0::/\n");
  write("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "9223372036854771712\n");
  write("sys/fs/cgroup/memory/a/memory.usage_in_bytes", "1\n");
  EXPECT_EQ(free_kb(), 16000);
  // In a container: its path is the host's and the limit stands at the mount.
  write("sys/fs/cgroup/memory/memory.limit_in_bytes", "5120000\n");
  write("sys/fs/cgroup/memory/memory.usage_in_bytes", "3072000\n");
  write("sys/fs/cgroup/memory/memory.stat", "inactive_file 7\ntotal_inactive_file 1024000\n");
  EXPECT_EQ(free_kb(), 3000);
}

TEST_F(FreeMemory, IsUnknownWithoutProc) {
  fs::remove_all(root_ / "proc");
  EXPECT_EQ(free_memory(root_), std::nullopt);
  write("proc/meminfo", "nonsense\n");
  EXPECT_EQ(free_memory(root_), std::nullopt);
}

TEST_F(FreeMemory, OfThisMachineIsSomething) { EXPECT_GT(free_memory().value_or(0), int64_t{1} << 20); }

}  // namespace
}  // namespace cohort
