// CUDA graphs: a capture records the works pushed on its streams as nodes, each with the nodes that it comes after.
// All of it is called under the runtime's lock.
#pragma once

#include <cuda_runtime.h>

#include <memory>
#include <thread>
#include <vector>

#include "streams.h"

namespace emulated {

struct Node {
  Work work;
  std::vector<size_t> after;
};

}  // namespace emulated

// The runtime's graph types: the toolkit leaves them to it.
struct CUgraph_st {
  std::vector<emulated::Node> nodes;
};
struct CUgraphExec_st {
  std::vector<emulated::Node> nodes;
  std::shared_ptr<int> running = std::make_shared<int>(0);  // launches that have not come to their end
};

namespace emulated {

struct Capture {
  CUgraph_st* graph = nullptr;
  CUstream_st* origin = nullptr;
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  std::thread::id thread;
  bool valid = true;
  std::vector<CUstream_st*> streams;  // origin and those that joined
};

cudaError_t begin_capture(CUstream_st* stream, cudaStreamCaptureMode mode);
// Null graph when the capture had become invalid or a stream that joined was not joined back.
cudaError_t end_capture(CUstream_st* stream, CUgraph_st** graph);
// Makes a node of the work, after the stream's earlier ones. Work that waits for other ranks cannot be captured here.
cudaError_t record(CUstream_st* stream, Work work);
cudaError_t record_event(CUevent_st* event, CUstream_st* stream);
// `stream` waits for an event while it, or the event's stream, is captured.
cudaError_t wait_captured(CUstream_st* stream, CUevent_st* event);

// A call that the running captures of this thread forbid: they become invalid, and it answers
// cudaErrorStreamCaptureUnsupported; else cudaSuccess. `stream`: the one concerned, or null for a call that concerns all
// of the process (allocating, waiting for the device).
cudaError_t forbidden_in_capture(CUstream_st* stream);
// The same for the null stream, which may not be used while a capture runs that is not relaxed.
cudaError_t forbidden_null_stream(CUstream_st* stream, cudaStream_t given);

// Runs all nodes of a launched graph as one work of a stream.
Work graph_work(const CUgraphExec_st& graph);
// Why `with` cannot replace what `graph` holds, or cudaGraphExecUpdateSuccess.
cudaGraphExecUpdateResult compare_for_update(const CUgraphExec_st& graph, const CUgraph_st& with);

}  // namespace emulated
