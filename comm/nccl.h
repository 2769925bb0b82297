// The seam to NCCL and to the GPUs that ranks run on: implemented by comm/nccl*.cpp, or by no_nccl.cpp where the build has
// none.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "comm/comm.h"
#include "comm/device_comm.h"

namespace cohort {

// Makes the GPU of this rank the calling thread's device and returns its number: that of the local rank, or 0 where a
// launcher shows each rank one GPU of its own. Called by all ranks. Throws on every rank (exit code 2, naming rank and host)
// where one has no GPU or driver that it can use, or two would share a GPU.
int choose_gpu(Comm& host);

struct NcclOptions {
  std::string interface;  // comm.interface: what NCCL may connect hosts by (comm/network.h); "": as NCCL chooses
  std::chrono::milliseconds deadline = Comm::kDefaultDeadline;
  LastSeen* seen = nullptr;  // learns of each collective that is waited for
};

// Collectives between the current devices (choose_gpu) of all ranks of `host`, by which they find each other and which must
// outlive it. Throws: exit code 2 where the build has no NCCL or the interface is none of this host's, 4 where the ranks do
// not get connected before the deadline.
std::unique_ptr<DeviceComm> make_nccl_comm(Comm& host, const NcclOptions& options = {});

// What `cohort doctor` says of GPUs: lines "name   text".
struct GpuReport {
  struct Line {
    std::string name, text;
  };
  std::vector<Line> lines;
  bool usable = false;  // at least one GPU can be used
};
GpuReport examine_gpus();

}  // namespace cohort
