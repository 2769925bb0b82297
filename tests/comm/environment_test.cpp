#include "comm/environment.h"

#include <gtest/gtest.h>

#include <map>

namespace cohort {
namespace {

CommEnvironment healthy() {
  return {.launcher = "none",
          .mpi = "Open MPI v4.1.4",
          .pmix = "OpenPMIx 4.2.2",
          .interfaces = {{"lo", "127.0.0.1", true, {}}, {"eth0", "10.0.0.2", false, 10000}},
          .open_files = 20000,
          .locked_memory = 8 << 20,
          .shared_memory = int64_t{1} << 34,
          .shared_memory_free = int64_t{1} << 33,
          .clock = "tsc",
          .clock_ns = 20};
}

Finding finding(const CommEnvironment& environment, const std::string& name) {
  for (const Finding& f : findings(environment))
    if (f.name == name) return f;
  ADD_FAILURE() << "no line " << name;
  return {};
}
std::string advice(const CommEnvironment& environment, const std::string& name) { return finding(environment, name).advice; }

TEST(Environment, AHealthyMachineNeedsNoAdvice) {
  for (const Finding& f : findings(healthy())) {
    EXPECT_FALSE(f.value.empty()) << f.name;
    EXPECT_EQ(f.advice, "") << f.name;
  }
  EXPECT_EQ(finding(healthy(), "network").value, "lo 127.0.0.1, eth0 10.0.0.2 (10 Gb/s)");
  EXPECT_EQ(finding(healthy(), "clock").value, "tsc, 20 ns a look, synchronised");
}

TEST(Environment, SeveralNetworksAreToBeNamed) {
  CommEnvironment e = healthy();
  e.interfaces.push_back({"docker0", "172.17.0.1", false, {}});
  EXPECT_NE(advice(e, "network").find("OMPI_MCA_btl_tcp_if_include=NAME"), std::string::npos);
  e.networks = "eth0";
  EXPECT_EQ(advice(e, "network"), "");
  EXPECT_NE(finding(e, "network").value.find("OMPI_MCA_btl_tcp_if_include=eth0"), std::string::npos);
  e.interfaces.resize(1);
  EXPECT_EQ(advice(e, "network"), "only ranks on this host can reach each other");
  e.interfaces.clear();
  e.networks.clear();
  EXPECT_EQ(finding(e, "network").value, "no interface is up");
}

TEST(Environment, LockedMemoryMattersToRdmaAlone) {
  CommEnvironment e = healthy();
  e.rdma = {"mlx5_0"};
  EXPECT_NE(advice(e, "memlock").find("ulimit -l unlimited"), std::string::npos);
  e.locked_memory.reset();
  EXPECT_EQ(advice(e, "memlock"), "");
  EXPECT_EQ(finding(e, "memlock").value, "unlimited");
}

TEST(Environment, LimitsGrowWithTheRanks) {
  CommEnvironment e = healthy();
  e.open_files = 300;
  EXPECT_EQ(advice(e, "files"), "");
  e.ranks = 64;
  EXPECT_EQ(advice(e, "files"), "a rank may need 768: ulimit -n 4096");
  e.open_files.reset();
  EXPECT_EQ(advice(e, "files"), "");
  e.shared_memory_free = int64_t{512} << 20;
  EXPECT_NE(advice(e, "/dev/shm").find("64 ranks of this host need 1.1 GB"), std::string::npos) << advice(e, "/dev/shm");
  e.ranks = 1;
  EXPECT_EQ(advice(e, "/dev/shm"), "");
  e.shared_memory_free = int64_t{1} << 20;
  EXPECT_NE(advice(e, "/dev/shm").find("--shm-size"), std::string::npos);
  e.shared_memory.reset();
  EXPECT_NE(advice(e, "/dev/shm").find("mount a tmpfs"), std::string::npos);
}

TEST(Environment, WhatIsMissingOrInTheWayIsSaid) {
  CommEnvironment e = healthy();
  e.pmix.clear();
  EXPECT_NE(advice(e, "PMIx").find("libpmix2"), std::string::npos);
  e = healthy();
  e.started_by_mpirun = true;
  EXPECT_NE(advice(e, "PMIx").find("PMIX_MCA_gds=hash"), std::string::npos);
  e.pmix_storage = "hash";
  EXPECT_EQ(advice(e, "PMIx"), "");
  e.reads_processes = false;
  EXPECT_NE(advice(e, "copies").find("SYS_PTRACE"), std::string::npos);
  e.clock_ns = 900;
  e.clock_synchronised = false;
  EXPECT_NE(advice(e, "clock").find("tsc"), std::string::npos);
  EXPECT_NE(advice(e, "clock").find("logs"), std::string::npos);
}

TEST(Environment, ExaminesThisMachine) {
  using Variables = std::map<std::string, std::string>;
  const auto examine = [](const Variables& variables) {
    return examine_environment([&](const char* name) {
      const auto found = variables.find(name);
      return found == variables.end() ? nullptr : found->second.c_str();
    });
  };
  const CommEnvironment alone = examine({});
  EXPECT_EQ(alone.launcher, "none");
  EXPECT_NE(alone.mpi.find("MPI"), std::string::npos) << alone.mpi;
  EXPECT_EQ(alone.mpi.find(','), std::string::npos) << alone.mpi;
  EXPECT_GT(alone.clock_ns, 0);
  EXPECT_FALSE(alone.started_by_mpirun);
  const CommEnvironment ranked = examine({{"OMPI_COMM_WORLD_SIZE", "4"}, {"OMPI_COMM_WORLD_RANK", "3"}, {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"},
                                          {"PMIX_MCA_gds", "hash"}, {"OMPI_MCA_btl_tcp_if_include", "ib0"}});
  EXPECT_EQ(ranked.launcher, "mpirun: rank 3 of 4, all on this host");
  EXPECT_EQ(ranked.ranks, 4);
  EXPECT_EQ(ranked.pmix_storage, "hash");
  EXPECT_EQ(ranked.networks, "ib0");
  EXPECT_TRUE(ranked.started_by_mpirun);
  EXPECT_EQ(examine({{"PMIX_RANK", "1"}, {"SLURM_STEP_ID", "0"}, {"SLURM_STEP_NUM_TASKS", "2"}, {"SLURM_STEP_NUM_NODES", "2"}}).launcher,
            "srun: rank 1 of 2, on several hosts");
  EXPECT_NE(examine({{"SLURM_JOB_ID", "7"}}).launcher.find("within a job of SLURM"), std::string::npos);
}

}  // namespace
}  // namespace cohort
