// What a test can choose about the emulated machine: the order of everything whose order CUDA leaves open, the devices,
// and faults that are to happen.
//
// A program that knows nothing of the emulator is steered by the environment variable EMULATED_CUDA: settings separated
// by commas, for example EMULATED_CUDA=streams=random:3,devices=2,fail_launch=40. Names are those of the fields;
// `order` and `streams` take a seed after a colon. rank=N applies the whole variable to rank N of mpirun only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace emulated {

enum class Order { forward, reverse, random };    // of blocks in a grid and of threads in a block
enum class Streams { eager, lazy, random };       // work runs at once; when waited for; then in any order allowed

struct Settings {
  Order order = Order::forward;
  uint64_t order_seed = 1;
  Streams streams = Streams::eager;
  uint64_t streams_seed = 1;
  bool late_copies = true;     // cp.async: as late as allowed
  // What CUDA does, but need not, and a program had better not lean on: freeing memory waits for the device, and a copy from
  // or to pageable memory is over with it when the call returns. False: neither, nor does destroying a stream wait, and a graph
  // that is destroyed before it has run ends the process.
  bool implicit_waits = true;
  bool fence = false;          // device memory is out of the host's reach: each touch ends the process (slow)

  int devices = 8;             // 0: no device
  int first_device = 0;        // whose number on the machine device 0 has, as with CUDA_VISIBLE_DEVICES
  bool old_driver = false;     // every call answers cudaErrorInsufficientDriver
  bool driver_hang = false;    // cudaSetDevice never returns
  bool graphs = true;          // false: a capture does not begin, with cudaErrorNotSupported
  size_t memory = size_t{8} << 30;  // bytes of each device

  bool other_products = false; // cuBLASLt offers its algorithms the other way round, as another version might

  // Faults, each at the N-th call from 1; 0: never.
  uint64_t fail_launch = 0;    // this kernel launch faults while it runs: a sticky cudaErrorLaunchFailure
  uint64_t fail_malloc = 0;    // this cudaMalloc is out of memory
  uint64_t fail_capture = 0;   // this capture has become invalid when it ends
  uint64_t fail_instantiate = 0;  // there is no memory for this executable graph
  uint64_t fail_graph_launch = 0; // this launch of a graph is refused
  uint64_t nccl_hang = 0;      // this NCCL operation never completes
  uint64_t nccl_error = 0;     // this NCCL operation gives ncclRemoteError, asynchronously
  uint64_t nccl_spoil = 0;     // what this NCCL operation receives arrives as NaN
  bool nccl_init_hang = false; // communicators never get ready
};

// plain, asan or tsan: by which sanitizer kernels and emulator are watched. gpu: on a real one.
const char* flavour();

Settings settings();
// Waits for all streams, then applies; counts of what may be made to fail start again, a sticky error is forgotten.
void set_settings(const Settings& settings);
// Reads the form of EMULATED_CUDA over `base`. Ends the process on an unknown name or value.
Settings parse_settings(const std::string& text, const Settings& base = {});

// What has run in this process.
struct Counts {
  uint64_t launches, blocks, threads, switches;
};
Counts counts();

}  // namespace emulated
