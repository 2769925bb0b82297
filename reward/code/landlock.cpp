#include "reward/code/landlock.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "core/fd.h"

namespace cohort {
namespace {

// From the kernel's include/uapi/linux/landlock.h; Debian 12's copy stops at version 2.
struct RulesetAttributes {
  uint64_t handled_access_fs, handled_access_net, scoped;
};
struct __attribute__((packed)) PathBeneath {
  uint64_t allowed_access;
  int32_t parent_fd;
};
constexpr int kPathBeneath = 1;
constexpr uint64_t kExecute = 1, kWriteFile = 2, kReadFile = 4, kReadDir = 8, kMakeChar = 64, kMakeSock = 512,
                   kMakeBlock = 2048;
constexpr uint64_t kFirst = (1 << 13) - 1, kRefer = 1 << 13, kTruncate = 1 << 14, kIoctlDevice = 1 << 15;
constexpr uint64_t kBindTcp = 1, kConnectTcp = 2;
constexpr uint64_t kScopeAbstractSockets = 1, kScopeSignals = 2;

bool allow(int ruleset, const char* path, uint64_t access) {
  const Fd place(open(path, O_PATH | O_CLOEXEC));
  if (!place) return errno == ENOENT;
  const PathBeneath rule{access, place.get()};
  return syscall(SYS_landlock_add_rule, ruleset, kPathBeneath, &rule, 0) == 0;
}

}  // namespace

int landlock_version() {
  const long version = syscall(SYS_landlock_create_ruleset, nullptr, 0, 1);
  return version < 0 ? 0 : static_cast<int>(version);
}

bool install_landlock() {
  const int version = landlock_version();
  if (version == 0) return true;
  RulesetAttributes attributes{kFirst, 0, 0};
  if (version >= 2) attributes.handled_access_fs |= kRefer;
  if (version >= 3) attributes.handled_access_fs |= kTruncate;
  if (version >= 4) attributes.handled_access_net = kBindTcp | kConnectTcp;
  if (version >= 5) attributes.handled_access_fs |= kIoctlDevice;
  if (version >= 6) attributes.scoped = kScopeAbstractSockets | kScopeSignals;
  const size_t size = version >= 6 ? 24 : version >= 4 ? 16 : 8;
  const Fd ruleset(static_cast<int>(syscall(SYS_landlock_create_ruleset, &attributes, size, 0)));
  if (!ruleset) return false;
  const uint64_t scratch = attributes.handled_access_fs & ~(kMakeChar | kMakeBlock | kMakeSock | kIoctlDevice);
  if (!allow(ruleset.get(), "/", kExecute | kReadFile | kReadDir)) return false;
  for (const char* folder : {"/box", "/tmp", "/dev/shm"})
    if (!allow(ruleset.get(), folder, scratch)) return false;
  if (!allow(ruleset.get(), "/dev/null", kReadFile | kWriteFile | (attributes.handled_access_fs & kTruncate)))
    return false;
  return syscall(SYS_landlock_restrict_self, ruleset.get(), 0) == 0;
}

}  // namespace cohort
