// The Comm of mpirun and srun. Each collective calls the roll (mpi_roll_call.h), then moves its
// bytes by point-to-point messages that are polled against the deadline.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <mpi.h>

#include <algorithm>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>

#include "comm/comm.h"
#include "comm/last_seen.h"
#include "comm/launch.h"
#include "comm/mpi_check.h"
#include "comm/mpi_messages.h"
#include "comm/mpi_roll_call.h"
#include "comm/mpi_start.h"
#include "comm/mpi_transfers.h"
#include "core/check.h"

namespace cohort {
namespace {

using Clock = MpiTransfers::Clock;

constexpr int kTag = 2;
constexpr std::chrono::seconds kAfterSupervisor{10};
constexpr std::chrono::milliseconds kFirstMeeting{5000};  // at least: ranks that are through MPI_Init are all there

class MpiComm final : public Comm {
 public:
  MpiComm(int64_t max_message, LastSeen* seen)
      : max_message_(max_message), seen_(seen), place_(start()), roll_(place_.rank, place_.size) {
    // MPI_Init may have taken nearly all of a short limit, or a little more.
    if (supervised()) deadline_ = std::max(kFirstMeeting, std::chrono::duration_cast<std::chrono::milliseconds>(seen_->deadline() - Clock::now()));
    std::vector<std::string> hosts;
    for (const auto& bytes : all_gather(std::as_bytes(std::span(place_.host)), "host names"))
      hosts.emplace_back(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    roll_.set_hosts(std::move(hosts));
    deadline_ = kDefaultDeadline;
  }

  ~MpiComm() override {
    if (unusable_ || std::uncaught_exceptions() > exceptions_) return;
    try {
      Collective(*this, {Operation::kFinish, "MPI"}).finish();
      finish_mpi(deadline_);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "cohort: error: rank %d on %s: %s\n", rank(), place_.host.c_str(),
                   error.what());
      abort(static_cast<int>(ExitCode::kRankFailed));
    }
  }

  int rank() const override { return place_.rank; }
  int size() const override { return place_.size; }
  int local_rank() const override { return place_.local_rank; }
  std::string host() const override { return place_.host; }

  void barrier(const char* name) override {
    Collective(*this, {Operation::kBarrier, name}).finish();
  }

  bool any(bool flag, const char* name) override {
    Collective call(*this, {Operation::kAny, name}, same_for_all(flag));
    call.finish();
    for (int r = 0; r < size(); ++r)
      if (roll_.from(r) != 0) return true;
    return false;
  }

  void broadcast(std::span<std::byte> data, int root, const char* name) override {
    CHECK(root >= 0 && root < size(), "broadcast({}) from rank {} of {}", name, root, size());
    Collective call(*this, {Operation::kBroadcast, name, root, static_cast<int64_t>(data.size())});
    call.transfers.broadcast(data, root);
    call.finish();
  }

  std::vector<std::vector<std::byte>> all_gather(std::span<const std::byte> mine,
                                                 const char* name) override {
    Collective call(*this, {Operation::kAllGather, name},
                    same_for_all(static_cast<int64_t>(mine.size())));
    std::vector<std::vector<std::byte>> all(static_cast<size_t>(size()));
    for (int r = 0; r < size(); ++r) all[r].resize(static_cast<size_t>(roll_.from(r)));
    call.exchange([&](int) { return mine; }, [&](int r) { return std::span(all[r]); });
    std::ranges::copy(mine, all[rank()].begin());
    call.finish();
    return all;
  }

  void all_gather_spans(std::span<std::byte> data, std::span<const int64_t> offsets,
                        const char* name) override {
    CHECK(offsets.size() == static_cast<size_t>(size()) + 1 && offsets[0] >= 0 &&
              std::ranges::is_sorted(offsets) &&
              offsets.back() <= static_cast<int64_t>(data.size()),
          "all_gather_spans({}): bad offsets [{}] for {} bytes on {} ranks", name,
          fmt::join(offsets, ", "), data.size(), size());
    const auto part = [&](int r) {
      return data.subspan(static_cast<size_t>(offsets[r]),
                          static_cast<size_t>(offsets[r + 1] - offsets[r]));
    };
    Collective call(*this, {Operation::kAllGatherSpans, name, 0, offsets.back() - offsets[0]},
                    same_for_all(static_cast<int64_t>(part(rank()).size())));
    call.exchange([&](int) { return std::span<const std::byte>(part(rank())); }, part);
    call.finish();
  }

  void all_to_all(std::span<const std::span<const std::byte>> send,
                  std::span<const std::span<std::byte>> receive, const char* name) override {
    CHECK(
        send.size() == static_cast<size_t>(size()) && receive.size() == static_cast<size_t>(size()),
        "all_to_all({}): {} sends and {} receives on {} ranks", name, send.size(), receive.size(),
        size());
    for (int r = 0; r < size(); ++r) numbers_[r] = static_cast<int64_t>(send[r].size());
    Collective call(*this, {Operation::kAllToAll, name}, numbers_);
    call.exchange([&](int r) { return send[r]; }, [&](int r) { return receive[r]; });
    if (!send[rank()].empty())
      std::memmove(receive[rank()].data(), send[rank()].data(), send[rank()].size());
    call.finish();
  }

