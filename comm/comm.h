// Comm: ranks and typed collectives, each with a deadline. Copies only: sums are done by the caller
// in a fixed order, so that no library's reduction order can reach the result.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace cohort {

class LastSeen;

class Comm {
 public:
  static constexpr std::chrono::milliseconds kDefaultDeadline = std::chrono::minutes(10);

  virtual ~Comm() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual int local_rank() const = 0;  // among the ranks of this host
  virtual std::string host() const = 0;

  // Collectives are called by every rank, in the same order, on one thread. `name` says what is
  // exchanged. It stands in the messages of a deadline that passed (exit code 4: operation,
  // seconds, and the ranks and hosts that did not arrive; who prints it says on which rank) and of
  // ranks that call different things (exit code 1). After either the Comm is of no use but to
  // abort, and the spans that were given must outlive the process's last call into it.
  virtual void barrier(const char* name) = 0;
  virtual void broadcast(std::span<std::byte> data, int root, const char* name) = 0;
  // Every rank's `mine`, in rank order; lengths may differ.
  virtual std::vector<std::vector<std::byte>> all_gather(std::span<const std::byte> mine,
                                                         const char* name) = 0;
  // In place: rank r has filled data[offsets[r], offsets[r + 1]) and gets the rest. offsets: size()
  // + 1, ascending.
  virtual void all_gather_spans(std::span<std::byte> data, std::span<const int64_t> offsets,
                                const char* name) = 0;
  // send[r] goes to rank r, receive[r] comes from rank r (own part copied). Lengths must match
  // pairwise; any may be empty.
  virtual void all_to_all(std::span<const std::span<const std::byte>> send,
                          std::span<const std::span<std::byte>> receive, const char* name) = 0;
  // True when `flag` is true on any rank.
  virtual bool any(bool flag, const char* name) = 0;

  // Messages between two ranks outside collectives, for work that moves while others compute. All on the thread that calls
  // collectives. Those of one rank to another arrive in order. Each must be received before the Comm is destroyed.
  static constexpr size_t kMaxMessage = 2048;  // bytes: so short that it goes without the receiver's help
  struct Message {
    int from;
    std::vector<std::byte> bytes;
  };
  // To another rank. Returns at once; `message` is copied.
  virtual void post(int to, std::span<const std::byte> message) = 0;
  // What has arrived first, of any rank; nothing where nothing has. Never waits.
  virtual std::optional<Message> poll() = 0;
  // Waits for one of these ranks; messages of others stay. Past the deadline: exit code 4, naming all of `from`.
  virtual Message receive(std::span<const int> from, const char* name) = 0;

  // How long one collective or receive() may take, measured from this rank's call. Before it is set:
  // kDefaultDeadline.
  virtual void set_deadline(std::chrono::milliseconds deadline) = 0;
  // Ends every rank with `exit_code`, at once: no destructors, no buffers written. Any thread.
  [[noreturn]] virtual void abort(int exit_code) = 0;
};

// One process.
std::unique_ptr<Comm> make_self_comm();
// MPI_COMM_WORLD. Initialises MPI (funneled: collectives on the calling thread only) and, on a
// clean path, finalises it when destroyed; at most one a process. Where an exception is on its way
// or a collective failed it leaves MPI as it is, because MPI_Finalize would wait for ranks that do
// not come. `max_message`: bytes of one MPI message, whose lengths are ints; longer transfers are
// cut. `seen` learns of each collective, and of abort(); where it has a deadline already, that is the one of MPI_Init and of the
// first collective, in which ranks tell each other their hosts.
std::unique_ptr<Comm> make_mpi_comm(int64_t max_message = int64_t{1} << 30, LastSeen* seen = nullptr);
// MPI when mpirun or srun started several processes, else one process without touching MPI, which
// takes a tenth of a second. Throws (exit code 2) when srun started several that cannot find each
// other.
std::unique_ptr<Comm> make_comm(LastSeen* seen = nullptr);

}  // namespace cohort
