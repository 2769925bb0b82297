#include "comm/mpi_start.h"

#include <fmt/format.h>
#include <mpi.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "comm/environment.h"
#include "comm/launch.h"
#include "comm/mpi_check.h"
#include "comm/watchdog.h"
#include "core/check.h"

namespace cohort {
namespace {

constexpr unsigned kAbortSeconds = 10;

// Open MPI parameters for the length of MPI_Init. What the user has set, in the environment or on
// mpirun's command line (which ends up there), stays.
class OpenMpiDefaults {
 public:
  ~OpenMpiDefaults() {
    for (const std::string& name : set_) unsetenv(name.c_str());
  }
  void set(const std::string& parameter, const char* value) {
    const std::string name = "OMPI_MCA_" + parameter;
    if (std::getenv(name.c_str()) != nullptr) return;
    setenv(name.c_str(), value, 1);
    set_.push_back(name);
  }

 private:
  std::vector<std::string> set_;
};

// Watches a call that has no deadline of its own; ends the process when it does not return.
class Limit {
 public:
  Limit(const char* call, std::chrono::milliseconds limit)
      : watchdog_("", [=](const std::string&) {
          const std::string line = fmt::format(
              "cohort: error: {} did not return within {:.4g} s: another rank hangs or never "
              "came\n",
              call, std::chrono::duration<double>(limit).count());
          std::fwrite(line.data(), 1, line.size(), stderr);
          std::_Exit(static_cast<int>(ExitCode::kRankFailed));
        }) {
    watchdog_.enter(call, 0, limit);
  }

 private:
  Watchdog watchdog_;
};

// For the handler, which gets no context.
std::atomic<int> abort_code;
void give_up(int) { _exit(abort_code); }

}  // namespace

void start_mpi(std::chrono::milliseconds limit) {
  int initialized = 0;
  CHECK_MPI(MPI_Initialized(&initialized));
  CHECK(!initialized,
        "MPI is initialised already; a process makes one MPI communicator in its life");
  OpenMpiDefaults defaults;
  // Shared memory needs no search for fast networks, which takes 0.2 s of the start.
  if (launched_on_one_host([](const char* name) { return std::getenv(name); }))
    defaults.set("pml", "ob1");
  if (!may_read_processes()) defaults.set("btl_vader_single_copy_mechanism", "none");

  const Limit watched("MPI_Init", limit);
  int provided = 0;
  CHECK_MPI(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided));
  CHECK(provided >= MPI_THREAD_FUNNELED,
        "this MPI offers thread level {}, and cohort needs MPI_THREAD_FUNNELED ({})", provided,
        MPI_THREAD_FUNNELED);
  CHECK_MPI(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
}

void finish_mpi(std::chrono::milliseconds limit) {
  const Limit watched("MPI_Finalize", limit);
  CHECK_MPI(MPI_Finalize());
}

void abort_mpi(int exit_code) {
  abort_code = exit_code;
  struct sigaction action = {};
  action.sa_handler = give_up;
  sigemptyset(&action.sa_mask);
  sigaction(SIGALRM, &action, nullptr);
  alarm(kAbortSeconds);
  MPI_Abort(MPI_COMM_WORLD, exit_code);
  _exit(exit_code);
}

}  // namespace cohort
