// Each fault of programs/broken.cu is noticed: by this flavour's sanitizer, by the emulator's own report, by NaN in the
// output, or because the bits depend on the order of threads.
#include <emulator/settings.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <string>

namespace {

constexpr const char* kOrders[] = {"order=forward", "order=reverse", "order=random:1", "order=random:2",
                                   "order=random:3"};

struct Outcome {
  int code;  // exit code, or 128 + signal
  std::string text;
};

Outcome run(const std::string& name, const std::string& settings) {
  const std::string command = std::string("ASAN_OPTIONS=detect_leaks=0 TSAN_OPTIONS=halt_on_error=1 " BROKEN "_") +
                              emulated::flavour() + " " + name + " " + settings + " 2>&1";
  FILE* pipe = popen(command.c_str(), "r");
  Outcome outcome{0, ""};
  char line[512];
  while (std::fgets(line, sizeof(line), pipe) != nullptr) outcome.text += line;
  const int status = pclose(pipe);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

// How a fault shows: part of a report, "nan", or "order".
std::string how_it_shows(const std::string& name, const std::string& expected, const std::string& more) {
  std::set<std::string> outputs;
  for (const char* order : kOrders) {
    const Outcome outcome = run(name, order + more);
    if (outcome.code != 0) {
      return outcome.text.find(expected) != std::string::npos ? expected : "ended with: " + outcome.text;
    }
    if (expected == "nan" && outcome.text.find("nan 0") == std::string::npos) return "nan";
    outputs.insert(outcome.text);
  }
  return outputs.size() > 1 ? "order" : "not at all: " + *outputs.begin();
}

// Fault -> how it shows in the flavours plain, asan, tsan. "": this flavour need not notice it.
struct Expected {
  const char *plain, *asan, *tsan;
};
const std::map<std::string, Expected> kExpected = {
    {"missing_barrier", {"order", "order", "data race"}},
    {"write_after_read", {"order", "order", "data race"}},
    {"lost_update", {"", "", "data race"}},
    {"implicit_warp_step", {"order", "order", "data race"}},
    {"blocks_race", {"order", "order", "data race"}},
    {"global_out_of_bounds", {"behind a device allocation", "global_out_of_bounds", ""}},
    {"dynamic_shared_out_of_bounds", {"", "dynamic_shared_out_of_bounds", ""}},
    {"static_shared_out_of_bounds", {"", "index 64 out of bounds", ""}},
    {"uninitialised_shared", {"nan", "nan", "nan"}},
    {"divergent_barrier",
     {"__syncthreads that ended threads never reach", "__syncthreads that ended threads never reach",
      "__syncthreads that ended threads never reach"}},
    {"two_barriers",
     {"threads wait at different __syncthreads", "threads wait at different __syncthreads",
      "threads wait at different __syncthreads"}},
    {"divergent_shuffle",
     {"threads wait for each other", "threads wait for each other", "threads wait for each other"}},
    {"shuffle_outside_mask",
     {"reads lane 20, which is not in mask", "reads lane 20, which is not in mask",
      "reads lane 20, which is not in mask"}},
    {"missing_copy_wait", {"nan", "nan", "nan"}},
    {"missing_barrier_after_copy", {"order", "order", "data race"}},
    {"missing_barrier_before_ldmatrix", {"", "", "data race"}},
    {"misaligned_vector", {"", "misaligned address", ""}},
    {"trap", {"__trap()", "__trap()", "__trap()"}},
    {"too_many_threads",
     {"cudaErrorInvalidConfiguration", "cudaErrorInvalidConfiguration", "cudaErrorInvalidConfiguration"}},
    {"too_much_shared", {"cudaErrorInvalidValue", "cudaErrorInvalidValue", "cudaErrorInvalidValue"}},
};

class BrokenKernel : public testing::TestWithParam<std::string> {};

TEST_P(BrokenKernel, IsNoticed) {
  const Expected& all = kExpected.at(GetParam());
  const std::string flavour = emulated::flavour();
  const std::string expected = flavour == "plain" ? all.plain : flavour == "asan" ? all.asan : all.tsan;
  if (expected.empty()) return;  // another flavour is for this one
  EXPECT_EQ(how_it_shows(GetParam(), expected, ""), expected);
}

INSTANTIATE_TEST_SUITE_P(Faults, BrokenKernel, testing::ValuesIn([] {
                           std::vector<std::string> names;
                           for (const auto& [name, how] : kExpected) names.push_back(name);
                           return names;
                         }()),
                         [](const auto& info) { return info.param; });

TEST(SoundKernel, HasOneResultInEveryOrder) {
  std::set<std::string> outputs;
  for (const char* order : kOrders) {
    const Outcome outcome = run("sound", order);
    EXPECT_EQ(outcome.code, 0) << outcome.text;
    EXPECT_NE(outcome.text.find("nan 0"), std::string::npos);
    outputs.insert(outcome.text);
  }
  EXPECT_EQ(outputs.size(), 1u);
}

TEST(ReportOfAFault, NamesKernelBlockAndThread) {
  const std::string text = run("trap", "order=forward").text;
  EXPECT_NE(text.find("kernel broken::trap(float*, float const*)"), std::string::npos) << text;
  EXPECT_NE(text.find("block (0, 0, 0), thread (0, 0, 0)"), std::string::npos) << text;
}

TEST(RefusedLaunch, NamesKernelAndConfiguration) {
  const std::string text = run("too_many_threads", "order=forward").text;
  EXPECT_NE(text.find("broken::sound"), std::string::npos) << text;
  EXPECT_NE(text.find("block (2048, 1, 1)"), std::string::npos) << text;
}

// The fence is for the plain flavour: sanitizers watch memory themselves.
TEST(Fence, StopsAKernelBehindTheEndOfItsMemoryAtTheAccess) {
  if (std::string(emulated::flavour()) != "plain") return;
  // 512 bytes are a whole number of aligned pieces, so that the first number behind them is beyond the guard page.
  const Outcome outcome = run("global_out_of_bounds", "order=forward,fence=1");
  EXPECT_NE(outcome.text.find("invalid access"), std::string::npos) << outcome.text;
  EXPECT_NE(outcome.text.find("thread (128, 0, 0)"), std::string::npos) << outcome.text;
  EXPECT_EQ(run("sound", "order=forward,fence=1").code, 0);
}

}  // namespace
