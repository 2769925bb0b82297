// DeviceComm by NCCL. Its communicator does not block: no call into the library waits for another rank, so each wait is a
// loop here that looks at ncclCommGetAsyncError, at the GPU and at the clock (NCCL user guide, "Fault Tolerance").
#include <cuda_runtime_api.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nccl.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <exception>
#include <future>
#include <thread>

#include "comm/last_seen.h"
#include "comm/nccl.h"
#include "comm/network.h"
#include "core/check.h"
#include "model/cuda/platform/status.h"

namespace cohort {
namespace {

using Clock = std::chrono::steady_clock;
using cuda::check_status;

// ncclCommAbort frees a GPU that waits for others, and has been known to hang itself (NVIDIA/nccl issues 829, 1013). The
// process is about to end anyway.
constexpr auto kAbortLimit = std::chrono::seconds(5);

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// What a loop does between two looks: first almost nothing, as most waits are short; then it leaves the core to others.
class Pace {
 public:
  void wait() {
    if (seconds_since(start_) < 2e-3) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
  }

 private:
  Clock::time_point start_ = Clock::now();
};

struct Communicator {
  ncclComm_t nccl = nullptr;
  int device = 0;
  bool lives = false;
};

bool is_error(ncclResult_t answer) { return answer != ncclSuccess && answer != ncclInProgress; }

class NcclComm final : public DeviceComm {
 public:
  NcclComm(Comm& host, const NcclOptions& options) : host_(host), seen_(options.seen), deadline_(options.deadline) {
    if (!options.interface.empty()) chosen_interfaces(options.interface, names_of(network_interfaces()));
    for (const auto& [name, value] : nccl_environment(options.interface, [](const char* n) { return std::getenv(n); }))
      setenv(name.c_str(), value.c_str(), 1);
    check_status(cudaGetDevice(&comm_->device), "find this rank's GPU");
    int least = 0, greatest = 0;
    check_status(cudaDeviceGetStreamPriorityRange(&least, &greatest), "read the priorities of streams");
    check_status(cudaStreamCreateWithPriority(&stream_, cudaStreamNonBlocking, greatest), "create a stream");
    check_status(cudaEventCreateWithFlags(&order_, cudaEventDisableTiming), "create an event");

    host.barrier("the start of NCCL");  // names ranks that do not come: NCCL's deadline is its own alone
    ncclUniqueId id{};
    if (host.rank() == 0) settle("ncclGetUniqueId", ncclGetUniqueId(&id));
    host.broadcast(std::as_writable_bytes(std::span(&id, 1)), 0, "NCCL's id");
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    const ncclResult_t started = ncclCommInitRankConfig(&comm_->nccl, host.size(), id, host.rank(), &config);
    comm_->lives = comm_->nccl != nullptr;
    settle("the start of NCCL", started);
  }

  ~NcclComm() override {
    if (aborted_) free_marks();
    // When the process is about to end: nothing that could wait for the GPU, or for a rank that does not come.
    if (!comm_->lives || std::uncaught_exceptions() > exceptions_) return;
    try {
      wait("the end of NCCL");
      settle("the end of NCCL", ncclCommFinalize(comm_->nccl));
      comm_->lives = false;
      if (const ncclResult_t answer = ncclCommDestroy(comm_->nccl); is_error(answer))
        fail(ExitCode::kRankFailed, "the end of NCCL failed: {}", ncclGetErrorString(answer));
      check_status(free_marks(), "destroy events and the stream");
    } catch (const Error& error) {
      std::fprintf(stderr, "cohort: error: rank %d on %s: %s\n", rank(), host_.host().c_str(), error.what());
      host_.abort(static_cast<int>(error.code()));
    }
  }

  int rank() const override { return host_.rank(); }
  int size() const override { return host_.size(); }
  DeviceStream stream() const override { return stream_; }

