// What the sandbox does for programs that mean no harm, and for a job whose helpers die.
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include <fstream>
#include <thread>

#include "reward/code/tree_memory.h"
#include "sandbox_fixture.h"

namespace cohort {
namespace {

using namespace std::chrono_literals;

class Sandbox : public SandboxTest {};

TEST_F(Sandbox, GivesBackWhatAProgramReadsAndWrites) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += std::to_string(i) + '\0';  // far beyond what pipes hold
  SandboxProgram program = attacker("echo");
  program.input = text;
  const ProgramResult result = run(program);
  EXPECT_EQ(result.end, SandboxEnd::exited);
  EXPECT_EQ(result.out, text);
}

TEST_F(Sandbox, InputThatNobodyReadsHoldsNothingUp) {
  SandboxProgram program = attacker("nothing");
  program.input = std::string(10 << 20, 'x');
  const ProgramResult result = run(program);
  EXPECT_EQ(result.end, SandboxEnd::exited);
  EXPECT_EQ(result.status, 0);
}

TEST_F(Sandbox, TellsHowAProgramEnded) {
  for (const int code : {0, 1, 125, 255}) {
    const ProgramResult result = run(attacker("exit", std::to_string(code)));
    EXPECT_EQ(result.end, SandboxEnd::exited);
    EXPECT_EQ(result.status, code);
  }
  SandboxProgram program = attacker("spin");
  program.limits.seconds = 0.2;
  const ProgramResult result = run(program);
  EXPECT_EQ(result.end, SandboxEnd::timeout);
  EXPECT_GE(result.seconds, 0.2);
}

TEST_F(Sandbox, TakesFilesThatTheProgramMade) {
  SandboxProgram program{
      .command = {"/bin/sh", "-c", "printf made > one; cp /bin/true two; chmod 700 two; printf x > /tmp/three"}};
  program.take = {"one", "two", "three"};
  const ProgramResult result = run(program);
  ASSERT_EQ(result.files.size(), 2u) << result.err;
  EXPECT_EQ(result.files[0], (SandboxFile{"one", "made", false}));
  EXPECT_EQ(result.files[1], (SandboxFile{"two", file_bytes("/bin/true"), true}));
}

TEST_F(Sandbox, ShowsBindsReadOnlyInTheirPlace) {
  const std::filesystem::path folder = std::filesystem::path(ATTACKER).parent_path();
  SandboxProgram program{
      .command = {"/bin/sh", "-c",
                  "[ -x " ATTACKER " ] && ! touch " + folder.string() + "/new 2> /dev/null && echo yes"}};
  program.binds = {folder};
  if (geteuid() == 0 && access(ATTACKER, R_OK) == 0) {
    struct stat info;
    for (auto part = folder; part != part.root_path(); part = part.parent_path())
      if (stat(part.c_str(), &info) == 0 && (info.st_mode & 0001) == 0)
        GTEST_SKIP() << part << " is closed to other users";
  }
  EXPECT_EQ(run(program).out, "yes\n");
}

TEST_F(Sandbox, WhatCannotRunIsTheMachinesFaultAndNamed) {
  struct Row {
    SandboxProgram program;
    const char* words;
  };
  const std::vector<Row> rows = {
      {{.command = {"/usr/bin/no-such-program"}}, "/usr/bin/no-such-program: cannot be executed: No such file"},
      {{.command = {}}, "without a command"},
      {{.command = {"/bin/true"}, .files = {{"../x", "", false}}}, "'../x' is no plain file name"},
      {{.command = {"/bin/true"}, .files = {{"a", "", false}, {"a", "", false}}}, "create /box/a: File exists"},
      {{.command = {"/bin/true"}, .binds = {"/no/such/folder"}}, "/no/such/folder cannot be shown in the sandbox"},
      {{.command = {"/bin/true"}, .binds = {"relative"}}, "absolute paths"},
      {{.command = {"/bin/true"}, .binds = {"/usr/../etc"}}, "without .."},
      {{.command = {"/bin/true"}, .binds = {"/proc"}}, "'/proc' cannot be shown in the sandbox: it has"},
      {{.command = {"/bin/true"}, .binds = {"/tmp"}}, "'/tmp' cannot be shown in the sandbox: it has"},
      {{.command = {"/bin/true"},
        .files = {{"a", std::string(100'000, 'x'), false}},
        .limits = {.scratch_bytes = 4096}},
       "write (limits.scratch_bytes too small?)"},
  };
  for (const Row& row : rows) {
    const SandboxResult result = pool.run({row.program, std::nullopt});
    EXPECT_NE(result.error.find(row.words), std::string::npos) << row.words << " in '" << result.error << "'";
    EXPECT_EQ(result.program.end, SandboxEnd::infra_error);
  }
  EXPECT_EQ(pool.retries(), static_cast<int64_t>(rows.size()) * (SandboxPool::kAttempts - 1));
}

// Else a program could choose to have no score by spoiling what was compiled from it.
TEST_F(Sandbox, AFileOfTheProgramsThatCannotBeExecutedIsTheProgramsFault) {
  for (const SandboxFile& file : std::vector<SandboxFile>{{"x",
                                                           "\x7f"
                                                           "ELF garbage",
                                                           true},
                                                          {"x", "", true},
                                                          {"x", "#!/no/interpreter\n", true},
                                                          {"x", "data", false}}) {
    const ProgramResult result = run({.command = {"/box/x"}, .files = {file}});
    EXPECT_EQ(result.end, SandboxEnd::exited);
    EXPECT_EQ(result.status, 126);
  }
}

TEST(TreeMemory, IsUnknownWhereProcDoesNotShowTheTree) {
  EXPECT_GT(tree_memory(getpid()).value_or(0), 0);
  EXPECT_EQ(unseen_trees(), "");
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0 || mount("none", "/proc", "tmpfs", 0, nullptr) != 0) _exit(2);
    _exit(tree_memory(getpid()).has_value() || unseen_trees().empty() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 2) GTEST_SKIP() << "nothing may be mounted over /proc here";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(Sandbox, RunsSideBySide) {
  SandboxProgram program = attacker("wait");
  program.limits.seconds = 1;
  const auto start = std::chrono::steady_clock::now();
  {
    std::jthread other([&] { pool.run({program, std::nullopt}); });
    pool.run({program, std::nullopt});
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, 2s);
}

// The worker of a pool with one, by its child.
pid_t busy_worker() {
  pid_t worker = -1;
  const auto find = [&] {
    const std::string nursery = std::to_string(find_nursery()->pid());
    std::ifstream children("/proc/" + nursery + "/task/" + nursery + "/children");
    for (pid_t child; children >> child;) {
      const std::string id = std::to_string(child);
      std::ifstream below("/proc/" + id + "/task/" + id + "/children");
      if (pid_t init; below >> init) worker = child;
    }
    return worker > 0;
  };
  return eventually(find) ? worker : -1;
}

TEST_F(Sandbox, AWorkerThatDiesIsReplacedAndTakesItsRunWithIt) {
  SandboxProgram program = attacker("wait");
  program.limits.seconds = 1;
  SandboxResult result;
  {
    std::jthread runner([&] { result = pool.run({program, std::nullopt}); });
    ASSERT_EQ(kill(busy_worker(), SIGKILL), 0);
  }
  EXPECT_EQ(result.error, "");
  EXPECT_EQ(result.program.end, SandboxEnd::timeout);  // by the second worker
  EXPECT_EQ(pool.retries(), 1);
  EXPECT_TRUE(eventually([] { return count_processes(attacker_name()) == 0; }));
  expect_service();
}

TEST_F(Sandbox, AWorkerThatHangsIsKilledAndReplaced) {
  SandboxPool impatient(*find_nursery(), 1, 300ms);
  SandboxProgram program = attacker("wait");
  program.limits.seconds = 0.2;
  SandboxResult result;
  {
    std::jthread runner([&] { result = impatient.run({program, std::nullopt}); });
    const pid_t worker = busy_worker();
    ASSERT_EQ(kill(worker, SIGSTOP), 0);
    EXPECT_TRUE(eventually([&] { return impatient.retries() > 0; }));
    EXPECT_TRUE(eventually([&] { return kill(worker, 0) != 0; }));
  }
  EXPECT_TRUE(eventually([] { return count_processes(attacker_name()) == 0; }));
}

// In a process of its own: a nursery that is dead stays dead.
template <typename Body>
int in_child(Body body) {
  const pid_t child = fork();
  if (child == 0) {
    body();
    _exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return status;
}

TEST_F(Sandbox, WithoutANurseryEveryRunIsTheMachinesFault) {
  const SandboxProgram seven = attacker("exit", "7");
  EXPECT_EQ(in_child([&] {
              Nursery own;
              SandboxPool lonely(own, 2);
              EXPECT_EQ(lonely.run({seven, std::nullopt}).program.status, 7);
              EXPECT_EQ(kill(own.pid(), SIGKILL), 0);
              // Its workers go with it, wherever the first of these runs meets them.
              EXPECT_TRUE(eventually([&] { return !lonely.run({seven, std::nullopt}).error.empty(); }));
              const SandboxResult result = lonely.run({seven, std::nullopt});
              EXPECT_EQ(result.program.end, SandboxEnd::infra_error);
              EXPECT_NE(result.error.find("the process that starts programs (pid"), std::string::npos) << result.error;
              EXPECT_NE(result.error.find("stop, and start again"), std::string::npos) << result.error;
            }),
            0);
}

TEST_F(Sandbox, EverythingDiesWithTheJob) {
  const SandboxProgram program = attacker("wait");  // the name holds this process's number
  const pid_t job = fork();
  if (job == 0) {
    Nursery own;
    SandboxPool doomed(own, 1);
    doomed.run({program, std::nullopt});
    _exit(0);
  }
  ASSERT_TRUE(eventually([] { return count_processes(attacker_name()) == 1; }));
  ASSERT_EQ(kill(job, SIGKILL), 0);
  waitpid(job, nullptr, 0);
  EXPECT_TRUE(eventually([] { return count_processes(attacker_name()) == 0; }));
}

int lines_of(const std::string& path) {
  const std::string text = file_bytes(path);
  return static_cast<int>(std::count(text.begin(), text.end(), '\n'));
}
int entries_of(const std::string& path) {
  std::error_code error;
  int count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(path, error)) ++count;
  return error ? -1 : count;
}
long resident_kb(pid_t process) {
  std::ifstream statm("/proc/" + std::to_string(process) + "/statm");
  long size = 0, resident = 0;
  statm >> size >> resident;
  return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

TEST_F(Sandbox, AThousandRunsLeaveNothing) {
  SandboxPool one(*find_nursery(), 1);
  const SandboxProgram program = attacker("nothing");
  pid_t worker = -1;
  {  // the one worker of this pool, seen at work
    SandboxProgram waiting = attacker("wait");
    waiting.limits.seconds = 0.5;
    std::jthread runner([&] { one.run({waiting, std::nullopt}); });
    worker = busy_worker();
  }
  const std::string id = std::to_string(worker), descriptors = "/proc/" + id + "/fd";
  for (int i = 0; i < 20; ++i) one.run({program, std::nullopt});
  const int own_before = entries_of("/proc/self/fd"), worker_before = entries_of(descriptors),
            mounts_before = lines_of("/proc/self/mountinfo");
  [[maybe_unused]] const long memory_before = resident_kb(worker);
  for (int i = 0; i < 1000; ++i) {
    const SandboxResult result = one.run({program, std::nullopt});
    ASSERT_EQ(result.error, "");
    ASSERT_EQ(result.program.end, SandboxEnd::exited);
  }
  EXPECT_EQ(one.retries(), 0);
  EXPECT_EQ(entries_of("/proc/self/fd"), own_before);
  EXPECT_EQ(entries_of(descriptors), worker_before);  // -1 both times where it may not be looked at
  EXPECT_EQ(lines_of("/proc/self/mountinfo"), mounts_before);
#ifndef __SANITIZE_ADDRESS__  // which keeps freed memory aside
  EXPECT_LT(resident_kb(worker) - memory_before, 2048) << "kB";
#endif
  EXPECT_EQ(count_processes(attacker_name()), 0);
  const std::string children = file_bytes("/proc/" + id + "/task/" + id + "/children");
  EXPECT_EQ(children, "") << "a child that was not waited for";
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::temp_directory_path())) {
    struct stat info;
    const bool there = lstat(entry.path().c_str(), &info) == 0;
    EXPECT_TRUE(!there || info.st_uid < 1'900'000'000u) << entry.path();
  }
}

}  // namespace
}  // namespace cohort
