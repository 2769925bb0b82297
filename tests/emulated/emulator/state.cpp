// Settings, errors and counts of the emulated runtime (state.h).
#include "state.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <sched.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <string>

#include "memory.h"
#include "sanitizers.h"
#include "streams.h"

namespace emulated {

Counts totals{};
uint64_t launch_count = 0, malloc_count = 0, nccl_count = 0, capture_count = 0, instantiate_count = 0, graph_launch_count = 0;

namespace {

Settings from_environment() {
  const char* text = std::getenv("EMULATED_CUDA");
  return text != nullptr ? parse_settings(text) : Settings{};
}

struct State {
  Settings settings = from_environment();
  std::mt19937_64 order{settings.order_seed}, streams{settings.streams_seed};
  std::mutex mutex;
  cudaError_t broken = cudaSuccess;
  std::map<const void*, std::string> names;
};
// Never destroyed: a helper thread may outlive the main one.
State& state() {
  static State& only = *new State;
  return only;
}

thread_local cudaError_t last_error = cudaSuccess;
thread_local int device = 0;

}  // namespace

const Settings& current_settings() { return state().settings; }
Settings settings() { return state().settings; }
const char* flavour() { return kAsan ? "asan" : kTsan ? "tsan" : "plain"; }
Counts counts() { return totals; }
std::mutex& runtime_mutex() { return state().mutex; }

void set_settings(const Settings& settings) {
  const std::lock_guard lock(runtime_mutex());
  if (!device_broken()) {
    wait_for_all_streams();
    check_freed();
  }
  if (settings.fence != state().settings.fence) set_fence(settings.fence);
  state().settings = settings;
  state().order.seed(settings.order_seed);
  state().streams.seed(settings.streams_seed);
  state().broken = cudaSuccess;
  launch_count = malloc_count = nccl_count = capture_count = instantiate_count = graph_launch_count = 0;
  last_error = cudaSuccess;
}

void shuffle(std::vector<unsigned>& order) {
  if (state().settings.order == Order::random) std::shuffle(order.begin(), order.end(), state().order);
}
size_t draw_stream(size_t limit) { return state().streams() % limit; }

void pause_for_others() {
  runtime_mutex().unlock();
  sched_yield();
  runtime_mutex().lock();
}

void set_last_error(cudaError_t error) { last_error = error; }
cudaError_t take_last_error() {
  const cudaError_t error = device_broken() ? state().broken : last_error;
  last_error = cudaSuccess;
  return error;
}
cudaError_t peek_last_error() { return device_broken() ? state().broken : last_error; }
void break_device(cudaError_t error) { state().broken = error; }
bool device_broken() { return state().broken != cudaSuccess; }

cudaError_t refusal() {
  if (state().settings.old_driver) return cudaErrorInsufficientDriver;
  if (state().settings.devices == 0) return cudaErrorNoDevice;
  return state().broken;
}

bool is_fault(uint64_t& count, uint64_t wanted) { return ++count == wanted; }

int current_device() { return device; }
void set_current_device(int chosen) { device = chosen; }

const char* kernel_name(const void* function) {
  std::string& name = state().names[function];
  if (name.empty()) {
    Dl_info info;
    if (dladdr(function, &info) != 0 && info.dli_sname != nullptr) {
      int status = 0;
      char* readable = abi::__cxa_demangle(info.dli_sname, nullptr, nullptr, &status);
      name = readable != nullptr ? readable : info.dli_sname;
      std::free(readable);
    } else {
      char text[32];
      std::snprintf(text, sizeof(text), "at %p", function);
      name = text;
    }
  }
  return name.c_str();
}

}  // namespace emulated
