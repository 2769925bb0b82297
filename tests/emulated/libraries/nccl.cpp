// A stand-in for NCCL between processes or threads of one machine: the entry points that the product uses.
//
// A call is work on its stream that is complete when every rank's data has come; until then the host can query events and
// ncclCommGetAsyncError, and ncclCommAbort ends it. On a communicator that is not blocking every call answers
// ncclInProgress, and the next one is refused until ncclCommGetAsyncError has said that it is through.
#include <nccl.h>
#include <sched.h>

#include <cstring>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "emulator/memory.h"
#include "emulator/state.h"
#include "emulator/streams.h"
#include "nccl_transfer.h"

using namespace emulated;

namespace {

struct State {
  std::unique_ptr<RankRings> rings;
  int ranks, rank, device;
  bool blocking, ready = false, aborted = false, in_progress = false;
  ncclResult_t error = ncclSuccess;
  uint64_t issued = 0, completed = 0;  // groups of calls: they run in the order in which they were issued
  CUstream_st* last_stream = nullptr;
  uint64_t last_work = 0;
};

}  // namespace

struct ncclComm {
  std::shared_ptr<State> state;
};

namespace {

struct Grouped {
  ncclComm_t comm;
  cudaStream_t stream;
  NcclCall call;
};
thread_local int group_depth = 0;
thread_local std::vector<Grouped> group;

// Under the lock, or before anybody else knows the communicator.
ncclResult_t state_of(State& s) {
  if (s.error != ncclSuccess) return s.error;
  if (!s.ready) {
    if (!s.rings->objection().empty()) {
      std::fprintf(stderr, "emulated CUDA: NCCL: %s\n", s.rings->objection().c_str());
      return s.error = ncclInvalidUsage;
    }
    if (current_settings().nccl_init_hang || !s.rings->all_here()) return ncclInProgress;
    s.ready = true;
  }
  return ncclSuccess;
}

ncclResult_t check(const State& s, const NcclCall& call) {
  if (call.peer < 0 || call.peer >= s.ranks) return ncclInvalidArgument;
  const size_t size = bytes_of(call.type);
  require_device_range("NCCL", "the send buffer", call.send, sent_elements(call, s.ranks, s.rank) * size);
  require_device_range("NCCL", "the receive buffer", call.receive, received_elements(call, s.ranks, s.rank) * size);
  return ncclSuccess;
}

// Puts calls of one communicator and stream on it as one piece of work.
ncclResult_t issue(const std::shared_ptr<State>& s, cudaStream_t given, std::vector<NcclCall> calls) {
  if (const ncclResult_t now = state_of(*s); now == ncclInProgress || s->in_progress) {
    return ncclInvalidUsage;  // not ready, or the last call's answer was not waited for
  } else if (now != ncclSuccess) {
    return now;
  }
  for (const NcclCall& call : calls)
    if (const ncclResult_t answer = check(*s, call)) return answer;
  ++nccl_count;
  const bool hangs = nccl_count == current_settings().nccl_hang, fails = nccl_count == current_settings().nccl_error;
  std::vector<std::pair<void*, size_t>> spoilt;
  if (nccl_count == current_settings().nccl_spoil)
    for (const NcclCall& call : calls) spoilt.emplace_back(call.receive, received_elements(call, s->ranks, s->rank) * bytes_of(call.type));
  const auto transfer = std::make_shared<NcclTransfer>(*s->rings, s->ranks, s->rank, std::move(calls));
  Work work;
  work.kind = WorkKind::peers;
  work.run = [=, number = s->issued] {
    if (s->aborted) return true;
    if (s->completed != number) return false;
    if (fails) s->error = ncclRemoteError;
    if (hangs || fails || !transfer->advance()) return false;
    for (const auto& [data, bytes] : spoilt) std::memset(data, 0xff, bytes);
    ++s->completed;
    return true;
  };
  ++s->issued;
  CUstream_st* stream = stream_of(given);
  s->last_stream = stream;
  s->last_work = stream->enqueued + 1;
  if (push(stream, std::move(work)) != cudaSuccess) return ncclUnhandledCudaError;
  if (s->blocking) return ncclSuccess;
  s->in_progress = true;
  return ncclInProgress;
}

ncclResult_t call(ncclComm_t comm, cudaStream_t stream, const NcclCall& call) {
  if (comm == nullptr) return ncclInvalidArgument;
  if (group_depth > 0) {
    group.push_back({comm, stream, call});
    return ncclSuccess;
  }
  const std::lock_guard lock(runtime_mutex());
  return issue(comm->state, stream, {call});
}

ncclResult_t issue_group() {
  const std::lock_guard lock(runtime_mutex());
  ncclResult_t answer = ncclSuccess;
  while (!group.empty()) {
    const ncclComm_t comm = group.front().comm;
    const cudaStream_t stream = group.front().stream;
    std::vector<NcclCall> calls;
    for (const Grouped& g : group) {
      if (g.comm != comm) continue;
      if (g.stream != stream) fault("NCCL: a group uses one communicator on two streams: not emulated");
      calls.push_back(g.call);
    }
    std::erase_if(group, [&](const Grouped& g) { return g.comm == comm; });
    const ncclResult_t now = issue(comm->state, stream, std::move(calls));
    if (answer == ncclSuccess || (now != ncclSuccess && now != ncclInProgress)) answer = now;
  }
  return answer;
}

void wait_for_calls(State& s) {
  if (s.last_stream != nullptr && !s.aborted) wait_for(s.last_stream, s.last_work);
}

}  // namespace

