// Entry points for streams and events.
#include <cuda_runtime_api.h>

#include <chrono>

#include "graph.h"
#include "state.h"
#include "streams.h"

using namespace emulated;

namespace {

double now_milliseconds() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

extern "C" {

// Only non-blocking streams: the legacy stream here waits for nobody, as they do not wait for it.
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return entry([&] {
    if (flags != cudaStreamNonBlocking) fault("a stream that is not cudaStreamNonBlocking: not emulated");
    *stream = new_stream(current_device());
    return cudaSuccess;
  });
}
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int) {
  return cudaStreamCreateWithFlags(stream, flags);
}
cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  *least = 0;
  *greatest = -5;
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  return entry([&] {
    if (stream == nullptr || !stream->alive) return cudaErrorInvalidResourceHandle;
    if (current_settings().implicit_waits) wait_for(stream, stream->enqueued);
    stream->alive = false;
    return cudaSuccess;
  });
}

cudaError_t cudaStreamSynchronize(cudaStream_t given) {
  return entry([&]() -> cudaError_t {
    CUstream_st* stream = stream_of(given);
    if (const cudaError_t error = forbidden_null_stream(stream, given)) return error;
    if (stream->capture) return forbidden_in_capture(stream);
    return wait_for(stream, stream->enqueued);
  });
}

cudaError_t cudaStreamQuery(cudaStream_t given) {
  return entry([&]() -> cudaError_t {
    CUstream_st* stream = stream_of(given);
    if (const cudaError_t error = forbidden_null_stream(stream, given)) return error;
    if (stream->capture) return forbidden_in_capture(stream);
    const bool there = poll(stream, stream->enqueued);
    if (const cudaError_t error = refusal()) return error;
    return there ? cudaSuccess : cudaErrorNotReady;
  });
}

cudaError_t cudaDeviceSynchronize() {
  return entry([&]() -> cudaError_t {
    if (const cudaError_t error = forbidden_in_capture(nullptr)) return error;
    return wait_for_device(current_device());
  });
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
  return entry([&] { return push(stream_of(stream), WorkKind::host, [=] { function(data); }); });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t given, cudaEvent_t event, unsigned) {
  return entry([&]() -> cudaError_t {
    CUstream_st* stream = stream_of(given);
    if (event->stream == nullptr) return cudaSuccess;  // never recorded: nothing to wait for
    if (event->capture || stream->capture) {
      if (!stream->capture && !event->capture->valid) return cudaErrorStreamCaptureInvalidated;
      return wait_captured(stream, event);
    }
    Work work;
    work.kind = WorkKind::wait;
    work.waits_for = event->stream;
    work.until = event->until;
    return push(stream, std::move(work));
  });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  return entry([&] {
    *event = new CUevent_st;
    return cudaSuccess;
  });
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, 0); }
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  return entry([&] {
    delete event;
    return cudaSuccess;
  });
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t given) {
  return entry([&]() -> cudaError_t {
    CUstream_st* stream = stream_of(given);
    if (const cudaError_t error = forbidden_null_stream(stream, given)) return error;
    if (stream->capture) return record_event(event, stream);
    event->capture = nullptr;
    event->stream = stream;
    event->until = stream->enqueued + 1;
    return push(stream, WorkKind::event, [at = event->milliseconds] { *at = now_milliseconds(); });
  });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return entry([&]() -> cudaError_t {
    if (event->stream == nullptr) return cudaSuccess;
    if (event->capture) return event->capture->valid = false, cudaErrorCapturedEvent;
    return wait_for(event->stream, event->until);
  });
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  return entry([&]() -> cudaError_t {
    if (event->stream == nullptr) return cudaSuccess;
    if (event->capture) return event->capture->valid = false, cudaErrorCapturedEvent;
    const bool there = poll(event->stream, event->until);
    if (const cudaError_t error = refusal()) return error;
    return there ? cudaSuccess : cudaErrorNotReady;
  });
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  return entry([&]() -> cudaError_t {
    for (const cudaEvent_t event : {start, end}) {
      if (event->stream == nullptr) return cudaErrorInvalidResourceHandle;
      if (event->stream->completed < event->until) return cudaErrorNotReady;
    }
    *milliseconds = static_cast<float>(*end->milliseconds - *start->milliseconds);
    return cudaSuccess;
  });
}
}
