#include "reward/code/control_group.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <vector>

#include "core/check.h"
#include "core/clock.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPrefix = "cohort-";
constexpr int64_t kOverhead = 32 << 20;  // what the kernel itself counts for a run: page tables, pipes, the file view
constexpr auto kRemoveTime = std::chrono::seconds(1);

std::string read_file_text(const std::string& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// One write, as the kernel wants it. False: refused, and errno says why.
bool write_text(const std::string& path, const std::string& text) {
  const Fd file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return file && write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

void must_write(const std::string& path, const std::string& text) {
  CHECK(write_text(path, text), "{}: {}", path, std::strerror(errno));
}

void must_make(const std::string& folder) {
  CHECK(mkdir(folder.c_str(), 0755) == 0, "{}: {}", folder, std::strerror(errno));
}

bool has_word(const std::string& text, std::string_view word) {
  std::istringstream in(text);
  for (std::string found; in >> found;)
    if (found == word) return true;
  return false;
}

// The folder of this process's own group in version 2, and where that hierarchy is mounted; nothing without one.
struct OwnGroup {
  fs::path mount, folder;
};
std::optional<OwnGroup> own_group(const fs::path& mounts, const fs::path& self) {
  std::string path;
  std::ifstream groups(self);
  for (std::string line; std::getline(groups, line);)
    if (line.starts_with("0::/")) path = line.substr(3);
  if (path.empty() || path.find("/..") != std::string::npos) return std::nullopt;  // outside of what this container sees
  std::ifstream in(mounts);
  for (std::string line; std::getline(in, line);) {  // ID PARENT MAJOR:MINOR ROOT MOUNT OPTIONS [FIELDS] - TYPE SOURCE OPTIONS
    const size_t dash = line.find(" - cgroup2 ");
    if (dash == std::string::npos) continue;
    std::istringstream fields(line);
    std::string skip, root, mount;
    fields >> skip >> skip >> skip >> root >> mount;
    const fs::path below = fs::path(path).lexically_relative(root);
    if (below.empty() || below.begin()->string() == "..") continue;
    return OwnGroup{mount, below == "." ? fs::path(mount) : mount / below};
  }
  return std::nullopt;
}

bool may_use(const fs::path& folder) {
  const std::string controllers = read_file_text(folder / "cgroup.subtree_control");
  return has_word(controllers, "memory") && has_word(controllers, "pids") && access(folder.c_str(), W_OK) == 0 &&
         access((folder / "cgroup.procs").c_str(), W_OK) == 0;
}

// Ticks from the start of the machine to that of a process; nothing where it is not shown.
std::optional<std::string> start_of(const std::string& process) {
  const std::string stat = read_file_text("/proc/" + process + "/stat");
  const size_t name = stat.rfind(')');  // the name of a program may hold anything
  if (name == std::string::npos) return std::nullopt;
  std::istringstream fields(stat.substr(name + 1));
  std::string field;
  for (int i = 3; i <= 22; ++i) fields >> field;
  return fields ? std::optional(field) : std::nullopt;
}

std::string group_name(pid_t worker, const std::string& start) { return fmt::format("{}{}-{}", kPrefix, worker, start); }

// Whether the process that a group is named after is there. What has no such name is not ours to judge.
bool owner_lives(const std::string& name) {
  int64_t pid = 0;
  char start[24] = {};
  if (std::sscanf(name.c_str(), "cohort-%" SCNd64 "-%23[0-9]", &pid, start) != 2 || pid <= 0) return true;
  if (kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH) return false;
  const std::optional<std::string> now = start_of(std::to_string(pid));
  return !now || *now == start;  // not shown (hidepid): somebody has that number
}

// From below: a group can be removed when it has none below it and no living process.
bool remove_tree(const std::string& folder) {
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(opendir(folder.c_str()), closedir);
  while (const dirent* entry = entries ? readdir(entries.get()) : nullptr)
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') remove_tree(folder + "/" + entry->d_name);
  return rmdir(folder.c_str()) == 0 || errno == ENOENT;
}

// Folders of a place whose names begin so.
std::vector<std::string> groups_in(const GroupPlace& place, std::string_view beginning) {
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(opendir(place.folder.c_str()), closedir);
  std::vector<std::string> found;
  while (const dirent* entry = entries ? readdir(entries.get()) : nullptr)
    if (std::string_view(entry->d_name).starts_with(beginning)) found.push_back(place.folder + "/" + entry->d_name);
  return found;
}

}  // namespace

GroupPlace find_group_place(const fs::path& mounts, const fs::path& self) {
  const std::optional<OwnGroup> own = own_group(mounts, self);
  if (!own) return {"", "no cgroup of version 2"};
  if (may_use(own->folder)) return {own->folder, own->folder};
  if (own->folder != own->mount && may_use(own->folder.parent_path())) return {own->folder.parent_path(), own->folder.parent_path()};
  return {"", fmt::format("{} and the group above have no controllers memory and pids for this user", own->folder.string())};
}

WorkerGroup::WorkerGroup(const GroupPlace& place, std::span<const unsigned> users) {
  const std::optional<std::string> start = start_of("self");
  CHECK(start, "/proc/self/stat does not say when this process began");
  folder_ = fmt::format("{}/{}", place.folder, group_name(getpid(), *start));
  must_make(folder_);
  try {
    const std::string leaf = folder_ + "/worker";
    must_make(leaf);
    must_write(leaf + "/cgroup.procs", std::to_string(getpid()));
    must_write(folder_ + "/cgroup.subtree_control", "+memory +pids");
    const auto hand_over = [&](unsigned user) {
      for (const std::string& path : {folder_, folder_ + "/cgroup.procs", leaf + "/cgroup.procs"})
        if (chown(path.c_str(), user, user) != 0) return false;
      return true;
    };
    CHECK(users.empty() || std::ranges::any_of(users, hand_over), "{}: chown: {}", folder_, std::strerror(errno));
  } catch (...) {  // this process stays in its leaf, if it got there; whoever waits for it removes that
    remove_tree(folder_);
    throw;
  }
}

void remove_worker_group(const GroupPlace& place, pid_t worker) {
  if (place.folder.empty()) return;
  for (const std::string& folder : groups_in(place, group_name(worker, ""))) {
    write_text(folder + "/cgroup.kill", "1");
    // Its last run may be dying.
    for (const Clock::time_point end = Clock::now() + kRemoveTime; !remove_tree(folder) && Clock::now() < end;) usleep(1000);
  }
}

void remove_dead_groups(const GroupPlace& place) {
  if (place.folder.empty()) return;
  for (const std::string& folder : groups_in(place, kPrefix))
    if (!owner_lives(fs::path(folder).filename()) && read_file_text(folder + "/cgroup.events").find("populated 1") == std::string::npos)
      remove_tree(folder);
}

RunGroup::RunGroup(const WorkerGroup& worker, const SandboxLimits& limits) {
  static int64_t number = 0;  // of this worker's runs
  folder_ = fmt::format("{}/run-{}", worker.folder(), number++);
  must_make(folder_);
  try {
    must_write(folder_ + "/memory.max", std::to_string(limits.memory_bytes + limits.scratch_bytes + kOverhead));
    write_text(folder_ + "/memory.swap.max", "0");   // not there without swap
    must_write(folder_ + "/memory.oom.group", "1");  // all of it or nothing: a run without its largest process means nothing
    must_write(folder_ + "/pids.max", std::to_string(limits.processes + 1));  // the init counts
    fd_ = Fd(open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    CHECK(fd_, "{}: {}", folder_, std::strerror(errno));
  } catch (...) {
    rmdir(folder_.c_str());
    throw;
  }
}

RunGroup::~RunGroup() { rmdir(folder_.c_str()); }

void RunGroup::kill() const { write_text(folder_ + "/cgroup.kill", "1"); }

void try_group(const WorkerGroup& worker) {
  const RunGroup group(worker, {});
  clone_args args{};
  args.flags = CLONE_INTO_CGROUP;
  args.exit_signal = SIGCHLD;
  args.cgroup = static_cast<uint64_t>(group.fd());
  const long child = syscall(SYS_clone3, &args, sizeof args);
  if (child == 0) _exit(0);
  CHECK(child > 0, "a process in a group of its own: {}", std::strerror(errno));
  while (waitpid(static_cast<pid_t>(child), nullptr, 0) < 0 && errno == EINTR) {
  }
}

bool RunGroup::ran_out_of_memory() const {
  std::istringstream events(read_file_text(folder_ + "/memory.events"));
  int64_t count = 0;
  for (std::string key; events >> key >> count;)
    if (key == "oom_kill") return count > 0;
  return false;
}

}  // namespace cohort
