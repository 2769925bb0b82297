// Which cores a process may use, how ranks share them, and what is said when there are too few.
#include "core/cpu_topology.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <fstream>
#include <memory>
#include <set>
#include <thread>

#include "core/threads.h"
#include "core/unpin.h"
#include "tests/core/expect_error.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

// `cores` physical cores with `threads` hardware threads each, numbered as Linux does: first one of each core.
CpuTopology machine(int cores, int threads = 1) {
  CpuTopology topology{.machine_cores = cores};
  for (int core = 0; core < cores; ++core) {
    topology.cores.emplace_back();
    for (int t = 0; t < threads; ++t) topology.cores.back().push_back(t * cores + core);
  }
  return topology;
}

TEST(PlanThreads, ARankAloneHasAThreadOnEachPhysicalCore) {
  const ThreadPlan plan = plan_threads(machine(4, 2), 0, "auto", {});
  EXPECT_EQ(plan.threads, 4);
  EXPECT_EQ(plan.cpus, (std::vector<int>{0, 1, 2, 3}));
}

TEST(PlanThreads, RanksTakeSlicesThatDoNotMeet) {
  for (const int ranks : {1, 2, 4}) {
    std::set<int> taken;
    for (int rank = 0; rank < ranks; ++rank) {
      const ThreadPlan plan = plan_threads(machine(8), 0, "auto", {rank, ranks});
      EXPECT_EQ(plan.threads, 8 / ranks);
      ASSERT_EQ(plan.cpus.size(), static_cast<size_t>(8 / ranks));
      EXPECT_EQ(plan.cpus.back() - plan.cpus.front(), 8 / ranks - 1);  // neighbours: one NUMA node where it can be
      taken.insert(plan.cpus.begin(), plan.cpus.end());
    }
    EXPECT_EQ(taken.size(), 8u);
  }
}

TEST(PlanThreads, SiblingsComeAfterAllPhysicalCores) {
  EXPECT_EQ(plan_threads(machine(2, 2), 3, "on", {}).cpus, (std::vector<int>{0, 1, 2}));
  EXPECT_EQ(plan_threads(machine(2, 2), 2, "on", {1, 2}).cpus, (std::vector<int>{1, 3}));
}

TEST(PlanThreads, AutoPinsOnlyWhereThreadsAreAsManyAsCores) {
  EXPECT_TRUE(plan_threads(machine(4), 2, "auto", {}).cpus.empty());         // another run may need the core
  EXPECT_TRUE(plan_threads(machine(4), 8, "auto", {}).cpus.empty());         // too many
  EXPECT_TRUE(plan_threads(machine(4), 0, "auto", {0, 3}).cpus.empty());     // a core is left over
  EXPECT_TRUE(plan_threads(machine(4), 0, "auto", {0, 2, false}).cpus.empty());  // the ranks' cores only overlap
  CpuTopology limited = machine(4);
  limited.quota = 2;  // time, not cores: the system moves threads to where there is some
  EXPECT_EQ(plan_threads(limited, 0, "auto", {}).threads, 2);
  EXPECT_TRUE(plan_threads(limited, 4, "auto", {}).cpus.empty());
  EXPECT_FALSE(plan_threads(machine(4), 4, "auto", {}).cpus.empty());
  EXPECT_FALSE(plan_threads(machine(1), 0, "auto", {}).cpus.empty());
}

TEST(PlanThreads, OffPlacesNothing) { EXPECT_TRUE(plan_threads(machine(4), 0, "off", {}).cpus.empty()); }

TEST(PlanThreads, OnWithTooFewCoresIsRefused) {
  EXPECT_ERROR(plan_threads(machine(2), 3, "on", {}), kUsage, "3 threads have a share of 2 hardware threads");
  EXPECT_ERROR(plan_threads(machine(1), 1, "on", {0, 2}), kUsage, "cores: 1, ranks: 2");
}

TEST(PlanThreads, EveryRankHasAThreadEvenWithoutACore) {
  for (const int ranks : {1, 2, 5}) EXPECT_EQ(plan_threads(machine(1), 0, "auto", {ranks - 1, ranks}).threads, 1);
  CpuTopology starved = machine(4);
  starved.quota = 0.5;
  EXPECT_EQ(plan_threads(starved, 0, "auto", {}).threads, 1);
}

TEST(Oversubscription, IsToldWithWhatToChange) {
  EXPECT_EQ(oversubscription(machine(4), 0, 2, {0, 2}, "node07"), "");
  EXPECT_EQ(oversubscription(machine(2, 2), 4, 4, {}, "node07"), "");  // hardware threads count
  EXPECT_EQ(oversubscription(machine(4), 4, 4, {0, 2}, "node07"),
            "2 ranks with 4 threads each on 4 cores of node07: slower, the same result. Set run.threads to 2, or to 0");
  EXPECT_EQ(oversubscription(machine(1), 0, 1, {0, 3}, "node07"),
            "3 ranks with 1 thread each on 1 core of node07: slower, the same result. Start at most 1 rank there");
  CpuTopology bound = machine(1);
  bound.machine_cores = 8;
  EXPECT_NE(oversubscription(bound, 4, 4, {}, "node07").find("allows 1 of the host's 8 cores: mpirun --bind-to none"), std::string::npos);
  CpuTopology limited = machine(8);
  limited.quota = 2.5;
  EXPECT_NE(oversubscription(limited, 8, 8, {}, "node07").find("allowed 2.5 cores' worth of time"), std::string::npos);
}

