#include "reward/code/file_view.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>

#include "core/check.h"

namespace cohort {
namespace {

// The system's own, where it has them.
constexpr const char* kSystemPaths[] = {"/usr",
                                        "/bin",
                                        "/sbin",
                                        "/lib",
                                        "/lib32",
                                        "/lib64",
                                        "/libx32",
                                        "/etc/ld.so.cache",
                                        "/etc/alternatives",
                                        "/dev/null",
                                        "/dev/urandom",
                                        "/dev/random"};
constexpr std::string_view kReserved[] = {"/box", "/tmp", "/dev", "/dev/shm", "/proc", "/sys", "/host", "/scratch"};
// Where everything is put together; any folder that every system has does. It is covered in this namespace only.
constexpr const char* kBase = "/tmp";

void must(int result, const char* what, const std::string& path) {
  CHECK(result >= 0, "{} {}: {}", what, path, std::strerror(errno));
}

void make_folders(const std::string& path) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    const std::string folder = path.substr(0, slash);
    CHECK(mkdir(folder.c_str(), 0755) == 0 || errno == EEXIST, "mkdir {}: {}", folder, std::strerror(errno));
  }
}

// What is shown at `path`: a symbolic link as it is, else the folder or file that `source` names.
struct Shown {
  std::string path, source, link;
};

std::optional<Shown> look_at(const std::string& path, bool required) {
  struct stat info;
  if (lstat(path.c_str(), &info) != 0) {
    CHECK_USAGE(!required, "{} cannot be shown in the sandbox: {}", path, std::strerror(errno));
    return std::nullopt;
  }
  char buffer[PATH_MAX];
  if (S_ISLNK(info.st_mode) && !required) {
    const ssize_t size = readlink(path.c_str(), buffer, sizeof buffer);
    must(static_cast<int>(size), "readlink", path);
    return Shown{path, "", std::string(buffer, static_cast<size_t>(size))};
  }
  // Resolved now, since absolute links on the way would mean another place after pivot_root.
  CHECK_USAGE(realpath(path.c_str(), buffer) != nullptr, "{} cannot be shown in the sandbox: {}", path,
              std::strerror(errno));
  return Shown{path, buffer, ""};
}