  void start_after(DeviceStream work) override {
    check_lives("start_after");
    check(cudaEventRecord(order_, work), "record an event");
    check(cudaStreamWaitEvent(stream_, order_, 0), "wait for another stream");
    mark("", false);
  }
  void finish_before(DeviceStream work) override {
    check_lives("finish_before");
    check(cudaEventRecord(order_, stream_), "record an event");
    check(cudaStreamWaitEvent(work, order_, 0), "wait for the communicator's stream");
  }

  void exchange(std::span<const Part> send, std::span<const Part> receive, const char* name) override {
    exchange_as("exchange", send, receive, name);
  }

  void all_gather_spans(void* data, std::span<const int64_t> offsets, const char* name) override {
    check_offsets("all_gather_spans", offsets, name);
    const auto part = [&](int r) {
      return Part{r, static_cast<std::byte*>(data) + offsets[r], offsets[r + 1] - offsets[r]};
    };
    if (equal_spans(offsets)) {
      queue("all_gather_spans", name, [&](const auto& call) {
        call(ncclAllGather(part(rank()).data, part(0).data, static_cast<size_t>(part(0).bytes), ncclInt8, comm_->nccl, stream_));
      });
      return;
    }
    std::vector<Part> send, receive;
    for (int r = 0; r < size(); ++r) {
      if (r == rank()) continue;
      send.push_back({r, part(rank()).data, part(rank()).bytes});
      receive.push_back(part(r));
    }
    exchange_as("all_gather_spans", send, receive, name);
  }

  void reduce_spans(float* data, std::span<const int64_t> offsets, const char* name) override {
    check_offsets("reduce_spans", offsets, name);
    queue("reduce_spans", name, [&](const auto& call) {
      if (equal_spans(offsets)) {
        call(ncclReduceScatter(data + offsets[0], data + offsets[rank()], static_cast<size_t>(offsets[1] - offsets[0]),
                               ncclFloat32, ncclSum, comm_->nccl, stream_));
        return;
      }
      for (int r = 0; r < size(); ++r) {
        float* const span = data + offsets[r];
        if (const auto count = static_cast<size_t>(offsets[r + 1] - offsets[r]); count > 0)
          call(ncclReduce(span, span, count, ncclFloat32, ncclSum, r, comm_->nccl, stream_));
      }
    });
  }

  void clear(void* data, int64_t bytes) override {
    check_lives("clear");
    check(cudaMemsetAsync(data, 0, static_cast<size_t>(bytes), stream_), "clear device memory");
  }

  void wait(const char* name) override {
    check_lives(name);
    try {
      host_.barrier(name);  // names ranks that do not come; from here on only GPUs and links can be late
    } catch (...) {
      abort();
      throw;
    }
    mark("", false);  // of kernels behind the last collective
    Clock::time_point start = Clock::now();
    bool announced = false;
    for (Pace pace; !queued_.empty();) {
      if (drop_first_if_done()) {
        start = Clock::now();
        announced = false;
        continue;
      }
      const Queued& first = queued_.front();
      ncclResult_t answer = ncclSuccess;
      if (const ncclResult_t asked = ncclCommGetAsyncError(comm_->nccl, &answer); asked != ncclSuccess) answer = asked;
      if (is_error(answer)) give_up(first.collective ? first.what : name, answer);
      if (first.collective) {  // what this GPU computes is under the section's deadline
        if (!announced && seen_ != nullptr) seen_->enter_collective(first.what, start + deadline_);
        announced = true;
        if (Clock::now() - start >= deadline_) {
          give_up("{} waited {:.4g} s on GPU {}; every rank has queued it, and NCCL reports no error: the GPU of a rank, or a link, "
                  "hangs. NCCL_DEBUG=INFO shows the links that it uses, comm.interface chooses others",
                  first.what, seconds_since(start), comm_->device);
        }
      }
      pace.wait();
    }
    if (seen_ != nullptr) seen_->leave_collective();
  }

  void set_deadline(std::chrono::milliseconds deadline) override { deadline_ = deadline; }