class Cgroup : public ::testing::Test {
 protected:
  Cgroup() : root(fs::path(::testing::TempDir()) / ("cgroup_" + std::to_string(getpid()))) { fs::create_directories(root); }
  ~Cgroup() override { fs::remove_all(root); }
  void write(const fs::path& file, const std::string& text) {
    fs::create_directories((root / file).parent_path());
    std::ofstream(root / file) << text;
  }
  double quota() const { return cgroup_cpu_quota(root, root / "self"); }
  fs::path root;
};

TEST_F(Cgroup, Version2HasTheLeastLimitOfItAndThoseAround) {
  write("self", "0::/job/task\n");
  EXPECT_TRUE(std::isinf(quota()));
  write("job/task/cpu.max", "max 100000\n");
  EXPECT_TRUE(std::isinf(quota()));
  write("job/cpu.max", "250000 100000\n");
  EXPECT_EQ(quota(), 2.5);
  write("job/task/cpu.max", "100000 100000\n");
  EXPECT_EQ(quota(), 1);
}

TEST_F(Cgroup, Version1IsReadToo) {
  write("self", "3:cpuset:/\n2:cpu,cpuacct:/job\n");
  write("cpu/job/cpu.cfs_period_us", "100000\n");
  write("cpu/job/cpu.cfs_quota_us", "-1\n");
  EXPECT_TRUE(std::isinf(quota()));
  write("cpu/job/cpu.cfs_quota_us", "150000\n");
  EXPECT_EQ(quota(), 1.5);
}

TEST_F(Cgroup, WithoutTheFileThereIsNoLimit) { EXPECT_TRUE(std::isinf(quota())); }

// The cores that the calling thread may run on, as numbers.
std::vector<int> allowed() {
  cpu_set_t set;
  CPU_ZERO(&set);
  EXPECT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(static_cast<size_t>(cpu), &set)) cpus.push_back(cpu);
  return cpus;
}

TEST(ProcessTopology, IsWhatTheProcessMayUse) {
  std::vector<int> cpus;
  for (const std::vector<int>& core : process_topology().cores) cpus.insert(cpus.end(), core.begin(), core.end());
  std::ranges::sort(cpus);
  EXPECT_EQ(cpus, allowed());
}

TEST(ProcessTopology, KeepsToABindingAndPinnedThreadsStayInTheirPlace) {
  std::thread([] {  // a binding is a thread's: this one leaves the others alone
    const int last = allowed().back();
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<size_t>(last), &one);
    ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    const CpuTopology bound = process_topology();
    EXPECT_EQ(bound.cores, (std::vector<std::vector<int>>{{last}}));
    EXPECT_EQ(bound.usable(), 1);
  }).join();

  std::thread([] {
    const std::vector<int> cpus = allowed();
    const std::vector<int> places = {cpus.front(), cpus.back(), cpus.front()};
    ThreadPool pool(3);
    pool.pin(places);
    EXPECT_EQ(allowed(), (std::vector<int>{places[0]}));
    std::vector<std::vector<int>> seen(3);
    // Each thread takes part: a task ends only when all three have begun.
    std::atomic<int> begun{0};
    pool.run(3, [&](int64_t, int thread) {
      ++begun;
      while (begun < 3) std::this_thread::yield();
      seen[static_cast<size_t>(thread)] = allowed();
    });
    for (size_t i = 0; i < 3; ++i) EXPECT_EQ(seen[i], (std::vector<int>{places[i]})) << i;
    EXPECT_ERROR(pool.pin(std::vector<int>{0}), kInternal, "1 places for 3 threads");
  }).join();
}

// A process that runs one pool after another, as the stages of a pipeline do, must not leave the later ones the first one's place.
TEST(ProcessTopology, APoolThatEndsGivesBackTheCoresOfItsThread) {
  std::thread([] {
    const std::vector<int> cpus = allowed();
    for (int round = 0; round < 2; ++round) {
      ThreadPool pool(2);
      pool.pin(std::vector<int>{cpus.back(), cpus.front()});
      EXPECT_EQ(allowed(), (std::vector<int>{cpus.back()}));
      pool.pin(std::vector<int>{cpus.front(), cpus.back()});  // again
      EXPECT_EQ(allowed(), (std::vector<int>{cpus.front()}));
    }
    EXPECT_EQ(allowed(), cpus);
    EXPECT_EQ(process_topology().usable(), static_cast<int>(cpus.size()));
    ThreadPool unpinned(2);
  }).join();
  std::thread([] {  // one that another thread ends leaves that one alone
    const std::vector<int> cpus = allowed();
    auto pool = std::make_unique<ThreadPool>(1);
    pool->pin(std::vector<int>{cpus.back()});
    std::thread([&] {
      unpin_thread();
      pool.reset();
      EXPECT_EQ(allowed(), cpus);
    }).join();
    EXPECT_EQ(allowed(), (std::vector<int>{cpus.back()}));
  }).join();
}

}  // namespace
}  // namespace cohort
