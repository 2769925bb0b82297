// Device and pinned memory (memory.h).
//
// With the fence an allocation ends at a guard page, its pages are closed to the host, and its addresses are never used
// again. Without it the sanitizers watch the bounds, or at least what was written behind the end is noticed when freed.
#include "memory.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include "block.h"
#include "sanitizers.h"
#include "state.h"

namespace emulated {
namespace {

constexpr size_t kAlign = 256;  // as cudaMalloc's
constexpr size_t kPage = 4096;
constexpr unsigned char kFill = 0xff;

struct Allocation {
  size_t bytes, rounded;
  int device;
  char* pages;  // with the fence, else null
  size_t page_bytes;
};
struct Registry {
  std::map<uintptr_t, Allocation> device;
  std::map<uintptr_t, size_t> pinned;
  std::map<int, size_t> used;
  std::vector<std::pair<unsigned char*, size_t>> freed;  // early
  int opened = 0;
};
Registry& registry() {
  static Registry& only = *new Registry;  // never destroyed, see state.cpp
  return only;
}

uintptr_t address(const void* p) { return reinterpret_cast<uintptr_t>(p); }
size_t round_up(size_t value, size_t to) { return (value + to - 1) / to * to; }

// The entry whose memory holds `p`, or null.
template <typename Map, typename Bytes>
const typename Map::value_type* holder(const Map& map, const void* p, const Bytes& bytes_of) {
  auto it = map.upper_bound(address(p));
  if (it == map.begin()) return nullptr;
  --it;
  return address(p) - it->first < bytes_of(it->second) ? &*it : nullptr;
}
const std::pair<const uintptr_t, Allocation>* device_holder(const void* p) {
  return holder(registry().device, p, [](const Allocation& a) { return a.bytes; });
}

void protect_all(int protection) {
  for (const auto& [begin, a] : registry().device)
    if (a.pages != nullptr) mprotect(a.pages, a.page_bytes, protection);
}

// Says who touched what, then lets the signal end the process. Writes without allocating: this is a signal handler.
void report_touch(int, siginfo_t* info, void*) {
  char text[512];
  int n = 0;
  const auto* found = device_holder(info->si_addr);
  if (current_thread != nullptr) {
    const uint3 &b = current_block.index, &t = current_thread->index;
    n = std::snprintf(text, sizeof(text),
                      "emulated CUDA: invalid access to %p by kernel %s, block (%u, %u, %u), thread (%u, %u, %u)\n",
                      info->si_addr, block.kernel, b.x, b.y, b.z, t.x, t.y, t.z);
  } else if (found != nullptr) {
    n = std::snprintf(text, sizeof(text), "emulated CUDA: host code touches device memory: byte %zu of %zu\n",
                      static_cast<size_t>(address(info->si_addr) - found->first), found->second.bytes);
  } else {
    n = std::snprintf(text, sizeof(text), "emulated CUDA: invalid access to %p by host code\n", info->si_addr);
  }
  if (write(STDERR_FILENO, text, static_cast<size_t>(n)) < 0) {
  }
  signal(SIGSEGV, SIG_DFL);
}

// Kept until check_freed: what still uses it reads NaN, and what it writes is seen.
void keep_freed(void* memory, size_t bytes) {
  unpoison(memory, bytes);
  std::memset(memory, kFill, bytes);
  poison(memory, bytes);
  registry().freed.emplace_back(static_cast<unsigned char*>(memory), bytes);
}

void install_handler() {
  static bool installed = false;
  if (installed) return;
  installed = true;
  stack_t stack{};
  stack.ss_size = 64 * 1024;
  stack.ss_sp = std::malloc(stack.ss_size);  // a thread that ran out of its own stack has none to run the handler on
  sigaltstack(&stack, nullptr);
  struct sigaction action {};
  action.sa_sigaction = report_touch;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigaction(SIGSEGV, &action, nullptr);
}

}  // namespace

void* allocate_device(size_t bytes) {
  const Settings& settings = current_settings();
  size_t& used = registry().used[current_device()];
  if (bytes > settings.memory || used > settings.memory - bytes) return nullptr;
  Allocation a{bytes, round_up(bytes, kAlign), current_device(), nullptr, 0};
  char* begin = nullptr;
  if (settings.fence && !kAsan && !kTsan) {
    install_handler();
    a.page_bytes = round_up(a.rounded, kPage);
    void* pages = mmap(nullptr, a.page_bytes + kPage, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED) return nullptr;
    a.pages = static_cast<char*>(pages);
    mprotect(a.pages + a.page_bytes, kPage, PROT_NONE);
    begin = a.pages + (a.page_bytes - a.rounded);
    std::memset(a.pages, kFill, a.page_bytes);
    if (registry().opened == 0) mprotect(a.pages, a.page_bytes, PROT_NONE);
  } else {
    if (!kAsan) a.rounded += kAlign;  // room to notice a write behind the end
    begin = static_cast<char*>(std::aligned_alloc(kAlign, a.rounded));
    if (begin == nullptr) return nullptr;
    std::memset(begin, kFill, a.rounded);
    poison(begin + bytes, a.rounded - bytes);
  }
  registry().device[address(begin)] = a;
  used += bytes;
  return begin;
}

bool free_device(void* memory) {
  const auto found = registry().device.find(address(memory));
  if (found == registry().device.end()) return false;
  const Allocation a = found->second;
  char* begin = static_cast<char*>(memory);
  {
    const DeviceOpen open;
    if (!kAsan) {
      for (size_t i = a.bytes; i < a.rounded; ++i)
        if (static_cast<unsigned char>(begin[i]) != kFill)
          fault("byte %zu behind a device allocation of %zu bytes was written", i - a.bytes, a.bytes);
    }
  }
  registry().device.erase(found);
  registry().used[a.device] -= a.bytes;
  if (a.pages != nullptr) {
    mprotect(a.pages, a.page_bytes, PROT_NONE);
    madvise(a.pages, a.page_bytes, MADV_DONTNEED);
  } else {
    unpoison(begin, a.rounded);
    std::memset(begin, kFill, a.bytes);
    std::free(begin);
  }
  return true;
}

bool free_device_early(void* memory) {
  const auto found = registry().device.find(address(memory));
  if (found == registry().device.end()) return false;
  const Allocation a = found->second;
  if (a.pages != nullptr) return free_device(memory);  // the fence stops whoever comes too late
  registry().device.erase(found);
  registry().used[a.device] -= a.bytes;
  keep_freed(memory, a.rounded);
  return true;
}

void check_freed() {
  for (const auto& [begin, bytes] : registry().freed) {
    unpoison(begin, bytes);
    for (size_t i = 0; i < bytes; ++i)
      if (begin[i] != kFill) fault("byte %zu of %zu was written after the memory had been freed", i, bytes);
    std::free(begin);
  }
  registry().freed.clear();
}

size_t used_memory(int device) { return registry().used[device]; }

void* allocate_pinned(size_t bytes) {
  void* memory = std::malloc(bytes == 0 ? 1 : bytes);
  if (memory != nullptr) registry().pinned[address(memory)] = bytes;
  return memory;
}

bool free_pinned(void* memory) {
  if (registry().pinned.erase(address(memory)) == 0) return false;
  std::free(memory);
  return true;
}

bool free_pinned_early(void* memory) {
  const auto found = registry().pinned.find(address(memory));
  if (found == registry().pinned.end()) return false;
  const size_t bytes = found->second;
  registry().pinned.erase(found);
  keep_freed(memory, bytes);
  return true;
}

bool in_one_allocation(const void* begin, size_t bytes) {
  const auto* found = device_holder(begin);
  return found != nullptr && address(begin) - found->first + bytes <= found->second.bytes;
}
bool is_device_memory(const void* begin) { return device_holder(begin) != nullptr; }
bool is_pinned(const void* begin) {
  return holder(registry().pinned, begin, [](size_t bytes) { return bytes; }) != nullptr;
}

void require_device_range(const char* who, const char* buffer, const void* begin, size_t bytes) {
  if (bytes == 0 || in_one_allocation(begin, bytes)) return;
  const auto* found = device_holder(begin);
  if (found == nullptr) fault("%s: %s at %p is not device memory", who, buffer, begin);
  fault("%s: %s needs %zu bytes from byte %zu of an allocation of %zu", who, buffer, bytes,
        static_cast<size_t>(address(begin) - found->first), found->second.bytes);
}

DeviceOpen::DeviceOpen() {
  if (registry().opened++ == 0 && current_settings().fence) protect_all(PROT_READ | PROT_WRITE);
}
DeviceOpen::~DeviceOpen() {
  if (--registry().opened == 0 && current_settings().fence) protect_all(PROT_NONE);
}

void set_fence(bool on) { protect_all(on ? PROT_NONE : PROT_READ | PROT_WRITE); }

}  // namespace emulated
