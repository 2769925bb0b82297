// The line with which a run begins: what was picked for it.
#pragma once

#include <string>

#include "comm/comm.h"
#include "core/cpu_topology.h"

namespace cohort {

struct RunLayout {
  int ranks = 1, hosts = 1;
  ThreadPlan threads;
  std::string mpi, networks;  // version; OMPI_MCA_btl_tcp_if_include
  bool reads_processes = true;
};

// "2 ranks on 1 host, 1 thread each on a core of its own; Open MPI v4.1.4 through shared memory, copies between processes"
std::string start_line(const RunLayout& layout);

// Called by all ranks. `threads`: of this one.
RunLayout run_layout(Comm& comm, const ThreadPlan& threads);

}  // namespace cohort
