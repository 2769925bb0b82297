// Shared memory of a block, and asynchronous copies into it.
//
// A slice of the arena holds [dynamic | gap | static | gap | static ...]; the gaps are poisoned for AddressSanitizer.
// Under ThreadSanitizer each block of a launch has a slice of its own, since equal addresses would look like sharing.
#include <sys/mman.h>

#include <cstring>
#include <vector>

#include "block.h"
#include "ptx_twins.h"
#include "sanitizers.h"
#include "state.h"

namespace emulated {
namespace {

constexpr size_t kStaticLimit = 48 * 1024;  // of an NVIDIA GPU
constexpr size_t kGap = 64;
constexpr size_t kSliceRest = 2 * kStaticLimit + 4096;  // room for static variables and their gaps
constexpr size_t kArenaBytes = kTsan ? size_t{8} << 30 : size_t{4} << 20;  // of address space

struct StaticVariable {
  const void* key;
  void* memory;
};
struct Slice {
  char* begin = nullptr;
  size_t dynamic_bytes = 0, static_end = 0, static_bytes = 0;
  std::vector<StaticVariable> variables;
} slice;
char* arena = nullptr;
size_t arena_used = 0;

size_t round_up(size_t value, size_t to) { return (value + to - 1) / to * to; }

// memset would be seen by the sanitizers as an access of the program.
void fill_poison(void* begin, size_t bytes) {
  asm volatile("rep stosb" : "+D"(begin), "+c"(bytes) : "a"(0xff) : "memory");
}

void make_copy(const AsyncCopy& copy) {
  if (copy.source_bytes > 0) std::memcpy(copy.to, copy.from, static_cast<size_t>(copy.source_bytes));
  if (copy.source_bytes < copy.bytes)
    std::memset(static_cast<char*>(copy.to) + copy.source_bytes, 0, static_cast<size_t>(copy.bytes - copy.source_bytes));
}

}  // namespace

void restart_shared() { arena_used = 0; }

void set_up_shared(size_t dynamic_bytes) {
  if (arena == nullptr) {
    void* memory = mmap(nullptr, kArenaBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) fault("no memory for shared memory");
    arena = static_cast<char*>(memory);
  }
  const size_t bytes = round_up(dynamic_bytes + kSliceRest, 4096);
  if (!kTsan || arena_used + bytes > kArenaBytes) arena_used = 0;
  slice.begin = arena + arena_used;
  if (kTsan) arena_used += bytes;
  poison(slice.begin, bytes);
  unpoison(slice.begin, dynamic_bytes);
  fill_poison(slice.begin, dynamic_bytes);
  slice.dynamic_bytes = dynamic_bytes;
  slice.static_end = round_up(dynamic_bytes, 128) + kGap;
  slice.static_bytes = 0;
  slice.variables.clear();
}

void* static_shared(const void* key, size_t bytes, size_t align, const char* file, int line) {
  for (const StaticVariable& variable : slice.variables)
    if (variable.key == key) return variable.memory;
  const size_t at = round_up(slice.static_end, align < 16 ? 16 : align);
  slice.static_bytes += bytes;
  if (slice.static_bytes > kStaticLimit)
    kernel_fault("%s:%d: more than 48 KiB of static shared memory", file, line);
  slice.static_end = at + bytes + kGap;
  void* memory = slice.begin + at;
  unpoison(memory, bytes);
  fill_poison(memory, bytes);
  slice.variables.push_back({key, memory});
  return memory;
}

unsigned char* dynamic_shared() { return reinterpret_cast<unsigned char*>(slice.begin); }

void copy_async(void* shared, const void* global, int bytes, int source_bytes, const char* file, int line) {
  const auto misaligned = [](const void* p) { return (reinterpret_cast<uintptr_t>(p) & 15) != 0; };
  if (misaligned(shared) || (source_bytes > 0 && misaligned(global)))
    kernel_fault("cp.async at %s:%d: an address not aligned to 16 bytes", file, line);
  if (source_bytes < 0 || source_bytes > bytes) kernel_fault("cp.async at %s:%d: %d bytes", file, line, source_bytes);
  const AsyncCopy copy{shared, global, bytes, source_bytes};
  if (current_settings().late_copies) {
    static_cast<BlockThread*>(current_thread)->open_copies.push_back(copy);
  } else {
    make_copy(copy);
  }
}

void copy_async_commit() {
  auto* me = static_cast<BlockThread*>(current_thread);
  me->copy_groups.push_back(std::move(me->open_copies));
  me->open_copies.clear();
}

void copy_async_wait(int pending) {
  auto* me = static_cast<BlockThread*>(current_thread);
  while (me->copy_groups.size() > static_cast<size_t>(pending)) {
    for (const AsyncCopy& copy : me->copy_groups.front()) make_copy(copy);
    me->copy_groups.erase(me->copy_groups.begin());
  }
}

void finish_copies(BlockThread* thread) {
  for (const std::vector<AsyncCopy>& group : thread->copy_groups)
    for (const AsyncCopy& copy : group) make_copy(copy);
  for (const AsyncCopy& copy : thread->open_copies) make_copy(copy);
  thread->copy_groups.clear();
  thread->open_copies.clear();
}

}  // namespace emulated
