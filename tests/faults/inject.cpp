// What makes cohort_with_faults out of cohort: the linker (--wrap, tests/faults/faults.cmake) leads some calls of the very same objects
// through here. The program that users run has none of this.
//
// COHORT_FAULT="KIND SECTION STEP RANK [COLLECTIVE | CALL | MILLISECONDS]" names what goes wrong, once, when the rank enters the section (or, for the section
// "collective", when it enters that collective of that step; for "calls": at its CALL-th call that changes a file, counted from that
// step's checkpoint on). COHORT_FAULT_LOG=FILE then holds the moment, in nanoseconds of the machine's steady clock. "hold" stands there until
// the file COHORT_FAULT_RELEASE is there, so that something can be done to the rank's machine meanwhile.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <new>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>

#include "comm/mpi_roll_call.h"
#include "comm/mpi_transfers.h"
#include "comm/watchdog.h"
#include "reward/reward.h"
#include "trainer/checkpoint.h"
#include "trainer/update.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::atomic<bool> no_memory = false, no_disk = false;
std::atomic<int64_t> slow_write_ms = 0;  // that the next write takes

struct Fault {
  std::string kind, section, collective;
  int64_t step = 0, call = 0;
  bool armed = false;

  Fault() {
    const char* text = std::getenv("COHORT_FAULT");
    const char* mine = std::getenv("OMPI_COMM_WORLD_RANK");
    if (text == nullptr) return;
    int rank = 0;
    std::istringstream words(text);
    words >> kind >> section >> step >> rank >> collective;
    armed = rank == (mine == nullptr ? 0 : std::atoi(mine));
    if (section == "calls") call = std::stoll(collective);
  }
};

struct State {
  Fault fault;
  int64_t step = 0;
  std::atomic<int64_t> calls = -1;  // -1: the checkpoint has not begun
  bool nan_reward = false, huge_reward = false, nan_gradient = false, nan_weight = false;
  Policy* policy = nullptr;
  Optimizer* optimizer = nullptr;
};
State& state() {
  static State state;
  return state;
}

void log_the_moment() {
  const char* file = std::getenv("COHORT_FAULT_LOG");
  if (file == nullptr) return;
  const std::string text = std::to_string(std::chrono::steady_clock::now().time_since_epoch().count());
  const int descriptor = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (descriptor < 0 || ::pwrite(descriptor, text.data(), text.size(), 0) < 0) std::abort();
  close(descriptor);
}

// A gain of a norm, which every token meets.
void spoil_a_weight() {
  Policy& policy = *state().policy;
  for (const ParamEntry& entry : policy.table.entries) {
    if (entry.name.find("norm") == std::string::npos) continue;
    uint16_t half = 0x7fc0;
    float whole = kNan;
    void* number = policy.dtype == DType::bf16 ? static_cast<void*>(&half) : static_cast<void*>(&whole);
    ExecOwner owner(1);
    set_weights(policy, entry.offset, Tensor(number, policy.dtype, {1}), owner.exec());
    return;
  }
  std::abort();
}

void make_nan(const std::string& section) {
  State& s = state();
  if (section == "reward") {
    s.nan_reward = true;
  } else if (section == "collective") {
    s.nan_gradient = true;
  } else if (section == "checkpoint") {
    ExecOwner owner(1);
    s.optimizer->write_state(s.optimizer->owned_shards().first, Optimizer::Part::m, 0, {&kNan, 1}, owner.exec());
  } else if (s.policy != nullptr) {
    spoil_a_weight();
  } else {
    s.nan_weight = true;  // when there are weights
  }
}

// The newest checkpoint is no more what was written.
void corrupt() {
  const auto newest = newest_checkpoint(std::getenv("COHORT_FAULT_CHECKPOINTS"));
  if (!newest) std::abort();
  const int file = open((*newest / "shard_00001.bin").c_str(), O_RDWR);
  char byte;
  if (pread(file, &byte, 1, 100) != 1) std::abort();
  byte = static_cast<char>(byte ^ 1);
  if (pwrite(file, &byte, 1, 100) != 1) std::abort();
  close(file);
}

void strike() {
  Fault& fault = state().fault;
  fault.armed = false;
  log_the_moment();
  const std::string& kind = fault.kind;
  if (kind == "kill") raise(SIGKILL);
  if (kind == "segv") {
    signal(SIGSEGV, SIG_DFL);  // Open MPI's backtrace is long
    raise(SIGSEGV);
  }
  if (kind == "stop") raise(SIGSTOP);
  if (kind == "exit") std::exit(0);
  if (kind == "exception") throw std::runtime_error("an injected fault");
  if (kind == "loop") {
    for (std::atomic<int> i = 0; true; ++i) {
    }
  }
  while (kind == "hold" && !fs::exists(std::getenv("COHORT_FAULT_RELEASE"))) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  if (kind == "nan") make_nan(fault.section);
  if (kind == "overflow") state().huge_reward = true;
  if (kind == "memory") no_memory = true;
  if (kind == "disk") no_disk = true;
  if (kind == "slow") slow_write_ms = std::stoll(fault.collective);
  if (kind == "ask") raise(SIGUSR1);
  if (kind == "corrupt") {
    corrupt();
    raise(SIGKILL);
  }
}

// `collective`: the one that is entered; the watchdog's section of that name is not meant.
void enters(const std::string& section, int64_t step, const std::string& collective = "") {
  const Fault& fault = state().fault;
  if (fault.armed && fault.section == section && fault.step == step && (section != "collective" || fault.collective == collective)) strike();
}