extern "C" {

ncclResult_t ncclGetVersion(int* version) {
  *version = NCCL_VERSION_CODE;
  return ncclSuccess;
}

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  std::memset(id, 0, sizeof(*id));
  const std::string name = RankRings::new_name();
  std::memcpy(id->internal, name.c_str(), name.size());
  return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank, ncclConfig_t* config) {
  *comm = nullptr;
  if (ranks < 1 || ranks > RankRings::kMostRanks || rank < 0 || rank >= ranks) return ncclInvalidArgument;
  auto state = std::make_shared<State>();
  state->ranks = ranks;
  state->rank = rank;
  state->blocking = config == nullptr || config->blocking != 0;
  {
    const std::lock_guard lock(runtime_mutex());
    if (refusal() != cudaSuccess) return ncclUnhandledCudaError;
    state->device = current_device();
    // By its number on the machine: two ranks may each be shown another one as their first.
    state->rings = std::make_unique<RankRings>(id.internal, ranks, rank, current_settings().first_device + state->device);
    if (ranks > 1) start_progress_thread();
  }
  *comm = new ncclComm{state};
  if (!state->blocking) return ncclInProgress;
  for (;;) {
    {
      const std::lock_guard lock(runtime_mutex());
      if (const ncclResult_t now = state_of(*state); now != ncclInProgress) return now;
    }
    sched_yield();
  }
}
ncclResult_t ncclCommInitRank(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank) {
  return ncclCommInitRankConfig(comm, ranks, id, rank, nullptr);
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* error) {
  const std::lock_guard lock(runtime_mutex());
  *error = state_of(*comm->state);
  if (*error == ncclSuccess) comm->state->in_progress = false;
  return ncclSuccess;
}

ncclResult_t ncclCommFinalize(ncclComm_t comm) {
  const std::lock_guard lock(runtime_mutex());
  wait_for_calls(*comm->state);
  return ncclSuccess;
}
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  if (comm == nullptr) return ncclSuccess;
  const ncclResult_t answer = ncclCommFinalize(comm);
  delete comm;
  return answer;
}
ncclResult_t ncclCommAbort(ncclComm_t comm) {
  const std::lock_guard lock(runtime_mutex());
  comm->state->aborted = true;
  wait_for(stream_of(comm->state->last_stream), comm->state->last_work);
  delete comm;
  return ncclSuccess;
}

