// What launcher, MPI and machine offer to ranks, and what of it is known to be in their way: for `cohort doctor` and the line
// with which a run begins.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "comm/launch.h"
#include "comm/network.h"

namespace cohort {

struct CommEnvironment {
  std::string launcher;              // "mpirun: rank 0 of 4, all on this host", "srun: ...", "none"
  std::string mpi;                   // "Open MPI v4.1.4"
  std::string pmix;                  // "OpenPMIx 4.2.2"; "": no library
  std::string pmix_storage;          // PMIX_MCA_gds
  std::vector<NetworkInterface> interfaces;  // that are up and have an address
  std::string networks;              // OMPI_MCA_btl_tcp_if_include
  std::vector<std::string> rdma;     // devices
  std::optional<int64_t> open_files, locked_memory;  // limits; bytes; nothing: none
  std::optional<int64_t> shared_memory, shared_memory_free;  // /dev/shm, bytes; nothing: there is none
  bool reads_processes = true;       // a rank may copy from another's memory
  std::string clock;                 // clock source of the kernel
  double clock_ns = 0;               // that a look at it takes
  bool clock_synchronised = true;    // by NTP or the like
  int ranks = 1;                     // on this host, as far as the launcher tells
  bool started_by_mpirun = false;
};

CommEnvironment examine_environment(const Environment& environment);

// "Open MPI v4.1.4". Does not start MPI.
std::string mpi_version();
// Containers may forbid a process to read another one's memory.
bool may_read_processes();

struct Finding {
  std::string name, value;
  std::string advice;  // what may go wrong and what to do; "": nothing
};
std::vector<Finding> findings(const CommEnvironment& environment);

}  // namespace cohort
