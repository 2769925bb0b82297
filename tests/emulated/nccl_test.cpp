// The fake NCCL between processes: results, order of sums, and what happens when a rank is late, wrong or gone.
#include <emulator/settings.h>
#include <gtest/gtest.h>
#include <nccl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

std::string digits(const ncclUniqueId& id) {
  std::string text;
  for (char c : id.internal) {
    char two[3];
    std::snprintf(two, sizeof(two), "%02x", static_cast<unsigned char>(c));
    text += two;
  }
  return text;
}

struct Ranks {
  std::vector<int> codes;  // exit code, or 128 + signal
  std::string text;        // of all ranks
};

// Starts the ranks side by side; `settings` of EMULATED_CUDA for rank r.
template <typename SettingsOf>
Ranks run(const std::string& scenario, int ranks, const SettingsOf& settings) {
  ncclUniqueId id;
  EXPECT_EQ(ncclGetUniqueId(&id), ncclSuccess);
  std::vector<FILE*> pipes;
  for (int r = 0; r < ranks; ++r) {
    const std::string command = "echo " + digits(id) + " | EMULATED_CUDA=" + settings(r) +
                                " TSAN_OPTIONS=halt_on_error=1 ASAN_OPTIONS=detect_leaks=0 " RANKS "_" + emulated::flavour() + " " +
                                scenario + " " + std::to_string(ranks) + " " + std::to_string(r) + " 2>&1";
    pipes.push_back(popen(command.c_str(), "r"));
  }
  Ranks result;
  for (FILE* pipe : pipes) {
    char line[512];
    while (std::fgets(line, sizeof(line), pipe) != nullptr) result.text += line;
    const int status = pclose(pipe);
    result.codes.push_back(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  }
  return result;
}
Ranks run(const std::string& scenario, int ranks) {
  return run(scenario, ranks, [](int) { return "order=forward"; });
}

std::vector<int> all_zero(int ranks) { return std::vector<int>(static_cast<size_t>(ranks), 0); }

TEST(Nccl, CollectivesAndExchangesOfOneToFourRanks) {
  for (int ranks : {1, 2, 3, 4}) {
    const Ranks result = run("collectives", ranks);
    EXPECT_EQ(result.codes, all_zero(ranks)) << result.text;
  }
}

TEST(Nccl, TheSameInEveryOrderOfStreamsAndBlocking) {
  const Ranks result = run("collectives", 3, [](int rank) {
    return rank == 0 ? "streams=lazy" : rank == 1 ? "streams=random:2,fence=1" : "streams=eager";
  });
  EXPECT_EQ(result.codes, all_zero(3)) << result.text;
  const Ranks blocking = run("blocking", 2);
  EXPECT_EQ(blocking.codes, all_zero(2)) << blocking.text;
}

TEST(Nccl, ACallThatNeverCompletesCanBeAborted) {
  const Ranks result = run("hang", 2, [](int rank) { return rank == 0 ? "nccl_hang=1" : "order=forward"; });
  EXPECT_EQ(result.codes, all_zero(2)) << result.text;
}

TEST(Nccl, AnAsynchronousErrorIsToldAndCanBeAborted) {
  const Ranks result = run("error", 2, [](int rank) { return rank == 0 ? "nccl_error=1" : "order=forward"; });
  EXPECT_EQ(result.codes, all_zero(2)) << result.text;
}

TEST(Nccl, ACommunicatorThatIsNeverReadyCanBeAborted) {
  const Ranks result = run("init_hang", 2, [](int) { return "nccl_init_hang=1"; });
  EXPECT_EQ(result.codes, all_zero(2)) << result.text;
}

TEST(Nccl, CallsThatDoNotMatchEndTheProcess) {
  const Ranks result = run("mismatch", 2, [](int) { return "order=forward"; });
  EXPECT_NE(result.text.find("calls all-reduce of 8"), std::string::npos) << result.text;
  EXPECT_NE(result.text.find("calls broadcast of 4"), std::string::npos) << result.text;
}

TEST(Nccl, TwoRanksOnOneGpuAndAnotherNumberOfRanksAreRefused) {
  const std::string invalid_usage = ": " + std::to_string(static_cast<int>(ncclInvalidUsage));
  const Ranks same_gpu = run("same_gpu", 2);
  EXPECT_NE(same_gpu.text.find("two ranks use the same GPU"), std::string::npos) << same_gpu.text;
  EXPECT_NE(same_gpu.text.find(invalid_usage), std::string::npos) << same_gpu.text;
  const Ranks other_size = run("other_size", 2);
  EXPECT_NE(other_size.text.find("ranks disagree about their number"), std::string::npos) << other_size.text;
}

TEST(Nccl, AnIdCannotBeUsedForARankThatIsNone) {
  ncclUniqueId id;
  ncclComm_t comm;
  ASSERT_EQ(ncclGetUniqueId(&id), ncclSuccess);
  EXPECT_EQ(ncclCommInitRank(&comm, 2, id, 2), ncclInvalidArgument);
  EXPECT_EQ(ncclCommInitRank(&comm, 0, id, 0), ncclInvalidArgument);
}

}  // namespace