void show(const Shown& shown) {
  make_folders(shown.path);
  if (!shown.link.empty()) {
    must(symlink(shown.link.c_str(), shown.path.c_str()), "symlink", shown.path);
    return;
  }
  const std::string source = "/host" + shown.source;
  struct stat info;
  must(stat(source.c_str(), &info), "stat", source);
  if (S_ISDIR(info.st_mode)) {
    CHECK(mkdir(shown.path.c_str(), 0755) == 0 || errno == EEXIST, "mkdir {}: {}", shown.path, std::strerror(errno));
  } else {
    const Fd file(open(shown.path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    must(file.get(), "create", shown.path);
  }
  must(mount(source.c_str(), shown.path.c_str(), nullptr, MS_BIND | MS_REC, nullptr), "bind", shown.path);
  const bool device = S_ISCHR(info.st_mode);
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_NOSUID | (device ? 0 : MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV);
  must(static_cast<int>(
           syscall(SYS_mount_setattr, AT_FDCWD, shown.path.c_str(), AT_RECURSIVE, &attributes, sizeof attributes)),
       "make read-only", shown.path);
}

void write_file(const SandboxFile& file) {
  CHECK_USAGE(is_plain_name(file.name), "'{}' is no plain file name", file.name);
  const std::string path = "/box/" + file.name;
  const Fd out(open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, file.executable ? 0755 : 0644));
  must(out.get(), "create", path);
  for (size_t done = 0; done < file.bytes.size();) {
    const ssize_t written = write(out.get(), file.bytes.data() + done, file.bytes.size() - done);
    must(static_cast<int>(std::min<ssize_t>(written, 1)), "write (limits.scratch_bytes too small?)", path);
    done += static_cast<size_t>(written);
  }
}

void mount_scratch(int64_t bytes) {
  const std::string options = fmt::format("size={},nr_inodes=8192,mode=0755", bytes);
  make_folders("/dev/shm/");
  must(mkdir("/scratch", 0755), "mkdir", "/scratch");
  must(mount("tmpfs", "/scratch", "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()), "mount tmpfs", "/scratch");
  constexpr std::pair<const char*, const char*> kPlaces[] = {
      {"/scratch/box", "/box"}, {"/scratch/tmp", "/tmp"}, {"/scratch/shm", "/dev/shm"}};
  for (const auto& [folder, place] : kPlaces) {
    must(mkdir(folder, 0755), "mkdir", folder);
    CHECK(mkdir(place, 0755) == 0 || errno == EEXIST, "mkdir {}: {}", place, std::strerror(errno));
    must(mount(folder, place, nullptr, MS_BIND, nullptr), "bind", place);
  }
  must(umount2("/scratch", MNT_DETACH), "umount", "/scratch");
  must(rmdir("/scratch"), "rmdir", "/scratch");
}

}  // namespace

bool is_plain_name(const std::string& name) {
  return !name.empty() && name.size() < 200 && name != "." && name != ".." &&
         name.find_first_of(std::string("/\0", 2)) == std::string::npos;
}

Fd enter_file_view(const SandboxProgram& program) {
  std::vector<Shown> all;
  for (const char* path : kSystemPaths)
    if (const auto shown = look_at(path, false)) all.push_back(*shown);
  for (const std::string& path : program.binds) {
    CHECK_USAGE(
        path.starts_with('/') && path.size() > 1 && !path.ends_with('/') && path.find("/..") == std::string::npos,
        "'{}' cannot be shown in the sandbox: allowed are absolute paths without .. and without / at the end", path);
    CHECK_USAGE(std::ranges::find(kReserved, path) == std::end(kReserved),
                "'{}' cannot be shown in the sandbox: it has its own, or none", path);
    all.push_back(*look_at(path, true));
  }

  umask(022);
  must(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "make private", "/");
  must(mount("tmpfs", kBase, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,nr_inodes=1024,mode=0755"), "mount tmpfs", kBase);
  must(chdir(kBase), "chdir", kBase);
  must(mkdir("host", 0755), "mkdir", "host");
  must(static_cast<int>(syscall(SYS_pivot_root, ".", "host")), "pivot_root", kBase);
  must(chdir("/"), "chdir", "/");
  mount_scratch(program.limits.scratch_bytes);  // first, as a bind may lie below /tmp
  for (const Shown& shown : all) show(shown);
  must(umount2("/host", MNT_DETACH), "umount", "the host's root");
  must(rmdir("/host"), "rmdir", "/host");
  mount_attr read_only{};
  read_only.attr_set = MOUNT_ATTR_RDONLY;
  must(static_cast<int>(syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, &read_only, sizeof read_only)), "make read-only",
       "/");

  for (const SandboxFile& file : program.files) write_file(file);
  must(chdir("/box"), "chdir", "/box");
  Fd work(open("/box", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  must(work.get(), "open", "/box");
  return work;
}

std::optional<SandboxFile> take_file(int folder, const std::string& name, int64_t max_bytes) {
  if (!is_plain_name(name)) return std::nullopt;
  const Fd in(openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  struct stat info;
  if (!in || fstat(in.get(), &info) != 0 || !S_ISREG(info.st_mode) || info.st_size > max_bytes) return std::nullopt;
  SandboxFile file{name, std::string(static_cast<size_t>(info.st_size), '\0'), (info.st_mode & 0111) != 0};
  for (size_t done = 0; done < file.bytes.size();) {
    const ssize_t got = read(in.get(), file.bytes.data() + done, file.bytes.size() - done);
    if (got <= 0) return std::nullopt;
    done += static_cast<size_t>(got);
  }
  return file;
}

}  // namespace cohort
