// Running the streams' queues (streams.h).
#include "streams.h"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <map>
#include <thread>

#include "graph.h"
#include "memory.h"
#include "state.h"

namespace emulated {
namespace {

struct Registry {
  std::vector<CUstream_st*> streams;
  std::map<int, CUstream_st*> null_streams;
};
Registry& registry() {
  static Registry& only = *new Registry;  // never destroyed, see state.cpp
  return only;
}

// Tries the stream's first work; whether it is complete now.
bool step(CUstream_st* stream) {
  if (stream->queue.empty()) return false;
  Work& work = stream->queue.front();
  if (work.waits_for != nullptr && work.waits_for->completed < work.until) return false;
  if (work.run && !device_broken()) {  // on a broken device nothing runs any more
    if (work.kind == WorkKind::host) {
      if (!work.run()) return false;
    } else {
      const DeviceOpen open;
      if (!work.run()) return false;
    }
  }
  if (work.kind == WorkKind::peers) --stream->peers_work;
  stream->queue.pop_front();
  ++stream->completed;
  return true;
}

// One work of any stream, drawn at random.
bool step_any() {
  std::vector<CUstream_st*> busy;
  for (CUstream_st* s : registry().streams)
    if (!s->queue.empty()) busy.push_back(s);
  while (!busy.empty()) {
    const size_t at = draw_stream(busy.size());
    if (step(busy[at])) return true;
    busy.erase(busy.begin() + static_cast<std::ptrdiff_t>(at));
  }
  return false;
}

// One work that `stream` needs to get on.
bool step_towards(CUstream_st* stream) {
  if (current_settings().streams == Streams::random) return step_any();
  while (!step(stream)) {
    if (stream->queue.empty() || stream->queue.front().waits_for == nullptr) return false;
    stream = stream->queue.front().waits_for;
  }
  return true;
}

void run_all_ready() {
  for (bool any = true; any;) {
    any = false;
    for (CUstream_st* s : registry().streams)
      while (step(s)) any = true;
  }
}

std::atomic<bool> stopping{false};

[[noreturn]] void keep_progressing() {
  for (;;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const std::lock_guard lock(runtime_mutex());
    if (stopping) continue;
    for (CUstream_st* s : registry().streams)
      while (s->peers_work > 0 && step_towards(s)) {
      }
  }
}

}  // namespace

CUstream_st* new_stream(int device) {
  auto* stream = new CUstream_st;
  stream->device = device;
  registry().streams.push_back(stream);
  return stream;
}

CUstream_st* stream_of(cudaStream_t stream) {
  if (stream != nullptr && stream != cudaStreamLegacy && stream != cudaStreamPerThread) return stream;
  CUstream_st*& null_stream = registry().null_streams[current_device()];
  if (null_stream == nullptr) null_stream = new_stream(current_device());
  return null_stream;
}

cudaError_t push(CUstream_st* stream, Work work) {
  if (stream->capture) return record(stream, std::move(work));
  if (work.kind == WorkKind::peers) ++stream->peers_work;
  stream->queue.push_back(std::move(work));
  ++stream->enqueued;
  if (current_settings().streams == Streams::eager) run_all_ready();
  return cudaSuccess;
}

cudaError_t push(CUstream_st* stream, WorkKind kind, std::function<void()> run) {
  Work work;
  work.kind = kind;
  work.run = [run = std::move(run)] {
    run();
    return true;
  };
  return push(stream, std::move(work));
}

cudaError_t wait_for(CUstream_st* stream, uint64_t until) {
  while (stream->completed < until)
    if (!step_towards(stream)) pause_for_others();
  return refusal();
}

cudaError_t wait_for_device(int device) {
  for (size_t i = 0; i < registry().streams.size(); ++i) {
    CUstream_st* s = registry().streams[i];
    if (s->device == device) wait_for(s, s->enqueued);
  }
  return refusal();
}

void wait_for_all_streams() {
  for (size_t i = 0; i < registry().streams.size(); ++i) wait_for(registry().streams[i], registry().streams[i]->enqueued);
}

bool all_idle() {
  for (const CUstream_st* s : registry().streams)
    if (!s->queue.empty()) return false;
  return true;
}

bool poll(CUstream_st* stream, uint64_t until) {
  if (stream->completed < until && !step_towards(stream)) pause_for_others();
  return stream->completed >= until;
}

void start_progress_thread() {
  static const bool started = [] {
    std::thread(keep_progressing).detach();
    std::atexit([] { stopping = true; });
    return true;
  }();
  (void)started;
}

}  // namespace emulated