  void post(int to, std::span<const std::byte> message) override {
    CHECK(to >= 0 && to < size() && to != rank(), "a message from rank {} to rank {} of {}", rank(), to, size());
    messages_.post(to, message);
  }
  std::optional<Message> poll() override { return messages_.poll(); }
  Message receive(std::span<const int> from, const char* name) override {
    const std::string call = fmt::format("receive({})", name);
    CHECK(!unusable_ && !from.empty(), "{} from {} ranks, or after a collective that failed", call, from.size());
    unusable_ = true;
    const Clock::time_point start = Clock::now();
    if (seen_ != nullptr) seen_->enter_collective(call, start + deadline_);
    std::optional<Message> message = messages_.wait(from, start + deadline_);
    if (!message) {
      fail(ExitCode::kRankFailed, "{} waited {:.4g} s; did not answer: {}", call,
           std::chrono::duration<double>(Clock::now() - start).count(), roll_.names({from.begin(), from.end()}));
    }
    unusable_ = false;
    if (seen_ != nullptr) seen_->leave_collective();
    return *std::move(message);
  }

  void set_deadline(std::chrono::milliseconds deadline) override { deadline_ = deadline; }
  [[noreturn]] void abort(int exit_code) override {
    if (seen_ != nullptr) seen_->end(exit_code);
    abort_mpi(exit_code);
  }

 private:
  struct Place {
    int rank, size, local_rank;
    std::string host;
  };

  // One collective. From construction to finish() the communicator counts as unusable, so that
  // whatever is thrown on the way leaves it so.
  struct Collective {
    MpiComm& comm;
    Call call;
    Clock::time_point start = Clock::now();
    MpiTransfers transfers{MPI_COMM_WORLD, comm.max_message_};

    // Returns when all ranks have entered; rank r then knows `numbers[r]`.
    Collective(MpiComm& comm, const Call& call, std::span<const int64_t> numbers = {})
        : comm(comm), call(call) {
      CHECK(!comm.unusable_, "{} after a collective that failed", call.to_string());
      comm.unusable_ = true;
      if (comm.seen_ != nullptr) comm.seen_->enter_collective(call.to_string(), start + comm.deadline_);
      comm.roll_.enter(call, numbers, start + comm.deadline_);
    }

    // Starts sending part_to(r) to, and receiving part_from(r) from, each other rank r, whose
    // number must be the length.
    template <typename To, typename From>
    void exchange(To part_to, From part_from) {
      const int rank = comm.rank(), size = comm.size();
      for (int r = 0; r < size; ++r) {
        CHECK(static_cast<int64_t>(part_from(r).size()) == comm.roll_.from(r),
              "{}: rank {} on {} sends {} bytes where {} are expected", call.to_string(), r,
              comm.roll_.host(r), comm.roll_.from(r), part_from(r).size());
      }
      // Each rank begins with its neighbour, so that not all of them read from the same one.
      for (int step = 1; step < size; ++step) {
        const int from = (rank - step + size) % size, to = (rank + step) % size;
        transfers.receive(part_from(from), from, kTag);
        transfers.send(part_to(to), to, kTag);
      }
    }

    void finish() {
      if (!transfers.wait(start + comm.deadline_, Pace::kYield)) {
        fail(ExitCode::kRankFailed,
             "{} waited {:.4g} s; every rank arrived, but not all data to and from {}",
             call.to_string(), std::chrono::duration<double>(Clock::now() - start).count(),
             comm.roll_.names(transfers.unfinished()));
      }
      comm.unusable_ = false;
      if (comm.seen_ != nullptr) comm.seen_->leave_collective();
    }
  };

  // Whether this is a rank's start, whose deadline its supervisor keeps.
  bool supervised() const { return seen_ != nullptr && seen_->deadline() != Clock::time_point::max(); }

  Place start() {
    // A supervisor comes first: it knows this process's rank, and hears what the others say.
    auto limit = kDefaultDeadline;
    if (supervised()) {
      const auto size = launched_size([](const char* name) { return std::getenv(name); });
      seen_->enter_collective(size ? fmt::format("MPI_Init of {} ranks", *size) : "MPI_Init", seen_->deadline());
      limit = std::chrono::duration_cast<std::chrono::milliseconds>(seen_->deadline() - Clock::now()) + kAfterSupervisor;
    }
    start_mpi(limit);
    Place place{};
    CHECK_MPI(MPI_Comm_rank(MPI_COMM_WORLD, &place.rank));
    CHECK_MPI(MPI_Comm_size(MPI_COMM_WORLD, &place.size));
    MPI_Comm on_host;
    CHECK_MPI(
        MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &on_host));
    CHECK_MPI(MPI_Comm_rank(on_host, &place.local_rank));
    CHECK_MPI(MPI_Comm_free(&on_host));
    char name[MPI_MAX_PROCESSOR_NAME];
    int length = 0;
    CHECK_MPI(MPI_Get_processor_name(name, &length));
    place.host.assign(name, static_cast<size_t>(length));
    return place;
  }

  std::span<const int64_t> same_for_all(int64_t number) {
    std::ranges::fill(numbers_, number);
    return numbers_;
  }

  int64_t max_message_;
  LastSeen* seen_;
  Place place_;
  RollCall roll_;
  MpiMessages messages_;
  std::vector<int64_t> numbers_ = std::vector<int64_t>(static_cast<size_t>(place_.size));
  std::chrono::milliseconds deadline_ = kDefaultDeadline;
  bool unusable_ = false;
  int exceptions_ = std::uncaught_exceptions();
};

}  // namespace

std::unique_ptr<Comm> make_mpi_comm(int64_t max_message, LastSeen* seen) {
  CHECK(max_message >= 1 && max_message <= INT_MAX, "messages of {} bytes: MPI's lengths are ints",
        max_message);
  return std::make_unique<MpiComm>(max_message, seen);
}

}  // namespace cohort
