#include "reward/code/worker.h"

#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <vector>

#include "core/check.h"
#include "reward/code/means.h"
#include "reward/code/run_sandbox.h"
#include "reward/code/syscall_filter.h"
#include "reward/code/wire.h"

namespace cohort {
namespace {

// Behind every range that Debian, systemd or container tools give out, and below 2^31, which some tools cannot read.
// With the worker's process number added it belongs to this worker alone.
constexpr unsigned kFirstUser = 1'900'000'000;
// `nobody`, where a container knows only the first 65536 users.
constexpr unsigned kNobody = 65534;

void become(unsigned user) {
  if (setresgid(user, user, user) != 0 || setresuid(user, user, user) != 0)
    fail(ExitCode::kInternal, "root cannot become user {}: {}", user, std::strerror(errno));
}

unsigned own_user() { return kFirstUser + static_cast<unsigned>(getpid()); }

// While this process may still hand it over.
std::optional<WorkerGroup> make_group(const GroupPlace& place, std::string& found) {
  found = place.found;
  if (place.folder.empty()) return std::nullopt;
  try {
    const bool root = geteuid() == 0 || getuid() == 0;
    return WorkerGroup(place, root ? std::vector<unsigned>{own_user(), kNobody} : std::vector<unsigned>());
  } catch (const std::exception& error) {
    found = error.what();
    return std::nullopt;
  }
}

void give_up_root() {
  if (geteuid() != 0 && getuid() != 0) return;
  if (setgroups(0, nullptr) != 0) fail(ExitCode::kInternal, "setgroups: {}", std::strerror(errno));
  try {
    become(own_user());
  } catch (const Error&) {
    become(kNobody);
  }
  CHECK(setuid(0) != 0 && getuid() != 0, "root could not be given up");
}

constexpr auto kForever = Clock::time_point::max() - std::chrono::hours(1);
constexpr auto kAnswerTime = std::chrono::seconds(30);  // for the other side to take an answer

}  // namespace

void run_worker(int socket, pid_t parent, const GroupPlace& place) {
  std::string error, group_found;
  std::vector<sock_filter> filter;
  std::optional<WorkerGroup> group = make_group(place, group_found);
  try {
    give_up_root();
    filter = build_syscall_filter();
  } catch (const std::exception& e) {
    error = e.what();
  }
  try {
    if (group) try_group(*group);
  } catch (const std::exception& e) {
    group.reset();
    group_found = e.what();
  }
  // After the change of user, which takes it away.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(0);
  prctl(PR_SET_DUMPABLE, 0);
  while (const auto bytes = receive_message(socket, kForever)) {
    SandboxResult result;
    const auto request = decode_request(*bytes);
    if (!request)
      result.error = "a request that cannot be read";
    else if (request->program.command == std::vector<std::string>{kExamineCommand})
      result.program.out = encode(examine_means(filter, error, group ? &*group : nullptr, group_found));
    else if (!error.empty())
      result.error = error;
    else
      result = run_sandbox(*request, filter, socket, group ? &*group : nullptr);
    if (!send_message(socket, encode(result), Clock::now() + kAnswerTime)) break;
  }
  _exit(0);
}

}  // namespace cohort
