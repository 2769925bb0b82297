// How fast this machine multiplies, reads memory and moves bytes between ranks: what a predicted step time is made of.
#pragma once

#include <optional>

#include "comm/comm.h"
#include "model/tensor.h"

namespace cohort {

struct MachineSpeed {
  double gemm_gflops = 0;     // of all cores: a large product of cohort's own
  double memory_gb_s = 0;     // of all cores: reading
  double link_gb_s = 0;       // of one rank: bytes that it sends while it receives as many
  double latency_us = 0;      // of a record from one rank to another, as each collective begins with
  bool link_assumed = false;  // not measured: there is one rank only
};

// What is given is not measured. Called by all ranks; about a second. The link is measured between the ranks that there are;
// on one rank it is assumed to be this host's memory, through which a byte passes four times.
struct GivenSpeed {
  std::optional<double> gemm_gflops, memory_gb_s, link_gb_s, latency_us;
};
MachineSpeed machine_speed(const GivenSpeed& given, DType dtype, int threads, Comm& comm);

}  // namespace cohort
