// Fibres (fibre.h): a switch of 14 instructions for x86-64; ucontext would cost a system call each.
#include "fibre.h"

#include <pthread.h>
#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>

#include "sanitizers.h"

#ifndef __x86_64__
#error "the emulator switches stacks on x86-64 only"
#endif

// Keeps the callee-saved registers on the stack that is left, and takes those of the one that is entered.
extern "C" void emulated_switch_stack(void** save, void* to);
asm(R"(
.text
.globl emulated_switch_stack
.type emulated_switch_stack,@function
emulated_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size emulated_switch_stack, .-emulated_switch_stack
)");

namespace emulated {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kStackBytes = kAsan || kTsan ? 512 * 1024 : 64 * 1024;  // instrumented frames are larger

}  // namespace

Fibre* new_fibre() {
  void* memory = mmap(nullptr, kStackBytes + kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                      -1, 0);
  if (memory == MAP_FAILED) {
    std::perror("emulated CUDA: no memory for a thread's stack");
    std::abort();
  }
  mprotect(memory, kPage, PROT_NONE);
  auto* fibre = new Fibre;
  fibre->bottom = static_cast<char*>(memory) + kPage;
  fibre->size = kStackBytes;
#ifdef EMULATED_TSAN
  fibre->tsan_fibre = __tsan_create_fiber(0);
#endif
  return fibre;
}

void prepare(Fibre* fibre, void (*entry)()) {
  unpoison(fibre->bottom, fibre->size);  // what an earlier run on this stack left
  // Six registers and the return address; the entry finds its stack aligned as after a call.
  void** top = reinterpret_cast<void**>(static_cast<char*>(fibre->bottom) + fibre->size - 64);
  for (int i = 0; i < 8; ++i) top[i] = nullptr;
  top[6] = reinterpret_cast<void*>(entry);
  fibre->stack_pointer = top;
}

void switch_fibre(Fibre* from, Fibre* to, [[maybe_unused]] bool last) {
#ifdef EMULATED_ASAN
  __sanitizer_start_switch_fiber(last ? nullptr : &from->asan_fake_stack, to->bottom, to->size);
#endif
#ifdef EMULATED_TSAN
  __tsan_switch_to_fiber(to->tsan_fibre, __tsan_switch_to_fiber_no_sync);
#endif
  emulated_switch_stack(&from->stack_pointer, to->stack_pointer);
#ifdef EMULATED_ASAN
  __sanitizer_finish_switch_fiber(from->asan_fake_stack, nullptr, nullptr);
#endif
}

void entered_fibre() {
#ifdef EMULATED_ASAN
  __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
}

void adopt_host_thread([[maybe_unused]] Fibre* fibre) {
#ifdef EMULATED_ASAN
  // Asked for once a thread: for the main thread the C library reads /proc/self/maps.
  static thread_local void* bottom = nullptr;
  static thread_local size_t size = 0;
  if (bottom == nullptr) {
    pthread_attr_t attributes;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &bottom, &size);
    pthread_attr_destroy(&attributes);
  }
  fibre->bottom = bottom;
  fibre->size = size;
#endif
#ifdef EMULATED_TSAN
  fibre->tsan_fibre = __tsan_get_current_fiber();
#endif
}

}  // namespace emulated
