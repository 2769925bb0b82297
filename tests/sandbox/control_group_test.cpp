// Control groups around runs: where they can be made, and, where a subtree is delegated, that they hold and leave nothing.
#include "reward/code/control_group.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <thread>

#include "core/files.h"
#include "sandbox_fixture.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

// Files as the kernel shows them, under a folder of the test's own.
class GroupPlaces : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "cohort-groups-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    root = name;
    mount("/");
  }
  void TearDown() override { fs::remove_all(root); }
  void mount(const std::string& from, const std::string& type = "cgroup2") {
    write_file_atomic(root / "mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda rw\n35 24 0:30 " + from + " " + (root / "groups").string() +
                                              " rw,nosuid shared:9 - " + type + " cgroup2 rw\n");
  }
  void group(const std::string& path, const std::string& controllers) {
    fs::create_directories(root / "groups" / path);
    write_file_atomic(root / "groups" / path / "cgroup.subtree_control", controllers + "\n");
    write_file_atomic(root / "groups" / path / "cgroup.procs", "");
  }
  GroupPlace find(const std::string& self) {
    write_file_atomic(root / "self", "3:cpu:/elsewhere\n0::" + self + "\n");
    return find_group_place(root / "mountinfo", root / "self");
  }
  fs::path root;
};

TEST_F(GroupPlaces, AreOnesOwnGroupOrTheOneAbove) {
  group("", "cpu memory pids");
  group("a", "cpu memory pids");
  group("a/b", "");
  group("a/b/c", "");
  EXPECT_EQ(find("/").folder, root / "groups");
  EXPECT_EQ(find("/a").folder, root / "groups/a");
  EXPECT_EQ(find("/a/b").folder, root / "groups/a");
  EXPECT_EQ(find("/a/b").found, root / "groups/a");
  const GroupPlace none = find("/a/b/c");
  EXPECT_EQ(none.folder, "");
  EXPECT_EQ(none.found, (root / "groups/a/b/c").string() + " and the group above have no controllers memory and pids for this user");
}

TEST_F(GroupPlaces, NeedBothControllers) {
  group("", "cpu io memory_recursiveprot pids");
  EXPECT_EQ(find("/").folder, "");
  group("", "memory");
  EXPECT_EQ(find("/").folder, "");
  group("", "pids memory");
  EXPECT_EQ(find("/").folder, root / "groups");
  EXPECT_EQ(find("/gone").folder, root / "groups") << "a container may not see its own group";
}

TEST_F(GroupPlaces, MayBeMountedFromBelow) {
  mount("/docker/x");
  group("", "memory pids");
  group("job", "memory pids");
  EXPECT_EQ(find("/docker/x").folder, root / "groups");
  EXPECT_EQ(find("/docker/x/job").folder, root / "groups/job");
  for (const char* outside : {"/docker", "/", "/../../x", "/docker/xy"}) EXPECT_EQ(find(outside).found, "no cgroup of version 2") << outside;
  mount("/", "cgroup");
  EXPECT_EQ(find("/").found, "no cgroup of version 2");
  write_file_atomic(root / "self", "3:cpu:/\n");
  EXPECT_EQ(find_group_place(root / "mountinfo", root / "self").found, "no cgroup of version 2");
  EXPECT_EQ(find_group_place(root / "no", root / "such").found, "no cgroup of version 2");
}

TEST_F(GroupPlaces, MustBeWritable) {
  if (geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  group("", "memory pids");
  fs::permissions(root / "groups/cgroup.procs", fs::perms::owner_read);
  EXPECT_EQ(find("/").folder, "");
}

// Plain folders, which have no processes.
TEST_F(GroupPlaces, OnlyGroupsOfDeadWorkersAreRemoved) {
  const fs::path groups = root / "groups";
  const pid_t child = fork();
  if (child == 0) _exit(0);
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(child), nullptr, WEXITED | WNOWAIT), 0);
  std::istringstream stat(file_bytes("/proc/self/stat"));
  std::string start;
  for (int i = 1; i <= 22; ++i) stat >> start;  // this test's name has no blank
  const std::string me = "cohort-" + std::to_string(getpid()) + "-", dead = "cohort-" + std::to_string(child) + "-7";
  const std::string mine = me + start, earlier = me + std::to_string(std::stoll(start) - 1);
  for (const std::string& name : {mine, earlier, dead, std::string("cohort-x"), std::string("cohort-5"), std::string("other")})
    fs::create_directories(groups / name / "worker");
  remove_dead_groups({groups, ""});
  EXPECT_TRUE(fs::exists(groups / mine / "worker")) << "its worker has not moved in yet";
  EXPECT_FALSE(fs::exists(groups / earlier)) << "another process had the number before";
  EXPECT_FALSE(fs::exists(groups / dead)) << "a zombie of another start";
  for (const char* name : {"cohort-x", "cohort-5", "other"}) EXPECT_TRUE(fs::exists(groups / name)) << name;
  ASSERT_EQ(waitpid(child, nullptr, 0), child);

  fs::create_directories(groups / dead / "run-1");
  remove_dead_groups({groups, ""});
  EXPECT_FALSE(fs::exists(groups / dead)) << "nobody has the number";
  fs::create_directories(groups / dead / "worker");
  write_file_atomic(groups / dead / "cgroup.events", "populated 1\nfrozen 0\n");
  remove_dead_groups({groups, ""});
  EXPECT_TRUE(fs::exists(groups / dead / "worker")) << "of a container that has its own numbers";
  fs::remove(groups / dead / "cgroup.events");  // which no folder of the kernel's holds against its removal
  remove_worker_group({groups, ""}, child);
  EXPECT_FALSE(fs::exists(groups / dead));
}

