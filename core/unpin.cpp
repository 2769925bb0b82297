#include "core/unpin.h"

#include <pthread.h>
#include <sched.h>

namespace cohort {
namespace {

cpu_set_t allowed_now() {
  cpu_set_t set;
  CPU_ZERO(&set);
  pthread_getaffinity_np(pthread_self(), sizeof set, &set);
  return set;
}

const cpu_set_t kAtStart = allowed_now();  // before main, and so before any thread is pinned

}  // namespace

void unpin_thread() {
  if (CPU_COUNT(&kAtStart) > 0) pthread_setaffinity_np(pthread_self(), sizeof kAtStart, &kAtStart);
}

}  // namespace cohort