ncclResult_t ncclCommCount(const ncclComm_t comm, int* count) {
  *count = comm->state->ranks;
  return ncclSuccess;
}
ncclResult_t ncclCommUserRank(const ncclComm_t comm, int* rank) {
  *rank = comm->state->rank;
  return ncclSuccess;
}
ncclResult_t ncclCommCuDevice(const ncclComm_t comm, int* device) {
  *device = comm->state->device;
  return ncclSuccess;
}

const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclSuccess:
      return "no error";
    case ncclUnhandledCudaError:
      return "unhandled cuda error";
    case ncclInvalidArgument:
      return "invalid argument";
    case ncclInvalidUsage:
      return "invalid usage";
    case ncclRemoteError:
      return "remote process exited or there was a network error";
    case ncclInProgress:
      return "NCCL operation in progress";
    default:
      return "unknown result code";
  }
}
const char* ncclGetLastError(ncclComm_t) { return "emulated"; }

ncclResult_t ncclMemAlloc(void** memory, size_t bytes) {
  return cudaMalloc(memory, bytes) == cudaSuccess ? ncclSuccess : ncclUnhandledCudaError;
}
ncclResult_t ncclMemFree(void* memory) {
  return cudaFree(memory) == cudaSuccess ? ncclSuccess : ncclUnhandledCudaError;
}
ncclResult_t ncclCommRegister(const ncclComm_t, void* buffer, size_t bytes, void** handle) {
  const std::lock_guard lock(runtime_mutex());
  if (!in_one_allocation(buffer, bytes)) return ncclInvalidArgument;
  *handle = buffer;
  return ncclSuccess;
}
ncclResult_t ncclCommDeregister(const ncclComm_t, void*) { return ncclSuccess; }

ncclResult_t ncclGroupStart() {
  ++group_depth;
  return ncclSuccess;
}
ncclResult_t ncclGroupEnd() {
  if (group_depth == 0) return ncclInvalidUsage;
  return --group_depth > 0 ? ncclSuccess : issue_group();
}

ncclResult_t ncclAllReduce(const void* send, void* receive, size_t count, ncclDataType_t type, ncclRedOp_t op,
                           ncclComm_t comm, cudaStream_t stream) {
  return call(comm, stream, {CallKind::all_reduce, send, receive, count, type, op, 0});
}
ncclResult_t ncclReduceScatter(const void* send, void* receive, size_t count, ncclDataType_t type, ncclRedOp_t op,
                               ncclComm_t comm, cudaStream_t stream) {
  return call(comm, stream, {CallKind::reduce_scatter, send, receive, count, type, op, 0});
}
ncclResult_t ncclReduce(const void* send, void* receive, size_t count, ncclDataType_t type, ncclRedOp_t op, int root,
                        ncclComm_t comm, cudaStream_t stream) {
  return call(comm, stream, {CallKind::reduce, send, receive, count, type, op, root});
}
ncclResult_t ncclAllGather(const void* send, void* receive, size_t count, ncclDataType_t type, ncclComm_t comm,
                           cudaStream_t stream) {
  return call(comm, stream, {CallKind::all_gather, send, receive, count, type, ncclSum, 0});
}
ncclResult_t ncclBroadcast(const void* send, void* receive, size_t count, ncclDataType_t type, int root,
                           ncclComm_t comm, cudaStream_t stream) {
  return call(comm, stream, {CallKind::broadcast, send, receive, count, type, ncclSum, root});
}
ncclResult_t ncclSend(const void* send, size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
  return call(comm, stream, {CallKind::send, send, nullptr, count, type, ncclSum, peer});
}
ncclResult_t ncclRecv(void* receive, size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
  return call(comm, stream, {CallKind::receive, nullptr, receive, count, type, ncclSum, peer});
}
}
