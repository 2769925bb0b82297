#include "cli/start_line.h"

#include <gtest/gtest.h>

#include "tests/cli/run_cohort.h"

namespace cohort {
namespace {

TEST(StartLine, SaysWhatWasPicked) {
  EXPECT_EQ(start_line({.threads = {.threads = 1, .cpus = {}}}), "1 rank, 1 thread");
  EXPECT_EQ(start_line({.threads = {.threads = 2, .cpus = {0, 1}}}), "1 rank, 2 threads on cores of their own");
  RunLayout layout{.ranks = 4, .hosts = 1, .threads = {.threads = 1, .cpus = {0}}, .mpi = "Open MPI v4.1.4", .networks = ""};
  EXPECT_EQ(start_line(layout), "4 ranks on 1 host, 1 thread each on a core of its own; Open MPI v4.1.4 through shared memory");
  layout.reads_processes = false;
  EXPECT_EQ(start_line(layout), "4 ranks on 1 host, 1 thread each on a core of its own; Open MPI v4.1.4 through shared memory, each byte copied twice");
  layout.reads_processes = true;
  layout.hosts = 2;
  EXPECT_EQ(start_line(layout),
            "4 ranks on 2 hosts, 1 thread each on a core of its own; Open MPI v4.1.4 through shared memory, between hosts through the networks that it finds");
  layout.hosts = 4;
  layout.networks = "ib0";
  EXPECT_EQ(start_line(layout),
            "4 ranks on 4 hosts, 1 thread each on a core of its own; Open MPI v4.1.4 between hosts through ib0 (OMPI_MCA_btl_tcp_if_include)");
}

TEST(StartLine, ARunBeginsWithIt) {
  const TemporaryFolder folder;
  const std::string config = write_all(folder / "c.yaml", tiny_config(folder / "runs"));
  std::vector<std::string> args = {"-n", "2", "--oversubscribe", "--bind-to", "none", COHORT_BINARY, "train", config, "run.threads=1"};
  if (geteuid() == 0) args.insert(args.begin(), "--allow-run-as-root");  // Open MPI refuses root otherwise
  const Outcome outcome = run_program("mpirun", args);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("2 ranks on 1 host, 1 thread each"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace cohort
