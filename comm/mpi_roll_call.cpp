#include "comm/mpi_roll_call.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cstring>
#include <type_traits>

#include "comm/mpi_transfers.h"
#include "core/check.h"

namespace cohort {
namespace {

constexpr int kTag = 1;
constexpr std::array kOperationNames = {"barrier",    "broadcast", "all_gather", "all_gather_spans",
                                        "all_to_all", "any",       "finish"};

std::string call_name(Operation operation, const char* name) {
  const size_t index = static_cast<size_t>(operation);
  return fmt::format("{}({})", index < kOperationNames.size() ? kOperationNames[index] : "unknown",
                     name);
}

double seconds_since(RollCall::Clock::time_point start) {
  return std::chrono::duration<double>(RollCall::Clock::now() - start).count();
}

}  // namespace

std::string Call::to_string() const { return call_name(operation, name); }

bool RollCall::Record::same_call(const Record& other) const {
  return count == other.count && operation == other.operation && root == other.root &&
         total == other.total && std::strncmp(name, other.name, sizeof name) == 0;
}

std::string RollCall::Record::to_string() const {
  return fmt::format("{} (call {}, {} bytes, root {})",
                     call_name(operation, std::string(name, strnlen(name, sizeof name)).c_str()),
                     count, total, root);
}

RollCall::RollCall(int rank, int size)
    : rank_(rank),
      size_(size),
      mine_(static_cast<size_t>(size)),
      theirs_(static_cast<size_t>(size)),
      hosts_(static_cast<size_t>(size), "an unknown host") {}

std::string RollCall::names(const std::vector<int>& ranks) const {
  std::vector<std::string> names;
  for (int r : ranks) names.push_back(fmt::format("rank {} on {}", r, host(r)));
  return fmt::format("{}", fmt::join(names, ", "));
}

void RollCall::enter(const Call& call, std::span<const int64_t> bytes, Clock::time_point deadline) {
  static_assert(std::has_unique_object_representations_v<Record>,
                "padding would travel uninitialised");
  const Clock::time_point start = Clock::now();
  ++count_;
  MpiTransfers records(MPI_COMM_WORLD, sizeof(Record));
  for (int r = 0; r < size_; ++r) {
    Record& record = mine_[r];
    record = {count_, call.operation, call.root, call.total, bytes.empty() ? 0 : bytes[r]};
    std::strncpy(record.name, call.name, sizeof record.name - 1);
    if (r == rank_) {
      theirs_[r] = record;
      continue;
    }
    records.receive(std::as_writable_bytes(std::span(&theirs_[r], 1)), r, kTag);
    records.send(std::as_bytes(std::span(&record, 1)), r, kTag);
  }
  if (!records.wait(deadline, Pace::kSleep)) {
    fail(ExitCode::kRankFailed, "{} waited {:.4g} s; did not arrive: {}{}", call.to_string(),
         seconds_since(start), names(records.unfinished()),
         last_call_.empty() ? ""
                            : fmt::format(" (last seen in {}, {:.4g} s ago)", last_call_,
                                          seconds_since(last_seen_)));
  }
  for (int r = 0; r < size_; ++r) {
    CHECK(theirs_[r].same_call(mine_[rank_]),
          "the ranks are out of step: this one enters {}, but rank {} on {} enters {}",
          mine_[rank_].to_string(), r, host(r), theirs_[r].to_string());
  }
  last_call_ = call.to_string();
  last_seen_ = Clock::now();
}

}  // namespace cohort
