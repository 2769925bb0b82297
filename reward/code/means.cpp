#include "reward/code/means.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/check.h"
#include "core/json.h"
#include "core/text.h"
#include "reward/code/landlock.h"
#include "reward/code/probes.h"
#include "reward/code/run_sandbox.h"
#include "reward/code/spawn.h"
#include "reward/code/tree_memory.h"

namespace cohort {
namespace {

constexpr const char* kUserRemedy =
    "allow unprivileged user namespaces: sysctl user.max_user_namespaces=15000, on Debian "
    "kernel.unprivileged_userns_clone=1, on Ubuntu "
    "kernel.apparmor_restrict_unprivileged_userns=0; in a container: docker run --security-opt seccomp=unconfined "
    "--security-opt "
    "apparmor=unconfined --security-opt systempaths=unconfined";

struct Namespace {
  const char* name;
  int flag;
};
constexpr Namespace kNamespaces[] = {{"pid namespace", CLONE_NEWPID},  {"network namespace", CLONE_NEWNET},
                                     {"mount namespace", CLONE_NEWNS}, {"ipc namespace", CLONE_NEWIPC},
                                     {"uts namespace", CLONE_NEWUTS},  {"cgroup namespace", CLONE_NEWCGROUP}};

// Whether a child can be made with these flags: 0, or errno.
int try_clone(int flags) {
  const long child = syscall(SYS_clone, flags | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (child == 0) _exit(0);
  if (child < 0) return errno;
  while (waitpid(static_cast<pid_t>(child), nullptr, 0) < 0 && errno == EINTR) {
  }
  return 0;
}

Means namespace_row(const char* name, int flags) {
  const int error = try_clone(flags);
  return {name, error == 0, true, error == 0 ? "works" : std::strerror(error), error == 0 ? "" : kUserRemedy};
}

}  // namespace

std::vector<Means> examine_means(const std::vector<sock_filter>& filter, const std::string& error, const WorkerGroup* group,
                                 const std::string& group_found) {
  std::vector<Means> rows;
  rows.push_back({"unprivileged user", error.empty() && getuid() != 0, true,
                  error.empty() ? fmt::format("user {}", getuid()) : error,
                  error.empty() ? "" : "start cohort as an ordinary user, or as a root that may change to one"});
  rows.push_back(namespace_row("user namespace", CLONE_NEWUSER));
  for (const Namespace& kind : kNamespaces) rows.push_back(namespace_row(kind.name, CLONE_NEWUSER | kind.flag));
  const bool filtered = prctl_seccomp_filter_known();
  rows.push_back({"seccomp filters", filtered, true,
                  filtered ? fmt::format("{} instructions", filter.size()) : "the kernel has none",
                  filtered ? "" : "a kernel with CONFIG_SECCOMP_FILTER"});
  const std::string unseen = unseen_trees();
  rows.push_back({"memory of a tree", unseen.empty(), true, unseen.empty() ? "/proc/PID/task/TID/children" : unseen,
                  unseen.empty() ? "" : "mount /proc without hidepid; a kernel with CONFIG_PROC_CHILDREN"});
  const int landlock = landlock_version();
  rows.push_back({"Landlock", landlock > 0, false,
                  landlock > 0 ? fmt::format("version {}", landlock) : "absent: one fence less",
                  landlock > 0 ? "" : "a kernel from 5.13 on, started with lsm=landlock,..."});
  rows.push_back({"control group", group != nullptr, false, group_found,
                  group != nullptr ? "" : "delegate one with the controllers memory and pids, docs/sandbox.md; it is one limit more"});
  const bool possible = std::ranges::all_of(rows, [](const Means& row) { return row.present || !row.required; });
  if (!possible) return rows;

  SandboxRequest request;
  request.program.command = {kProbeCommand};
  request.program.limits.seconds = 5;
  const SandboxResult result = run_sandbox(request, filter, -1, group);
  const std::string said = result.error.empty()
                               ? fmt::format("{} {}", sandbox_end_name(result.program.end), result.program.status)
                               : result.error;
  const bool ran = result.error.empty() && result.program.end == SandboxEnd::exited && result.program.status == 0;
  rows.push_back({"a whole sandbox", ran, true, ran ? fmt::format("{:.1f} ms", 1e3 * result.program.seconds) : said,
                  ran ? "" : fmt::format("what the line says; in containers: {}", kUserRemedy)});
  if (ran)
    for (Means& row : read_probes(result.program.out)) rows.push_back(std::move(row));
  return rows;
}

std::string encode(const std::vector<Means>& means) {
  Json rows = Json::array();
  for (const Means& m : means) rows.push_back({m.name, m.present, m.required, m.found, m.remedy});
  return dump_json(rows);
}

std::vector<Means> decode_means(std::string_view text) {
  std::vector<Means> means;
  const Json rows = parse_json(text, "the sandbox's means");
  for (const Json& row : rows) {
    CHECK_INPUT(row.is_array() && row.size() == 5 && row[0].is_string() && row[1].is_boolean() && row[2].is_boolean() &&
                    row[3].is_string() && row[4].is_string(),
                "the sandbox's means: a row of another form");
    means.push_back({row[0], row[1], row[2], row[3], row[4]});
  }
  return means;
}

std::string means_table(const std::vector<Means>& means) {
  std::string text;
  for (const Means& m : means) {
    text += fmt::format("  {:<8} {:<34} {}\n",
                        m.present    ? "ok"
                        : m.required ? "MISSING"
                                     : "absent",
                        m.name, printable(m.found));
    if (!m.present) text += fmt::format("  {:<8} {:<34} remedy: {}\n", "", "", m.remedy);
  }
  return text;
}

void require_means(const std::vector<Means>& means, std::string_view who) {
  std::string missing;
  for (const Means& m : means)
    if (m.required && !m.present) missing += fmt::format("\n  {} ({}); remedy: {}", m.name, m.found, m.remedy);
  CHECK_USAGE(missing.empty(),
              "{} runs programs only in a sandbox, and this machine lacks what it is made of:{}\n`cohort doctor "
              "--sandbox` shows all",
              who, missing);
  CHECK_USAGE(!means.empty(), "{}: the sandbox gave no account of itself", who);
}

}  // namespace cohort
