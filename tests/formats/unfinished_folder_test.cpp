// A folder that appears whole or not at all, also when its maker was killed.
#include "model/formats/unfinished_folder.h"

#include <signal.h>
#include <sys/wait.h>

#include <optional>

#include "tests/formats/refused.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

class UnfinishedFolderTest : public FolderTest {
 protected:
  int entries() const { return static_cast<int>(std::distance(fs::directory_iterator(folder), {})); }
  // A child that has begun `target` and put a file into it, and waits to be killed.
  pid_t begin_in_child(const fs::path& target) const {
    int ready[2];
    if (pipe(ready) != 0) return -1;
    const pid_t child = fork();
    if (child == 0) {
      const UnfinishedFolder begun(target);
      std::ofstream(begun.path() / "half") << "x";
      if (write(ready[1], "", 1) == 1) pause();
      _exit(0);
    }
    char byte;
    const bool begun = read(ready[0], &byte, 1) == 1;
    close(ready[0]), close(ready[1]);
    return begun ? child : -1;
  }
  static void end(pid_t child) {
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
  }
};

TEST_F(UnfinishedFolderTest, AppearsWhenItIsFinishedOrNotAtAll) {
  { const UnfinishedFolder dropped(folder / "out"); }
  EXPECT_EQ(entries(), 0);
  UnfinishedFolder made(folder / "out");
  std::ofstream(made.path() / "file") << "x";
  EXPECT_FALSE(fs::exists(folder / "out"));
  made.finish();
  EXPECT_TRUE(fs::exists(folder / "out/file"));
  EXPECT_EQ(entries(), 1);
}

TEST_F(UnfinishedFolderTest, WhatAKilledProcessLeftIsRemovedByTheNextOfTheSameTarget) {
  const pid_t same = begin_in_child(folder / "out"), other = begin_in_child(folder / "out.import-1");
  ASSERT_GT(same, 0);
  ASSERT_GT(other, 0);
  { const UnfinishedFolder next(folder / "out"); }
  EXPECT_EQ(entries(), 2) << "both are being made";
  end(same), end(other);
  put(".out.import-notes", "mine");
  put(".out.import-7x/file", "mine");
  fs::create_directory_symlink(folder / ".out.import-7x", folder / ".out.import-7");
  EXPECT_EQ(entries(), 5);
  UnfinishedFolder next(folder / "out");
  next.finish();
  EXPECT_EQ(entries(), 5) << "one has gone, and `out` is there";
  EXPECT_FALSE(fs::exists(folder / fmt::format(".out.import-{}", same)));
  EXPECT_TRUE(fs::exists(folder / fmt::format(".out.import-1.import-{}/half", other))) << "of another target";
  EXPECT_TRUE(fs::exists(folder / ".out.import-7x/file"));
}

}  // namespace
}  // namespace cohort
