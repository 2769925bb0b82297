// Stream capture, and running a graph (graph.h).
#include "graph.h"

#include <algorithm>
#include <set>

#include "state.h"

namespace emulated {
namespace {

// Running captures, in all threads.
auto& captures = *new std::vector<std::shared_ptr<Capture>>;

void add_frontier(std::vector<size_t>& to, const std::vector<size_t>& from) {
  for (size_t node : from)
    if (std::find(to.begin(), to.end(), node) == to.end()) to.push_back(node);
}

cudaError_t invalidate(const std::shared_ptr<Capture>& capture, cudaError_t error) {
  capture->valid = false;
  return error;
}

// All nodes that come before one of the frontier, and itself.
std::set<size_t> reached(const CUgraph_st& graph, std::vector<size_t> open) {
  std::set<size_t> seen;
  while (!open.empty()) {
    const size_t node = open.back();
    open.pop_back();
    if (!seen.insert(node).second) continue;
    for (size_t before : graph.nodes[node].after) open.push_back(before);
  }
  return seen;
}

// A launched graph while it runs.
struct Running {
  std::vector<Node> nodes;
  std::vector<char> done;
  size_t left;
};

bool ready(const Running& run, size_t i) {
  if (run.done[i]) return false;
  for (size_t before : run.nodes[i].after)
    if (!run.done[before]) return false;
  return true;
}

// One node that can run: the first, or with random streams any.
bool step_graph(Running& run) {
  std::vector<size_t> can;
  for (size_t i = 0; i < run.nodes.size(); ++i)
    if (ready(run, i)) can.push_back(i);
  while (!can.empty()) {
    const size_t at = current_settings().streams == Streams::random ? draw_stream(can.size()) : 0;
    const size_t node = can[at];
    if (!run.nodes[node].work.run || device_broken() || run.nodes[node].work.run()) {
      run.done[node] = 1;
      --run.left;
      return true;
    }
    can.erase(can.begin() + static_cast<std::ptrdiff_t>(at));
  }
  return false;
}

}  // namespace

cudaError_t begin_capture(CUstream_st* stream, cudaStreamCaptureMode mode) {
  if (stream->capture) return cudaErrorIllegalState;
  auto capture = std::make_shared<Capture>();
  capture->graph = new CUgraph_st;
  capture->origin = stream;
  capture->mode = mode;
  capture->thread = std::this_thread::get_id();
  capture->streams.push_back(stream);
  stream->capture = capture;
  stream->frontier.clear();
  captures.push_back(capture);
  return cudaSuccess;
}

cudaError_t end_capture(CUstream_st* stream, CUgraph_st** graph) {
  *graph = nullptr;
  const std::shared_ptr<Capture> capture = stream->capture;
  if (!capture) return cudaErrorIllegalState;
  if (capture->origin != stream) return invalidate(capture, cudaErrorStreamCaptureUnmatched);
  if (capture->mode != cudaStreamCaptureModeRelaxed && capture->thread != std::this_thread::get_id())
    return invalidate(capture, cudaErrorStreamCaptureWrongThread);
  const bool joined = reached(*capture->graph, stream->frontier).size() == capture->graph->nodes.size();
  for (CUstream_st* s : capture->streams) {
    s->capture = nullptr;
    s->frontier.clear();
  }
  std::erase(captures, capture);
  if (capture->valid && joined) {
    *graph = capture->graph;
    return cudaSuccess;
  }
  delete capture->graph;
  return capture->valid ? cudaErrorStreamCaptureUnjoined : cudaErrorStreamCaptureInvalidated;
}

cudaError_t record(CUstream_st* stream, Work work) {
  Capture& capture = *stream->capture;
  if (!capture.valid) return cudaErrorStreamCaptureInvalidated;
  if (work.kind == WorkKind::peers) return invalidate(stream->capture, cudaErrorStreamCaptureUnsupported);
  capture.graph->nodes.push_back({std::move(work), stream->frontier});
  stream->frontier = {capture.graph->nodes.size() - 1};
  return cudaSuccess;
}

cudaError_t record_event(CUevent_st* event, CUstream_st* stream) {
  if (!stream->capture->valid) return cudaErrorStreamCaptureInvalidated;
  event->stream = stream;
  event->capture = stream->capture;
  event->frontier = stream->frontier;
  return cudaSuccess;
}

cudaError_t wait_captured(CUstream_st* stream, CUevent_st* event) {
  const std::shared_ptr<Capture>&from = event->capture, &into = stream->capture;
  if (!from || std::find(captures.begin(), captures.end(), from) == captures.end())
    return invalidate(into, cudaErrorStreamCaptureIsolation);  // work outside the capture, or of one that has ended
  if (!from->valid) return cudaErrorStreamCaptureInvalidated;
  if (into && into != from) return invalidate(into, invalidate(from, cudaErrorStreamCaptureMerge));
  if (!into) {
    stream->capture = from;
    stream->frontier.clear();
    from->streams.push_back(stream);
  }
  add_frontier(stream->frontier, event->frontier);
  return cudaSuccess;
}

cudaError_t forbidden_in_capture(CUstream_st* stream) {
  cudaError_t answer = cudaSuccess;
  for (const std::shared_ptr<Capture>& capture : captures) {
    const bool concerned = stream != nullptr
                               ? stream->capture == capture
                               : capture->mode == cudaStreamCaptureModeGlobal ||
                                     (capture->mode == cudaStreamCaptureModeThreadLocal &&
                                      capture->thread == std::this_thread::get_id());
    if (concerned) answer = invalidate(capture, cudaErrorStreamCaptureUnsupported);
  }
  return answer;
}

cudaError_t forbidden_null_stream(CUstream_st* stream, cudaStream_t given) {
  if (given != nullptr && given != cudaStreamLegacy) return cudaSuccess;
  cudaError_t answer = cudaSuccess;
  for (const std::shared_ptr<Capture>& capture : captures)
    if (capture->mode != cudaStreamCaptureModeRelaxed && capture->origin->device == stream->device)
      answer = invalidate(capture, cudaErrorStreamCaptureImplicit);
  return answer;
}

Work graph_work(const CUgraphExec_st& graph) {
  auto run = std::make_shared<Running>();
  run->nodes = graph.nodes;
  run->done.assign(graph.nodes.size(), 0);
  run->left = graph.nodes.size();
  ++*graph.running;
  Work work;
  work.kind = WorkKind::graph;
  work.run = [run, running = graph.running] {
    while (run->left > 0)
      if (!step_graph(*run)) fault("a graph's nodes wait for each other");
    --*running;
    return true;
  };
  return work;
}

cudaGraphExecUpdateResult compare_for_update(const CUgraphExec_st& graph, const CUgraph_st& with) {
  if (graph.nodes.size() != with.nodes.size()) return cudaGraphExecUpdateErrorTopologyChanged;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node &old = graph.nodes[i], &next = with.nodes[i];
    if (old.after != next.after) return cudaGraphExecUpdateErrorTopologyChanged;
    if (old.work.kind != next.work.kind) return cudaGraphExecUpdateErrorNodeTypeChanged;
    if (old.work.function != next.work.function) return cudaGraphExecUpdateErrorUnsupportedFunctionChange;
  }
  return cudaGraphExecUpdateSuccess;
}

}  // namespace emulated