void changes_a_file() {
  State& s = state();
  if (s.fault.armed && s.fault.section == "calls" && s.calls >= 0 && ++s.calls == s.fault.call) strike();
}

void* allocate(std::size_t size) {
  if (no_memory.exchange(false)) throw std::bad_alloc();
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}

}  // namespace

// --- what the linker wraps: real_X is the program's own X

void real_enter(Watchdog*, const char*, int64_t, std::chrono::milliseconds) asm("__real_" WATCHDOG_ENTER);
void wrap_enter(Watchdog*, const char*, int64_t, std::chrono::milliseconds) asm("__wrap_" WATCHDOG_ENTER);
void wrap_enter(Watchdog* dog, const char* section, int64_t step, std::chrono::milliseconds deadline) {
  real_enter(dog, section, step, deadline);
  State& s = state();
  s.step = step;
  if (s.fault.section == "calls" && s.fault.step == step && s.calls < 0 && section == std::string("checkpoint")) s.calls = 0;
  enters(section, step);
}

void real_roll_call(RollCall*, const Call&, std::span<const int64_t>, RollCall::Clock::time_point) asm("__real_" ROLL_CALL_ENTER);
void wrap_roll_call(RollCall*, const Call&, std::span<const int64_t>, RollCall::Clock::time_point) asm("__wrap_" ROLL_CALL_ENTER);
void wrap_roll_call(RollCall* roll, const Call& call, std::span<const int64_t> bytes, RollCall::Clock::time_point deadline) {
  enters("collective", state().step, call.name);
  real_roll_call(roll, call, bytes, deadline);
}

void real_send(MpiTransfers*, std::span<const std::byte>, int, int) asm("__real_" TRANSFERS_SEND);
void wrap_send(MpiTransfers*, std::span<const std::byte>, int, int) asm("__wrap_" TRANSFERS_SEND);
void wrap_send(MpiTransfers* transfers, std::span<const std::byte> data, int peer, int tag) {
  static std::vector<std::byte> nans;  // the bits of a NaN in float32 are ones, or enough of them
  if (state().nan_gradient && tag == 2 && !data.empty()) {
    state().nan_gradient = false;
    nans.assign(data.size(), std::byte{0xff});
    data = nans;
  }
  real_send(transfers, data, peer, tag);
}

void real_updater(Updater*, Policy&, const Policy*, Optimizer&, const Config&, Comm&) asm("__real_" UPDATER);
void wrap_updater(Updater*, Policy&, const Policy*, Optimizer&, const Config&, Comm&) asm("__wrap_" UPDATER);
void wrap_updater(Updater* updater, Policy& policy, const Policy* reference, Optimizer& optimizer, const Config& config, Comm& comm) {
  real_updater(updater, policy, reference, optimizer, config, comm);
  State& s = state();
  s.policy = &policy;
  s.optimizer = &optimizer;
  if (s.nan_weight) spoil_a_weight();
}

// What the scorer puts together of a completion's verdicts: behind the check of each score.
RewardSet::Row real_row(const RewardSet*, std::span<const Verdict>) asm("__real_" REWARD_ROW);
RewardSet::Row wrap_row(const RewardSet*, std::span<const Verdict>) asm("__wrap_" REWARD_ROW);
RewardSet::Row wrap_row(const RewardSet* rewards, std::span<const Verdict> verdicts) {
  RewardSet::Row row = real_row(rewards, verdicts);
  if (state().nan_reward) {
    state().nan_reward = false;
    row.total = row.scores[0] = static_cast<double>(kNan);
  }
  if (state().huge_reward) {
    state().huge_reward = false;
    row.total = row.scores[0] = 3e38;  // a float32 still, but not what is made of it
  }
  return row;
}

std::unique_ptr<Comm> real_make_comm(LastSeen*) asm("__real_" MAKE_COMM);
std::unique_ptr<Comm> wrap_make_comm(LastSeen*) asm("__wrap_" MAKE_COMM);
std::unique_ptr<Comm> wrap_make_comm(LastSeen* seen) {
  enters("start", 0);
  return real_make_comm(seen);
}

extern "C" {
ssize_t __real_write(int file, const void* data, size_t size);
ssize_t __wrap_write(int file, const void* data, size_t size) {
  changes_a_file();
  if (file > 2)
    if (const int64_t ms = slow_write_ms.exchange(0); ms > 0) std::this_thread::sleep_for(std::chrono::milliseconds(ms));
  if (no_disk && file > 2) {
    errno = ENOSPC;
    return -1;
  }
  return __real_write(file, data, size);
}
int __real_fsync(int file);
int __wrap_fsync(int file) {
  changes_a_file();
  return __real_fsync(file);
}
}

void real_rename(const fs::path&, const fs::path&) asm("__real_" FS_RENAME);
void wrap_rename(const fs::path&, const fs::path&) asm("__wrap_" FS_RENAME);
void wrap_rename(const fs::path& from, const fs::path& to) {
  changes_a_file();
  real_rename(from, to);
}
bool real_remove(const fs::path&) asm("__real_" FS_REMOVE);
bool wrap_remove(const fs::path&) asm("__wrap_" FS_REMOVE);
bool wrap_remove(const fs::path& path) {
  changes_a_file();
  return real_remove(path);
}
uintmax_t real_remove_all(const fs::path&) asm("__real_" FS_REMOVE_ALL);
uintmax_t wrap_remove_all(const fs::path&) asm("__wrap_" FS_REMOVE_ALL);
uintmax_t wrap_remove_all(const fs::path& path) {
  changes_a_file();
  return real_remove_all(path);
}

}  // namespace cohort

void* operator new(std::size_t size) { return cohort::allocate(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
