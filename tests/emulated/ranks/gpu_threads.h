// Ranks as threads, each with an (emulated) GPU of its own and NCCL between them.
#pragma once

#include <emulator/settings.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <string>

#include "comm/nccl.h"
#include "tests/emulated/ranks/gpu_memory.h"
#include "tests/trainer/thread_comm.h"

namespace cohort {

// Streams whose work runs at once, when it is waited for, and in any order that events allow.
inline const char* const kStreamOrders[] = {"streams=eager", "streams=lazy", "streams=random:1", "streams=random:2,implicit_waits=0",
                                            "streams=lazy,implicit_waits=0"};

class GpuThreads : public testing::Test {
 protected:
  GpuThreads() {
    setenv("NCCL_DEBUG", "WARN", 0);  // else each rank would, and the environment belongs to all threads
    settings("");
  }
  ~GpuThreads() override { settings(""); }
  static void settings(const std::string& text) { emulated::set_settings(emulated::parse_settings(text)); }

  static void on_ranks(int ranks, const std::function<void(Comm&, DeviceComm&)>& body,
                       std::chrono::milliseconds deadline = std::chrono::minutes(2)) {
    run_on_threads(ranks, [&](Comm& host) {
      choose_gpu(host);
      const auto comm = make_nccl_comm(host, {.deadline = deadline});
      body(host, *comm);
    });
  }
};

}  // namespace cohort
