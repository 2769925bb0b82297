// Runs programs in the sandbox for tests, and looks for what they leave behind.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "reward/code/pool.h"

namespace cohort {

// What the sandbox says of this machine. Asked once a process.
inline const std::vector<Means>& sandbox_means() {
  static const std::vector<Means> means = [] {
    setenv("COHORT_TEST_SECRET", "swordfish", 1);  // which no program may see
    start_nursery();
    return SandboxPool(*find_nursery(), 1).examine();
  }();
  return means;
}

// Why this machine cannot run the sandbox, or "". A sandbox that runs and holds too little is no reason to skip a test.
inline std::string sandbox_lack() {
  std::vector<Means> machine;
  for (const Means& m : sandbox_means()) {
    machine.push_back(m);
    if (m.name == "a whole sandbox") break;  // behind it stand the probes
  }
  try {
    require_means(machine, "this test");
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

inline std::string file_bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// Processes of this name, as the kernel cuts it.
inline int count_processes(const std::string& name) {
  int count = 0;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    std::ifstream comm(entry.path() / "comm");
    std::string found;
    if (std::getline(comm, found) && found == name) ++count;
  }
  return count;
}

// Asks until it holds, for up to 20 s; between looks it yields the processor.
template <typename Condition>
bool eventually(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    usleep(1000);
  }
  return true;
}

class SandboxTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!sandbox_lack().empty()) GTEST_SKIP() << sandbox_lack();
  }
  // Tests run side by side, so the attacker's name tells whose it is.
  static std::string attacker_name() { return "atk" + std::to_string(getpid()); }

  static SandboxProgram attacker(const std::string& attack, const std::string& argument = "") {
    static const std::string bytes = file_bytes(ATTACKER);
    SandboxProgram program;
    program.command = {"/box/" + attacker_name(), attack};
    if (!argument.empty()) program.command.push_back(argument);
    program.files = {{attacker_name(), bytes, true}};
    program.limits.seconds = 60;  // for those that end by themselves
    return program;
  }
  ProgramResult run(const SandboxProgram& program) {
    const SandboxResult result = pool.run({program, std::nullopt});
    EXPECT_EQ(result.error, "");
    EXPECT_EQ(count_processes(attacker_name()), 0) << "a process survived";
    return result.program;
  }
  // An attack that ends by itself and must have got nowhere.
  void expect_held(const std::string& attack, const std::string& argument = "") {
    const ProgramResult result = run(attacker(attack, argument));
    EXPECT_EQ(result.end, SandboxEnd::exited) << sandbox_end_name(result.end) << " " << result.status;
    EXPECT_EQ(result.status, 0);
    EXPECT_EQ(result.out.find("BREACH"), std::string::npos) << result.out;
  }
  // The sandbox still works.
  void expect_service() {
    const ProgramResult result = run(attacker("exit", "7"));
    EXPECT_EQ(result.end, SandboxEnd::exited) << sandbox_end_name(result.end);
    EXPECT_EQ(result.status, 7);
  }

  SandboxPool pool{(sandbox_means(), *find_nursery()), 2};
};

}  // namespace cohort
