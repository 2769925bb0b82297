#include "core/memory_reserve.h"

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <string_view>

#include "core/check.h"

namespace cohort {
namespace {

constexpr size_t kStart = size_t{2} << 20;     // static objects take less
constexpr size_t kReserve = size_t{256} << 10;  // several exceptions with their messages
std::atomic<void*> reserve{nullptr};

void give_back() {
  std::free(reserve.exchange(nullptr));
  throw std::bad_alloc();
}

}  // namespace

void reserve_memory() {
  reserve = std::malloc(kStart);
  if (reserve != nullptr) {
    std::free(reserve.exchange(nullptr));
    reserve = std::malloc(kReserve);
    std::set_new_handler(give_back);
    return;
  }
  constexpr std::string_view kMessage = "cohort: error: this process may take too little memory to start (ulimit -v)\n";
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, kMessage.data(), kMessage.size());
  _exit(static_cast<int>(ExitCode::kResources));
}

}  // namespace cohort
