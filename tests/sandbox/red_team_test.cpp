// Programs that attack what runs them: none gets through, none costs the job, none leaves a process behind.
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <fstream>
#include <thread>

#include "sandbox_fixture.h"

namespace cohort {
namespace {

class RedTeam : public SandboxTest {};

TEST_F(RedTeam, EveryProbeOfTheSelfTestHolds) {
  for (const Means& m : sandbox_means()) EXPECT_TRUE(m.present || !m.required) << m.name << ": " << m.found;
}

TEST_F(RedTeam, AForkBombEndsAtTheClockAndLeavesNothing) {
  SandboxProgram program = attacker("fork-bomb");
  program.limits.seconds = 0.5;
  EXPECT_EQ(run(program).end, SandboxEnd::timeout);
  expect_service();
}

TEST_F(RedTeam, AnAllocationBombOfManyProcessesEndsAsMemory) {
  SandboxProgram program = attacker("allocation-bomb");
  program.limits.memory_bytes = 200 << 20;  // three times less than they take together, three times more than each does
  EXPECT_EQ(run(program).end, SandboxEnd::memory);
  expect_service();
}

TEST_F(RedTeam, MemoryThatNoProcessAccountsForIsRefused) { expect_held("hidden-memory"); }
TEST_F(RedTeam, OneHugeBlockIsRefused) { expect_held("one-huge-block"); }

TEST_F(RedTeam, EndlessOutputIsCutAndEnded) {
  for (const char* attack : {"endless-output", "endless-error"}) {
    SandboxProgram program = attacker(attack);
    program.limits.output_bytes = 100'000;
    const ProgramResult result = run(program);
    EXPECT_EQ(result.end, SandboxEnd::output_limit) << attack;
    EXPECT_EQ(result.out.size() + result.err.size(), 100'000u);
  }
}

TEST_F(RedTeam, ADaemonDiesWithTheProgramThatLeftIt) {
  const ProgramResult result = run(attacker("daemon"));
  EXPECT_EQ(result.end, SandboxEnd::exited);
  EXPECT_EQ(result.status, 0);
}

TEST_F(RedTeam, LinksInTheWorkFolderAreNeverFollowed) {
  const std::string outside = file_bytes("/usr/bin/env");
  for (int round = 0; round < 20; ++round) {
    SandboxProgram program = attacker("symlink-race");
    program.take = {"program", "link"};
    for (const SandboxFile& file : run(program).files) {
      EXPECT_EQ(file.name, "program");
      EXPECT_EQ(file.bytes, "mine");
    }
  }
}

TEST_F(RedTeam, WhatIsNoPlainFileIsNotTaken) {
  for (const char* kind : {"folder", "pipe", "huge", "hard-link"}) {
    SandboxProgram program = attacker("odd-artifact", kind);
    program.take = {"program", "../etc/passwd", "/usr/bin/env", ".", "absent"};
    const ProgramResult result = run(program);
    EXPECT_EQ(result.out, "") << kind;
    EXPECT_TRUE(result.files.empty()) << kind;
  }
}

TEST_F(RedTeam, NoNetworkOfAnyFamily) {
  // A listener by an abstract name, which file systems do not fence off.
  const Fd listener(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, "\0cohort-test", 12);
  bind(listener.get(), reinterpret_cast<sockaddr*>(&address), offsetof(sockaddr_un, sun_path) + 12);
  expect_held("network");
  char byte;
  EXPECT_LT(recv(listener.get(), &byte, 1, 0), 0);
}

TEST_F(RedTeam, NoProcNoDevices) { expect_held("snooping"); }
TEST_F(RedTeam, NoTracing) { expect_held("tracing"); }
TEST_F(RedTeam, NoKernelInterfacesBeyondAProgramsNeeds) { expect_held("kernel-interfaces"); }
TEST_F(RedTeam, NoNamespacesInNamespaces) { expect_held("namespaces"); }
TEST_F(RedTeam, NoDescriptorsAndNoHigherLimits) { expect_held("descriptors"); }

TEST_F(RedTeam, KillingEverybodyKillsOnlyItself) {
  const ProgramResult result = run(attacker("killing"));
  EXPECT_EQ(result.end, SandboxEnd::signalled);
  EXPECT_EQ(result.status, SIGKILL);
  EXPECT_EQ(result.out, "alive\n");
  expect_service();
}

TEST_F(RedTeam, TheScratchFillsUpToItsSize) {
  SandboxProgram program = attacker("filling");
  program.limits.scratch_bytes = 8 << 20;
  const ProgramResult result = run(program);
  EXPECT_EQ(result.end, SandboxEnd::exited) << sandbox_end_name(result.end);
  long written = 0;
  int files = 0;
  ASSERT_EQ(std::sscanf(result.out.c_str(), "%ld %d", &written, &files), 2) << result.out;
  EXPECT_GT(written, 1 << 20);
  EXPECT_LE(written, 8 << 20);
  EXPECT_LT(files, 10'000);
}

TEST_F(RedTeam, CallsByAnotherArchitecturesNumbersKill) {
  const ProgramResult result = run(attacker("foreign-calls"));
  EXPECT_EQ(result.end, SandboxEnd::signalled);
  EXPECT_TRUE(result.status == SIGSYS || result.status == SIGSEGV)
      << result.status;  // SEGV: a kernel without 32 bit calls
  EXPECT_EQ(result.out, "before\n");
}

TEST_F(RedTeam, TheEnvironmentIsTheSandboxesOwn) {
  const ProgramResult result = run(attacker("environment"));
  EXPECT_EQ(result.out, "PATH=/usr/local/bin:/usr/bin:/bin\nHOME=/box\nTMPDIR=/tmp\nLANG=C.UTF-8\nUSER=user\n");
}

TEST_F(RedTeam, TheNurseryForgetsTheEnvironment) {
  const std::string path = "/proc/" + std::to_string(find_nursery()->pid()) + "/environ";
  const std::string left = file_bytes(path);
  EXPECT_EQ(left.find_first_not_of('\0'), std::string::npos) << left;
}

TEST_F(RedTeam, NothingOutsideIsReadOrWritten) {
  std::string secret = (std::filesystem::temp_directory_path() / "cohort-secret-XXXXXX").string();
  const Fd file(mkstemp(secret.data()));
  chmod(secret.c_str(), 0644);
  expect_held("outside", secret);
  unlink(secret.c_str());
}

TEST_F(RedTeam, RunsSeeNoFilesOfOtherRuns) {
  run(attacker("leave-files"));
  expect_held("find-files");
  // Nor of those that run at the same time.
  std::jthread other([&] {
    for (int i = 0; i < 10; ++i) EXPECT_EQ(pool.run({attacker("leave-files"), std::nullopt}).error, "");
  });
  for (int i = 0; i < 10; ++i) {
    const SandboxResult result = pool.run({attacker("find-files"), std::nullopt});
    EXPECT_EQ(result.program.out, "");
    EXPECT_EQ(result.program.end, SandboxEnd::exited);
  }
}

TEST_F(RedTeam, AStoppedProgramEndsAtTheClock) {
  SandboxProgram program = attacker("stop-itself");
  program.limits.seconds = 0.3;
  const ProgramResult result = run(program);
  EXPECT_EQ(result.end, SandboxEnd::timeout);
  EXPECT_EQ(result.out, "");
}

TEST_F(RedTeam, AStackOverflowIsACrash) {
  const ProgramResult result = run(attacker("overflow-stack"));
  EXPECT_EQ(result.end, SandboxEnd::signalled);
  EXPECT_EQ(result.status, SIGSEGV);
}

// Each on a kernel object of its own kind: what differs from ours is a namespace of its own.
TEST_F(RedTeam, EveryNamespaceIsItsOwn) {
  if (geteuid() != 0) GTEST_SKIP() << "only root may look at another user's namespaces";
  SandboxProgram program = attacker("wait");
  program.limits.seconds = 2;
  std::jthread runner([&] { pool.run({program, std::nullopt}); });
  std::string process;
  ASSERT_TRUE(eventually([&] {
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      std::ifstream comm(entry.path() / "comm");
      std::string name;
      if (std::getline(comm, name) && name == attacker_name()) process = entry.path();
    }
    return !process.empty();
  }));
  for (const char* kind : {"user", "pid", "net", "ipc", "uts", "mnt", "cgroup"}) {
    std::error_code error;
    const auto theirs = std::filesystem::read_symlink(process + "/ns/" + kind, error);
    EXPECT_FALSE(error) << kind;
    EXPECT_NE(theirs, std::filesystem::read_symlink(std::string("/proc/self/ns/") + kind)) << kind;
  }
  std::ifstream status(process + "/status");
  std::stringstream text;
  text << status.rdbuf();
  for (const char* line : {"NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000", "CapPrm:\t0000000000000000",
                           "CapBnd:\t0000000000000000"})
    EXPECT_NE(text.str().find(line), std::string::npos) << line << " in " << text.str();
}

TEST_F(RedTeam, ProgramsRunAsNobodyOfThisHost) {
  const ProgramResult result = run(attacker("tell-user"));
  EXPECT_EQ(result.out, "1000 2 1\n");  // the user inside; outside it is the worker's own
}

}  // namespace
}  // namespace cohort