// With a subtree of this machine's own.
class ControlGroups : public SandboxTest {
 protected:
  void SetUp() override {
    SandboxTest::SetUp();
    if (IsSkipped()) return;
    if (place.folder.empty()) GTEST_SKIP() << "no delegated control group: " << place.found;
    for (const Means& m : sandbox_means())
      EXPECT_TRUE(m.name != "control group" || m.present) << m.found;
  }
  // Of this process's nursery.
  int groups() const {
    int count = 0;
    for (const auto& entry : fs::directory_iterator(place.folder)) count += entry.path().filename().string().starts_with("cohort-");
    return count;
  }
  const GroupPlace place = find_group_place();
};

TEST_F(ControlGroups, HoldARunAndLeaveNothing) {
  SandboxProgram program = attacker("wait");
  program.limits = {.seconds = 60, .memory_bytes = 64 << 20, .scratch_bytes = 4 << 20, .processes = 5};
  {
    std::jthread runner([&] { pool.run({program, std::nullopt}); });
    std::string run;
    ASSERT_TRUE(eventually([&] {
      for (const auto& entry : fs::recursive_directory_iterator(place.folder, fs::directory_options::skip_permission_denied))
        if (entry.is_directory() && entry.path().filename().string().starts_with("run-") &&
            file_bytes(entry.path() / "pids.max") == "6\n" &&  // not that of an earlier run, which is about to go
            file_bytes(entry.path() / "cgroup.events").find("populated 1") != std::string::npos)
          run = entry.path();
      return !run.empty();
    }));
    EXPECT_EQ(file_bytes(run + "/memory.max"), std::to_string((64 + 4 + 32) << 20) + "\n");
    EXPECT_EQ(file_bytes(run + "/memory.oom.group"), "1\n");
    ASSERT_TRUE(eventually([&] { return file_bytes(run + "/pids.current") == "2\n"; })) << "the init and the program";
    const Fd killer(open((run + "/cgroup.kill").c_str(), O_WRONLY));
    EXPECT_TRUE(!killer || write(killer.get(), "1", 1) == 1);
  }
  const ProgramResult result = run(attacker("exit", "7"));
  EXPECT_EQ(result.status, 7);
}

// Whichever sees it first, the kernel or the watch.
TEST_F(ControlGroups, MemoryEndsTheWholeRun) {
  SandboxProgram program{.command = {"/bin/sh", "-c", "sleep 60 & x=xxxxxxxx; while :; do x=$x$x$x$x; done"}};
  program.limits = {.seconds = 60, .memory_bytes = 32 << 20, .address_space_bytes = int64_t{4} << 30, .scratch_bytes = 4 << 20};
  const ProgramResult result = run(program);
  EXPECT_EQ(result.end, SandboxEnd::memory) << sandbox_end_name(result.end) << " " << result.err;
  EXPECT_EQ(run(attacker("exit", "7")).status, 7);
}

TEST_F(ControlGroups, GoWithTheirWorkersHoweverThoseEnd) {
  const int before = groups();
  const pid_t job = fork();
  if (job == 0) {
    Nursery own;
    SandboxPool doomed(own, 2);
    doomed.run({attacker("exit", "7"), std::nullopt});
    _exit(0);
  }
  waitpid(job, nullptr, 0);
  EXPECT_TRUE(eventually([&] { return groups() == before; })) << "a job that ended";
  const SandboxProgram waiting = attacker("wait");
  const pid_t killed = fork();
  if (killed == 0) {
    Nursery own;
    SandboxPool doomed(own, 1);
    std::jthread other([&] { doomed.run({waiting, std::nullopt}); });
    if (!eventually([&] { return count_processes(attacker_name()) == 1; })) _exit(1);
    kill(own.pid(), SIGKILL);  // who would have removed it
    kill(getpid(), SIGKILL);
  }
  waitpid(killed, nullptr, 0);
  EXPECT_TRUE(eventually([] { return count_processes(attacker_name()) == 0; }));
  const pid_t next = fork();
  if (next == 0) {
    Nursery own;
    SandboxPool pool(own, 1);
    pool.run({attacker("exit", "7"), std::nullopt});
    _exit(0);
  }
  waitpid(next, nullptr, 0);
  EXPECT_TRUE(eventually([&] { return groups() == before; })) << "the next job removes what a killed one left";
}

}  // namespace
}  // namespace cohort
