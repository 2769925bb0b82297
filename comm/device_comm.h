// DeviceComm: collectives on memory of the GPUs, one GPU a rank. Like an op, a collective returns when it is queued; the
// host waits where it needs the result, against a deadline.
//
// Copies, so that the bits stay ours: whoever sums does it in a fixed order. reduce_spans alone adds up, in the library's
// order, and is for `numerics: fast`.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

struct CUstream_st;

namespace cohort {

using DeviceStream = CUstream_st*;  // a cudaStream_t, without the toolkit's headers

class DeviceComm {
 public:
  virtual ~DeviceComm() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;

  // Everything below is queued on this stream, one after the other; kernels between two collectives go there too.
  virtual DeviceStream stream() const = 0;
  // What is queued here from now on starts when `work` has done what is on it now.
  virtual void start_after(DeviceStream work) = 0;
  // What is queued on `work` from now on starts when this communicator has done what it has been given.
  virtual void finish_before(DeviceStream work) = 0;

  // Collectives are called by every rank, in the same order, on one thread, on device memory that must stay until they are
  // done. `name` says what is exchanged, as Comm's.

  // Bytes to, or from, another rank. Parts between two ranks arrive in the order in which they are given; lengths must match.
  struct Part {
    int peer;
    void* data;
    int64_t bytes;
  };
  virtual void exchange(std::span<const Part> send, std::span<const Part> receive, const char* name) = 0;
  // In place: rank r has bytes [offsets[r], offsets[r + 1]) of data and gets the rest. offsets: size() + 1, ascending.
  virtual void all_gather_spans(void* data, std::span<const int64_t> offsets, const char* name) = 0;
  // data[offsets[r]], ..., data[offsets[r + 1] - 1] become the sums over all ranks on rank r; the rest may change.
  virtual void reduce_spans(float* data, std::span<const int64_t> offsets, const char* name) = 0;
  // Zeros, on the stream: of a rank that has nothing to add.
  virtual void clear(void* data, int64_t bytes) = 0;

  // Until everything that was queued is done, here; every rank calls it. At a deadline, an error of the library, of the GPU
  // or of a link it gives up: the communicator is aborted, and an Error says on which collective (exit code 4; that of the
  // CUDA error where the GPU itself failed). After that, or any other Error of this class, it is of no use.
  virtual void wait(const char* name) = 0;
  // How long one collective may take from the moment that this rank's GPU comes to it, and its start from the call.
  virtual void set_deadline(std::chrono::milliseconds deadline) = 0;

  // Device memory that the library can move without copies of its own, where the machine can do that. Exit code 6 when there
  // is none. To be released before the communicator.
  virtual std::shared_ptr<void> allocate(size_t bytes, const char* what) = 0;
};

}  // namespace cohort
