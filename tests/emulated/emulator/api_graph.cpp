// Entry points for stream capture and graphs.
#include <cuda_runtime_api.h>

#include "graph.h"
#include "state.h"
#include "streams.h"

using namespace emulated;

extern "C" {

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  return entry([&] {
    // The legacy stream cannot be captured.
    if (!current_settings().graphs) return cudaErrorNotSupported;
    return stream == nullptr ? cudaErrorStreamCaptureUnsupported : begin_capture(stream, mode);
  });
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  return entry([&] {
    const std::shared_ptr<Capture> capture = stream_of(stream)->capture;
    if (is_fault(capture_count, current_settings().fail_capture) && capture) capture->valid = false;
    return end_capture(stream_of(stream), graph);
  });
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  return entry([&] {
    const auto& capture = stream_of(stream)->capture;
    *status = !capture         ? cudaStreamCaptureStatusNone
              : capture->valid ? cudaStreamCaptureStatusActive
                               : cudaStreamCaptureStatusInvalidated;
    return cudaSuccess;
  });
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  return entry([&] {
    if (is_fault(instantiate_count, current_settings().fail_instantiate)) return cudaErrorMemoryAllocation;
    *executable = new CUgraphExec_st{graph->nodes};
    return cudaSuccess;
  });
}

cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) {
  return entry([] { return cudaSuccess; });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  return entry([&] {
    if (is_fault(graph_launch_count, current_settings().fail_graph_launch)) return cudaErrorLaunchOutOfResources;
    return push(stream_of(stream), graph_work(*executable));
  });
}

cudaError_t cudaGraphExecUpdate(cudaGraphExec_t executable, cudaGraph_t graph, cudaGraphExecUpdateResultInfo* info) {
  return entry([&] {
    *info = {};
    info->result = compare_for_update(*executable, *graph);
    if (info->result != cudaGraphExecUpdateSuccess) return cudaErrorGraphExecUpdateFailure;
    executable->nodes = graph->nodes;
    return cudaSuccess;
  });
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, size_t* count) {
  return entry([&] {
    if (nodes != nullptr) return cudaErrorInvalidValue;  // only how many there are
    *count = graph->nodes.size();
    return cudaSuccess;
  });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  return entry([&] {
    delete graph;
    return cudaSuccess;
  });
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  return entry([&] {
    if (*executable->running > 0 && !current_settings().implicit_waits) fault("a graph is destroyed before it has run");
    delete executable;
    return cudaSuccess;
  });
}
}
