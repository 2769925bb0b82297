// Streams: queues of work, run when the settings say so. All of it is called under the runtime's lock.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

namespace emulated {

struct Capture;

// peers: what waits for other ranks.
enum class WorkKind { kernel, copy, fill, host, event, wait, peers, graph };

// One piece of work: what a stream's queue and a graph's nodes hold.
struct Work {
  WorkKind kind = WorkKind::host;
  // Does it; false: not complete yet since another rank has to take part, to be asked again. Null: nothing to do.
  std::function<bool()> run;
  const void* function = nullptr;    // of a kernel: what a graph's update compares
  CUstream_st* waits_for = nullptr;  // kind wait: until that stream has completed so many
  uint64_t until = 0;
};

}  // namespace emulated

// The runtime's stream: the toolkit leaves this type to it.
struct CUstream_st {
  std::deque<emulated::Work> queue;
  uint64_t enqueued = 0, completed = 0;
  uint64_t peers_work = 0;  // works of kind peers in the queue
  int device = 0;
  bool alive = true;  // streams are kept when destroyed, since events point at them
  // While it is captured: into what, and the nodes that its next work comes after.
  std::shared_ptr<emulated::Capture> capture;
  std::vector<size_t> frontier;
};

struct CUevent_st {
  CUstream_st* stream = nullptr;  // null: never recorded
  uint64_t until = 0;
  std::shared_ptr<double> milliseconds = std::make_shared<double>(0);
  std::shared_ptr<emulated::Capture> capture;  // recorded in this capture
  std::vector<size_t> frontier;
};

namespace emulated {

// The null stream of this host thread's device for 0, as cudaStreamLegacy.
CUstream_st* stream_of(cudaStream_t stream);
CUstream_st* new_stream(int device);

// Puts work on the stream, or into the graph that it is captured into; runs it at once where streams are eager.
cudaError_t push(CUstream_st* stream, Work work);
// Work that only computes: runs once and is complete.
cudaError_t push(CUstream_st* stream, WorkKind kind, std::function<void()> run);

// Until `stream` has completed `until` works; then what an earlier fault of the device answers.
cudaError_t wait_for(CUstream_st* stream, uint64_t until);
// As above, of all streams of a device; of all devices.
cudaError_t wait_for_device(int device);
void wait_for_all_streams();
// Whether no stream has work left.
bool all_idle();
// For a query: lets some work happen, as it would on a device meanwhile, and tells whether the stream is there.
bool poll(CUstream_st* stream, uint64_t until);

// Keeps works that wait for other ranks going while this process's host threads do something else.
void start_progress_thread();

}  // namespace emulated
