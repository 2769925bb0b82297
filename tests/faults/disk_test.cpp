// A disk that is really full, wherever a run is when it gets so.
#include <sys/mount.h>

#include "tests/faults/harness.h"

namespace cohort {
namespace {

// A file system of `kilobytes` in memory.
class SmallDisk {
 public:
  SmallDisk(const std::string& folder, int64_t kilobytes) : folder_(folder) {
    std::filesystem::create_directories(folder);
    mounted_ = mount("tmpfs", folder.c_str(), "tmpfs", 0, size(kilobytes).c_str()) == 0;
  }
  ~SmallDisk() {
    if (mounted_) umount2(folder_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  bool mounted() const { return mounted_; }
  void grow(int64_t kilobytes) {
    if (mount("tmpfs", folder_.c_str(), "tmpfs", MS_REMOUNT, size(kilobytes).c_str()) != 0) throw std::runtime_error("no remount");
  }

 private:
  static std::string size(int64_t kilobytes) { return "size=" + std::to_string(kilobytes) + "k"; }
  std::string folder_;
  bool mounted_;
};

// What tmpfs takes for a folder's files; folders themselves take nothing of it.
int64_t kilobytes_of(const std::string& folder) {
  int64_t pages = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) pages += (static_cast<int64_t>(entry.file_size()) + 4095) / 4096;
  return 4 * pages;
}

// On `sizes` disks, from one that holds hardly anything to one that holds all but the last bytes.
void fill_disks(int sizes) {
  const World world(4);
  const int64_t whole = kilobytes_of(world.run("whole"));
  for (int i = 0; i < sizes; ++i) {
    const int64_t kilobytes = std::max<int64_t>(8, whole * i / sizes);
    SmallDisk disk(world.run("disk"), kilobytes);
    if (!disk.mounted()) GTEST_SKIP() << "no file system can be mounted here: needs root";
    const std::vector<std::string> keys = {"run.dir=" + world.run("disk"), "run.name=full", "--quiet"};
    const Outcome full = train(COHORT_BINARY, 1 + i % 3, world.config, keys);
    EXPECT_EQ(full.exit_code, 6) << kilobytes << " of " << whole << " KB: " << full.err;
    EXPECT_NE(full.err.find("No space left on device"), std::string::npos) << full.err;
    disk.grow(4 * whole + 1024);
    const Outcome resumed = train(COHORT_BINARY, 1 + (i + 1) % 3, world.config, keys);
    EXPECT_EQ(resumed.exit_code, 0) << kilobytes << " KB: " << resumed.err;
    EXPECT_EQ(world.difference("disk/full"), "") << kilobytes << " KB";
  }
}

TEST(QuickDisk, AFullOneLosesNothing) { fill_disks(5); }
TEST(Disk, AFullOneLosesNothing) { fill_disks(40); }

}  // namespace
}  // namespace cohort
