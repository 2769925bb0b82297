#include "comm/launch.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <map>
#include <string>

#include "core/check.h"

namespace cohort {
namespace {

using Table = std::map<std::string, std::string>;

Environment environment(const Table& table) {
  return [&table](const char* name) {
    const auto found = table.find(name);
    return found == table.end() ? nullptr : found->second.c_str();
  };
}

bool with_others(const Table& table) { return launched_with_others(environment(table)); }
bool on_one_host(const Table& table) { return launched_on_one_host(environment(table)); }

TEST(Launch, TheRankIsKnownBeforeMpiStarts) {
  EXPECT_EQ(launched_rank(environment({})), std::nullopt);
  const Table mpirun = {{"OMPI_COMM_WORLD_RANK", "3"}, {"PMIX_RANK", "4"}}, srun = {{"PMIX_RANK", "4"}}, other = {{"PMI_RANK", "5"}};
  EXPECT_EQ(launched_rank(environment(mpirun)), 3);
  EXPECT_EQ(launched_rank(environment(srun)), 4);
  EXPECT_EQ(launched_rank(environment(other)), 5);
  char host[256] = {};
  gethostname(host, sizeof host - 1);
  EXPECT_EQ(launched_name(environment(srun)), std::string("rank 4 on ") + host);
  EXPECT_EQ(launched_name(environment({})), std::string("rank ? on ") + host);
}

TEST(Launch, HowManyAreStartedIsKnownWhereTheLauncherSaysIt) {
  EXPECT_EQ(launched_size(environment({})), std::nullopt);
  const Table mpirun = {{"OMPI_COMM_WORLD_SIZE", "3"}, {"SLURM_STEP_ID", "0"}, {"SLURM_STEP_NUM_TASKS", "1"}};
  const Table srun = {{"SLURM_STEP_ID", "0"}, {"SLURM_STEP_NUM_TASKS", "4"}}, batch = {{"SLURM_STEP_NUM_TASKS", "4"}}, other = {{"PMI_SIZE", "5"}};
  EXPECT_EQ(launched_size(environment(mpirun)), 3);
  EXPECT_EQ(launched_size(environment(srun)), 4);
  EXPECT_EQ(launched_size(environment(batch)), std::nullopt);
  EXPECT_EQ(launched_size(environment(other)), 5);
}

TEST(Launch, AShellStartsOneProcess) {
  EXPECT_FALSE(with_others({}));
  EXPECT_FALSE(with_others({{"PATH", "/usr/bin"}}));
}

TEST(Launch, MpirunTellsItsSize) {
  EXPECT_TRUE(with_others({{"OMPI_COMM_WORLD_SIZE", "4"}, {"PMIX_RANK", "0"}}));
  EXPECT_FALSE(with_others({{"OMPI_COMM_WORLD_SIZE", "1"}, {"PMIX_RANK", "0"}}));
}

TEST(Launch, MpirunInsideAnSrunStepCounts) {
  EXPECT_TRUE(with_others(
      {{"OMPI_COMM_WORLD_SIZE", "2"}, {"SLURM_STEP_ID", "0"}, {"SLURM_STEP_NUM_TASKS", "1"}}));
}

TEST(Launch, SrunWithPmixTellsItsSize) {
  const auto step_of = [](const char* tasks) {
    return Table{{"SLURM_STEP_ID", "0"},
                 {"SLURM_PROCID", "0"},
                 {"PMIX_RANK", "0"},
                 {"SLURM_STEP_NUM_TASKS", tasks}};
  };
  EXPECT_TRUE(with_others(step_of("3")));
  EXPECT_FALSE(with_others(step_of("1")));
}

TEST(Launch, TheBatchScriptIsOneProcess) {
  // sbatch --ntasks=4 sets these in the script, whose commands are started once.
  EXPECT_FALSE(with_others({{"SLURM_PROCID", "0"},
                            {"SLURM_NTASKS", "4"},
                            {"SLURM_JOB_ID", "7"},
                            {"SLURM_STEP_NUM_TASKS", "4"}}));
}

TEST(Launch, OtherLaunchersTellByPmi) {
  EXPECT_TRUE(with_others({{"PMI_RANK", "0"}, {"PMI_SIZE", "2"}}));
  EXPECT_FALSE(with_others({{"PMI_RANK", "0"}, {"PMI_SIZE", "1"}}));
}

TEST(Launch, ALauncherOfUnknownSizeHasOthers) {
  EXPECT_TRUE(with_others({{"PMIX_RANK", "0"}}));
  EXPECT_TRUE(with_others({{"PMI_RANK", "0"}}));
}

TEST(Launch, TasksThatCannotFindEachOtherAreRefused) {
  try {
    with_others({{"SLURM_STEP_ID", "0"}, {"SLURM_STEP_NUM_TASKS", "4"}, {"SLURM_PROCID", "2"}});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    EXPECT_NE(std::string(error.what()).find("srun --mpi=pmix"), std::string::npos) << error.what();
  }
  EXPECT_FALSE(with_others({{"SLURM_STEP_ID", "0"}, {"SLURM_STEP_NUM_TASKS", "1"}}));
}

TEST(Launch, SizesThatAreNoNumbersAreRefused) {
  for (const char* bad : {"", "two", "2x", "-1", "99999999999"}) {
    try {
      with_others({{"OMPI_COMM_WORLD_SIZE", bad}});
      FAIL() << "no error for '" << bad << "'";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kUsage);
      EXPECT_NE(std::string(error.what()).find("OMPI_COMM_WORLD_SIZE"), std::string::npos)
          << error.what();
    }
  }
}

TEST(Launch, OneHostOnlyWhereTheLauncherSaysSo) {
  EXPECT_FALSE(on_one_host({}));
  EXPECT_FALSE(on_one_host({{"OMPI_COMM_WORLD_SIZE", "4"}}));
  EXPECT_FALSE(on_one_host({{"OMPI_COMM_WORLD_SIZE", "4"}, {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}}));
  EXPECT_TRUE(on_one_host({{"OMPI_COMM_WORLD_SIZE", "4"}, {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"}}));
  EXPECT_TRUE(on_one_host({{"SLURM_STEP_ID", "0"}, {"SLURM_STEP_NUM_NODES", "1"}}));
  EXPECT_FALSE(on_one_host({{"SLURM_STEP_ID", "0"}, {"SLURM_STEP_NUM_NODES", "2"}}));
  EXPECT_FALSE(on_one_host({{"SLURM_STEP_NUM_NODES", "1"}}));
}

}  // namespace
}  // namespace cohort
