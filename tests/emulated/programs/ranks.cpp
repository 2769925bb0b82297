// One rank of a test of NCCL between processes: emulated_ranks SCENARIO RANKS RANK, the communicator's name on standard
// input as hexadecimal digits. Prints one line and ends with 0 when all was as it should be (nccl_test.cpp).
#include <cuda_runtime.h>
#include <nccl.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

namespace {

int ranks, rank;
cudaStream_t stream;

void require(bool condition, const char* what) {
  if (condition) return;
  std::printf("rank %d: not so: %s\n", rank, what);
  std::exit(1);
}

ncclUniqueId read_id() {
  std::string digits;
  std::cin >> digits;
  ncclUniqueId id;
  for (size_t i = 0; i < sizeof(id.internal); ++i)
    id.internal[i] = static_cast<char>(std::stoi(digits.substr(2 * i, 2), nullptr, 16));
  return id;
}

// Polls as the product must: until success, another error, or some seconds have passed (ncclInProgress).
ncclResult_t settle(ncclComm_t comm, double seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  ncclResult_t now = ncclInProgress;
  do {
    require(ncclCommGetAsyncError(comm, &now) == ncclSuccess, "ncclCommGetAsyncError answers");
  } while (now == ncclInProgress && std::chrono::steady_clock::now() < end);
  return now;
}

struct Floats {
  explicit Floats(size_t n) : Floats(std::vector<float>(n)) {}
  explicit Floats(const std::vector<float>& host) : size(host.size()) {
    require(cudaMalloc(reinterpret_cast<void**>(&data), size * sizeof(float)) == cudaSuccess, "memory");
    require(cudaMemcpy(data, host.data(), size * sizeof(float), cudaMemcpyHostToDevice) == cudaSuccess, "copy");
  }
  std::vector<float> host() const {
    std::vector<float> values(size);
    require(cudaMemcpy(values.data(), data, size * sizeof(float), cudaMemcpyDeviceToHost) == cudaSuccess, "copy");
    return values;
  }
  float* data = nullptr;
  size_t size;
};

// Numbers whose sum depends on the order in which they are added.
float number(int of_rank, size_t i) { return (1.0f + static_cast<float>(i % 977) * 1e-3f) * (of_rank == 1 ? 1e7f : 1.0f); }
std::vector<float> numbers(int of_rank, size_t n) {
  std::vector<float> values(n);
  for (size_t i = 0; i < n; ++i) values[i] = number(of_rank, i);
  return values;
}
float ordered_sum(size_t i) {
  float sum = number(0, i);
  for (int r = 1; r < ranks; ++r) sum += number(r, i);
  return sum;
}

void collectives(ncclComm_t comm) {
  const size_t n = 100000;  // more than a ring holds
  const Floats mine(numbers(rank, n * static_cast<size_t>(ranks)));
  Floats sum(n), part(n), all(n * static_cast<size_t>(ranks)), from_last(n);
  ncclAllReduce(mine.data, sum.data, n, ncclFloat32, ncclSum, comm, stream);
  require(settle(comm, 60) == ncclSuccess, "all-reduce");
  ncclReduceScatter(mine.data, part.data, n, ncclFloat32, ncclSum, comm, stream);
  require(settle(comm, 60) == ncclSuccess, "reduce-scatter");
  ncclAllGather(mine.data, all.data, n, ncclFloat32, comm, stream);
  require(settle(comm, 60) == ncclSuccess, "all-gather");
  ncclBroadcast(mine.data, from_last.data, n, ncclFloat32, ranks - 1, comm, stream);
  require(settle(comm, 60) == ncclSuccess, "broadcast");
  require(cudaStreamSynchronize(stream) == cudaSuccess, "synchronise");
  const std::vector<float> s = sum.host(), p = part.host(), a = all.host(), b = from_last.host();
  for (size_t i = 0; i < n; ++i) {
    require(s[i] == ordered_sum(i), "sums in rank order");
    require(p[i] == ordered_sum(static_cast<size_t>(rank) * n + i), "this rank's part of the sum");
    require(b[i] == number(ranks - 1, i), "the root's numbers");
    for (int r = 0; r < ranks; ++r) require(a[static_cast<size_t>(r) * n + i] == number(r, i), "everybody's numbers");
  }
}

// Every rank sends a piece to every rank, itself too, in one group.
void exchange(ncclComm_t comm) {
  const size_t n = 30000;
  const Floats mine(numbers(rank, n * static_cast<size_t>(ranks)));
  Floats got(n * static_cast<size_t>(ranks));
  ncclGroupStart();
  for (int r = 0; r < ranks; ++r) {
    ncclSend(mine.data + static_cast<size_t>(r) * n, n, ncclFloat32, r, comm, stream);
    ncclRecv(got.data + static_cast<size_t>(r) * n, n, ncclFloat32, r, comm, stream);
  }
  const ncclResult_t answer = ncclGroupEnd();
  require(answer == ncclSuccess || answer == ncclInProgress, "a group");
  require(settle(comm, 60) == ncclSuccess, "exchange");
  require(cudaStreamSynchronize(stream) == cudaSuccess, "synchronise");
  const std::vector<float> g = got.host();
  for (int r = 0; r < ranks; ++r)
    for (size_t i = 0; i < n; ++i)
      require(g[static_cast<size_t>(r) * n + i] == number(r, static_cast<size_t>(rank) * n + i), "what was sent here");
}

// A rank whose call does not complete, or gives an error, can abort and goes on without the communicator.
void trouble(ncclComm_t comm, bool error_here) {
  Floats x(std::vector<float>(4, 1.0f));
  ncclAllReduce(x.data, x.data, 4, ncclFloat32, ncclSum, comm, stream);
  cudaEvent_t event;
  require(cudaEventCreateWithFlags(&event, cudaEventDisableTiming) == cudaSuccess, "event");
  require(cudaEventRecord(event, stream) == cudaSuccess, "record");
  ncclResult_t error = ncclSuccess;
  bool there = false;
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(error_here ? 20000 : 300);
  while (error == ncclSuccess && !there && std::chrono::steady_clock::now() < end) {
    ncclCommGetAsyncError(comm, &error);
    there = cudaEventQuery(event) == cudaSuccess;
  }
  require(!there, "the call cannot have completed");
  require((error == ncclRemoteError) == error_here, "the asynchronous error");
  require(ncclCommAbort(comm) == ncclSuccess, "abort");
  require(cudaStreamSynchronize(stream) == cudaSuccess, "the stream is free after the abort");
}

void mismatch(ncclComm_t comm) {
  Floats x(std::vector<float>(8, 1.0f));
  if (rank == 0) {
    ncclAllReduce(x.data, x.data, 8, ncclFloat32, ncclSum, comm, stream);
  } else {
    ncclBroadcast(x.data, x.data, 4, ncclFloat32, 0, comm, stream);
  }
  settle(comm, 20);
  (void)cudaStreamSynchronize(stream);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const std::string scenario = argv[1];
  ranks = std::atoi(argv[2]);
  rank = std::atoi(argv[3]);
  const ncclUniqueId id = read_id();
  require(cudaSetDevice(scenario == "same_gpu" ? 0 : rank) == cudaSuccess, "a device");
  require(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess, "a stream");
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = scenario == "blocking" || scenario == "mismatch" ? 1 : 0;
  ncclComm_t comm;
  const int claimed = scenario == "other_size" && rank == 0 ? ranks + 1 : ranks;
  const ncclResult_t started = ncclCommInitRankConfig(&comm, claimed, id, rank, &config);
  if (scenario == "init_hang") {
    require(settle(comm, 0.2) == ncclInProgress, "a communicator that is never ready");
    require(ncclCommAbort(comm) == ncclSuccess, "abort");
  } else if (scenario == "same_gpu" || scenario == "other_size") {
    std::printf("rank %d: %d\n", rank, static_cast<int>(settle(comm, 1)));
    require(ncclCommAbort(comm) == ncclSuccess, "abort");
  } else {
    require(started == (config.blocking != 0 ? ncclSuccess : ncclInProgress), "what starting answers");
    require(settle(comm, 60) == ncclSuccess, "a communicator");
    if (scenario == "hang") {
      trouble(comm, false);
    } else if (scenario == "error") {
      trouble(comm, rank == 0);
    } else if (scenario == "mismatch") {
      mismatch(comm);
    } else {
      collectives(comm);
      exchange(comm);
      require(ncclCommDestroy(comm) == ncclSuccess, "destroy");
    }
  }
  std::printf("rank %d: all as it should be\n", rank);
  return 0;
}
