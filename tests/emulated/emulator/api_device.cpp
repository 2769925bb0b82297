// Entry points about devices and errors.
#include <cuda_runtime_api.h>

#include <chrono>
#include <cstring>
#include <thread>

#include "memory.h"
#include "state.h"
#include "streams.h"

using namespace emulated;

namespace {

constexpr int kRuntimeVersion = CUDART_VERSION, kOldDriver = 11000;

// An H100's limits where a program may ask for them; 4 multiprocessors, so that small work meets every kind of grid.
void describe(cudaDeviceProp* p, int device) {
  std::memset(p, 0, sizeof(*p));
  std::strcpy(p->name, "Emulated GPU");
  p->uuid.bytes[0] = static_cast<char>(current_settings().first_device + device + 1);
  p->totalGlobalMem = current_settings().memory;
  p->sharedMemPerBlock = 48 * 1024;
  p->sharedMemPerBlockOptin = 227 * 1024;
  p->sharedMemPerMultiprocessor = 228 * 1024;
  p->reservedSharedMemPerBlock = 1024;
  p->regsPerBlock = p->regsPerMultiprocessor = 65536;
  p->warpSize = 32;
  p->maxThreadsPerBlock = 1024;
  p->maxThreadsPerMultiProcessor = 2048;
  p->maxBlocksPerMultiProcessor = 32;
  p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024;
  p->maxThreadsDim[2] = 64;
  p->maxGridSize[0] = 2147483647;
  p->maxGridSize[1] = p->maxGridSize[2] = 65535;
  p->totalConstMem = 64 * 1024;
  p->major = 9;
  p->minor = 0;
  p->multiProcessorCount = 4;
  p->concurrentKernels = 1;
  p->unifiedAddressing = 1;
  p->asyncEngineCount = 2;
  p->l2CacheSize = 50 * 1024 * 1024;
  p->memoryBusWidth = 5120;
  p->pciBusID = current_settings().first_device + device + 1;
}

cudaError_t attribute_of(int* value, cudaDeviceAttr attribute) {
  cudaDeviceProp p;
  describe(&p, 0);
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount:
      *value = p.multiProcessorCount;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      *value = p.major;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      *value = p.minor;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = static_cast<int>(p.sharedMemPerBlockOptin);
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      *value = static_cast<int>(p.sharedMemPerBlock);
      return cudaSuccess;
    case cudaDevAttrMaxThreadsPerBlock:
      *value = p.maxThreadsPerBlock;
      return cudaSuccess;
    case cudaDevAttrClockRate:  // kHz
      *value = 1'000'000;
      return cudaSuccess;
    case cudaDevAttrL2CacheSize:
      *value = p.l2CacheSize;
      return cudaSuccess;
    case cudaDevAttrMemoryPoolsSupported:
      *value = 0;
      return cudaSuccess;
    default:
      return cudaErrorInvalidValue;
  }
}

bool exists(int device) { return device >= 0 && device < current_settings().devices; }

struct Name {
  cudaError_t error;
  const char *name, *text;
};
// What this runtime can answer, in the toolkit's own words.
constexpr Name kNames[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration", "invalid configuration argument"},
    {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver",
     "CUDA driver version is insufficient for CUDA runtime version"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorIllegalState, "cudaErrorIllegalState", "the operation cannot be performed in the present state"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cudaErrorLaunchOutOfResources, "cudaErrorLaunchOutOfResources", "too many resources requested for launch"},
    {cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
    {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported",
     "operation not permitted when stream is capturing"},
    {cudaErrorStreamCaptureInvalidated, "cudaErrorStreamCaptureInvalidated",
     "operation failed due to a previous error during capture"},
    {cudaErrorStreamCaptureMerge, "cudaErrorStreamCaptureMerge", "operation would result in a merge of separate capture sequences"},
    {cudaErrorStreamCaptureUnmatched, "cudaErrorStreamCaptureUnmatched", "capture was not ended in the same stream as it began"},
    {cudaErrorStreamCaptureUnjoined, "cudaErrorStreamCaptureUnjoined", "capturing stream has unjoined work"},
    {cudaErrorStreamCaptureIsolation, "cudaErrorStreamCaptureIsolation",
     "dependency created on uncaptured work in another stream"},
    {cudaErrorStreamCaptureImplicit, "cudaErrorStreamCaptureImplicit",
     "operation would make the legacy stream depend on a capturing blocking stream"},
    {cudaErrorStreamCaptureWrongThread, "cudaErrorStreamCaptureWrongThread",
     "attempt to terminate a thread-local capture sequence from another thread"},
    {cudaErrorCapturedEvent, "cudaErrorCapturedEvent", "operation not permitted on an event last recorded in a capturing stream"},
    {cudaErrorGraphExecUpdateFailure, "cudaErrorGraphExecUpdateFailure", "the graph update was not performed"},
};
const Name& name_of(cudaError_t error) {
  static constexpr Name kOther{cudaErrorUnknown, "cudaErrorUnknown", "unknown error"};
  for (const Name& n : kNames)
    if (n.error == error) return n;
  return kOther;
}

}  // namespace

extern "C" {

cudaError_t cudaGetLastError() {
  const std::lock_guard lock(runtime_mutex());
  return take_last_error();
}
cudaError_t cudaPeekAtLastError() {
  const std::lock_guard lock(runtime_mutex());
  return peek_last_error();
}
const char* cudaGetErrorName(cudaError_t error) { return name_of(error).name; }
const char* cudaGetErrorString(cudaError_t error) { return name_of(error).text; }

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = kRuntimeVersion;
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = current_settings().old_driver ? kOldDriver : kRuntimeVersion;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  return entry([&] {
    *count = current_settings().devices;
    return cudaSuccess;
  });
}
cudaError_t cudaSetDevice(int device) {
  return entry([&] {
    if (!exists(device)) return cudaErrorInvalidDevice;
    while (current_settings().driver_hang) std::this_thread::sleep_for(std::chrono::seconds(1));
    set_current_device(device);
    return cudaSuccess;
  });
}
cudaError_t cudaGetDevice(int* device) {
  return entry([&] {
    *device = current_device();
    return cudaSuccess;
  });
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  return entry([&] {
    if (!exists(device)) return cudaErrorInvalidDevice;
    describe(properties, device);
    return cudaSuccess;
  });
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  return entry([&] { return exists(device) ? attribute_of(value, attribute) : cudaErrorInvalidDevice; });
}
cudaError_t cudaDeviceGetPCIBusId(char* text, int size, int device) {
  return entry([&] {
    if (!exists(device)) return cudaErrorInvalidDevice;
    std::snprintf(text, static_cast<size_t>(size), "0000:%02x:00.0", current_settings().first_device + device + 1);
    return cudaSuccess;
  });
}
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  return entry([&] {
    *total = current_settings().memory;
    *free = *total - std::min(*total, used_memory(current_device()));
    return cudaSuccess;
  });
}
}