  std::shared_ptr<void> allocate(size_t bytes, const char* what) override {
    if (bytes == 0) return nullptr;
    void *memory = nullptr, *handle = nullptr;
    const bool of_nccl = ncclMemAlloc(&memory, bytes) == ncclSuccess;
    if (!of_nccl) {
      (void)cudaGetLastError();  // that was NCCL's; this one says why
      check_status(cudaMalloc(&memory, bytes), fmt::format("allocate {} bytes of device memory for {}", bytes, what).c_str());
    } else if (ncclCommRegister(comm_->nccl, memory, bytes, &handle) != ncclSuccess) {
      handle = nullptr;  // it works without, by copies
    }
    return {memory, [comm = comm_, of_nccl, handle](void* data) {
              if (handle != nullptr && comm->lives) (void)ncclCommDeregister(comm->nccl, handle);
              (void)(of_nccl ? static_cast<int>(ncclMemFree(data)) : static_cast<int>(cudaFree(data)));
            }};
  }

 private:
  // What is on the stream, in order, and an event behind it. What is no collective: work that the stream waits for, kernels.
  struct Queued {
    std::string what;
    bool collective;
    cudaEvent_t done;
  };

  void check_lives(const char* name) const { CHECK(comm_->lives, "{} after the communicator was given up", name); }

  void check_offsets(const char* operation, std::span<const int64_t> offsets, const char* name) const {
    CHECK(offsets.size() == static_cast<size_t>(size()) + 1 && offsets[0] >= 0 && std::ranges::is_sorted(offsets),
          "{}({}): bad offsets [{}] on {} ranks", operation, name, fmt::join(offsets, ", "), size());
  }
  static bool equal_spans(std::span<const int64_t> offsets) {
    for (size_t r = 2; r < offsets.size(); ++r)
      if (offsets[r] - offsets[r - 1] != offsets[1] - offsets[0]) return false;
    return offsets[1] > offsets[0];
  }

  void exchange_as(const char* operation, std::span<const Part> send, std::span<const Part> receive, const char* name) {
    for (const std::span<const Part> parts : {send, receive}) {
      for (const Part& part : parts) {
        CHECK(part.peer >= 0 && part.peer < size() && part.peer != rank() && part.bytes >= 0,
              "{}({}): {} bytes of rank {} on rank {} of {}", operation, name, part.bytes, part.peer, rank(), size());
      }
    }
    queue(operation, name, [&](const auto& call) {
      for (const Part& part : receive)
        if (part.bytes > 0)
          call(ncclRecv(part.data, static_cast<size_t>(part.bytes), ncclInt8, part.peer, comm_->nccl, stream_));
      for (const Part& part : send)
        if (part.bytes > 0)
          call(ncclSend(part.data, static_cast<size_t>(part.bytes), ncclInt8, part.peer, comm_->nccl, stream_));
    });
  }

  // Puts what `calls` passes to its argument, answers of NCCL, on the stream as one collective.
  template <typename Calls>
  void queue(const char* operation, const char* name, const Calls& calls) {
    const std::string what = fmt::format("{}({})", operation, name);
    check_lives(what.c_str());
    ncclResult_t answer = ncclGroupStart();
    calls([&](ncclResult_t now) {
      if (!is_error(answer)) answer = now;
    });
    const ncclResult_t end = ncclGroupEnd();
    settle(what, is_error(answer) ? answer : end);
    mark(what, true);
  }

  // Until NCCL has taken up a call, which it may do in the background.
  void settle(const std::string& what, ncclResult_t answer) {
    const Clock::time_point start = Clock::now();
    if (answer == ncclInProgress && seen_ != nullptr) seen_->enter_collective(what, start + deadline_);
    for (Pace pace; answer == ncclInProgress; pace.wait()) {
      if (const ncclResult_t asked = ncclCommGetAsyncError(comm_->nccl, &answer); asked != ncclSuccess) answer = asked;
      if (answer == ncclInProgress && Clock::now() - start >= deadline_) {
        give_up("{} waited {:.4g} s on GPU {} for other ranks to be connected: one of them did not come, or no link works. "
                "NCCL_DEBUG=INFO shows the links that are tried, comm.interface chooses others",
                what, seconds_since(start), comm_->device);
      }
    }
    if (seen_ != nullptr) seen_->leave_collective();
    if (answer != ncclSuccess) give_up(what, answer);
  }

