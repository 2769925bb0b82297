#include "comm/signals.h"

#include <atomic>

#include "core/check.h"

namespace cohort {
namespace {

// A handler gets no context argument, so its flag has to be static.
std::atomic<bool> flag{false};
std::atomic<bool> installed{false};
static_assert(std::atomic<bool>::is_always_lock_free,
              "signal handlers may only touch lock-free atomics");

void ask(int) { flag = true; }

void install(int signal, int flags, struct sigaction& earlier) {
  struct sigaction action = {};
  action.sa_handler = ask;
  action.sa_flags = SA_RESTART | flags;
  sigemptyset(&action.sa_mask);
  CHECK(sigaction(signal, &action, &earlier) == 0, "no handler for signal {}", signal);
}

}  // namespace

StopSignals::StopSignals(CtrlC ctrl_c) : ctrl_c_(ctrl_c) {
  CHECK(!installed.exchange(true), "the handlers of SIGUSR1 and SIGTERM are installed already");
  flag = false;
  install(SIGUSR1, 0, earlier_usr1_);
  // The kernel itself puts the default back on delivery: no window in which a second SIGTERM is
  // swallowed.
  install(SIGTERM, static_cast<int>(SA_RESETHAND), earlier_term_);
  if (ctrl_c_ == CtrlC::ends) return;
  install(SIGINT, static_cast<int>(SA_RESETHAND), earlier_int_);
  // A shell that put the process into the background has it ignore Ctrl-C.
  if (earlier_int_.sa_handler == SIG_IGN) sigaction(SIGINT, &earlier_int_, nullptr);
}

StopSignals::~StopSignals() {
  // A request that comes when the work is done and saved, while the process ends, must not kill it.
  if (earlier_usr1_.sa_handler == SIG_DFL) earlier_usr1_.sa_handler = SIG_IGN;
  sigaction(SIGUSR1, &earlier_usr1_, nullptr);
  sigaction(SIGTERM, &earlier_term_, nullptr);
  if (ctrl_c_ == CtrlC::asks) sigaction(SIGINT, &earlier_int_, nullptr);
  installed = false;
}

bool StopSignals::requested() const { return flag; }

}  // namespace cohort