  void mark(std::string what, bool collective) {
    while (!queued_.empty() && drop_first_if_done()) {
    }
    if (free_events_.empty()) {
      free_events_.emplace_back();
      check(cudaEventCreateWithFlags(&free_events_.back(), cudaEventDisableTiming), "create an event");
    }
    const cudaEvent_t done = free_events_.back();
    check(cudaEventRecord(done, stream_), "record an event");
    free_events_.pop_back();
    queued_.push_back({std::move(what), collective, done});
  }

  bool drop_first_if_done() {
    const Queued& first = queued_.front();
    const cudaError_t status = cudaEventQuery(first.done);
    if (status == cudaErrorNotReady) return false;
    check(status, first.what.empty() ? "go on on the GPU" : fmt::format("go on with {} on the GPU", first.what).c_str());
    free_events_.push_back(first.done);
    queued_.pop_front();
    return true;
  }

  void check(cudaError_t status, const char* what) {
    if (status == cudaSuccess) return;
    abort();
    check_status(status, what);
  }

  template <typename... Args>
  [[noreturn]] void give_up(fmt::format_string<Args...> format, Args&&... args) {
    const std::string message = fmt::format(format, std::forward<Args>(args)...);  // before what it names is gone
    abort();
    throw Error(ExitCode::kRankFailed, message);
  }
  [[noreturn]] void give_up(const std::string& what, ncclResult_t answer) {
    const std::string message =
        fmt::format("{} failed on GPU {}: NCCL says '{}' ({}); its own lines above, of this rank and the others, say more", what,
                    comm_->device, ncclGetErrorString(answer), ncclGetLastError(comm_->nccl));
    abort();
    const bool wrong_call = answer == ncclInvalidArgument || answer == ncclInvalidUsage;
    throw Error(wrong_call ? ExitCode::kInternal : ExitCode::kRankFailed, message);
  }

  // In a thread of its own, which may stay behind.
  void abort() {
    if (!comm_->lives) return;
    comm_->lives = false;
    const auto done = std::make_shared<std::promise<void>>();
    std::thread([comm = comm_, done] {
      (void)cudaSetDevice(comm->device);
      (void)ncclCommAbort(comm->nccl);
      done->set_value();
    }).detach();
    aborted_ = done->get_future().wait_for(kAbortLimit) == std::future_status::ready;
  }

  // Events and stream, also with work in them: neither call waits for it. Returns the first error.
  cudaError_t free_marks() {
    cudaError_t first = cudaSuccess;
    const auto keep = [&](cudaError_t status) { first = first == cudaSuccess ? status : first; };
    for (const Queued& queued : queued_) keep(cudaEventDestroy(queued.done));
    for (const cudaEvent_t event : free_events_) keep(cudaEventDestroy(event));
    keep(cudaEventDestroy(order_));
    keep(cudaStreamDestroy(stream_));
    return first;
  }

  Comm& host_;
  LastSeen* seen_;
  std::chrono::milliseconds deadline_;
  const std::shared_ptr<Communicator> comm_ = std::make_shared<Communicator>();
  cudaStream_t stream_ = nullptr;
  cudaEvent_t order_ = nullptr;
  std::deque<Queued> queued_;
  std::vector<cudaEvent_t> free_events_;
  bool aborted_ = false;  // and the abort came to its end: the driver answers
  int exceptions_ = std::uncaught_exceptions();
};

}  // namespace

std::unique_ptr<DeviceComm> make_nccl_comm(Comm& host, const NcclOptions& options) {
  return std::make_unique<NcclComm>(host, options);
}

}  // namespace cohort
