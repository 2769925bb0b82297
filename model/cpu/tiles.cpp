#include "model/cpu/tiles.h"

#include "core/check.h"
#include "model/ops/instruction_sets.h"

#if COHORT_TILES == 1
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace cohort {

#if COHORT_TILES == 1
namespace {

// Linux gives a program the tiles' state (8 KB a thread) when it asks for it, once for all threads.
bool ask_for_tiles() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM of asm/prctl.h
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace

bool tiles_granted() {
  static const bool granted = ask_for_tiles();
  return granted;
}
#else
bool tiles_granted() { return true; }
#endif

namespace tiles {

#if COHORT_TILES == 2

thread_local Emulated emulated;

Session::Session(const Layout& layout) { emulated.layout = layout; }
Session::~Session() = default;

#elif COHORT_TILES == 1

namespace {

// What LDTILECFG reads.
struct alignas(64) Configuration {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
};
static_assert(sizeof(Configuration) == 64);

}  // namespace

Session::Session(const Layout& layout) {
  CHECK_USAGE(tiles_granted(), "the system does not let this program use the processor's tile registers (AMX)");
  Configuration c{.palette = 1};
  for (int t = 0; t < 8; ++t) {
    c.rows[t] = static_cast<uint8_t>(layout.rows[t]);
    c.row_bytes[t] = static_cast<uint16_t>(4 * layout.lanes[t]);
  }
  asm volatile("ldtilecfg %0" ::"m"(c));
}
// In their first state tiles cost a context switch nothing.
Session::~Session() { asm volatile("tilerelease"); }

#endif

}  // namespace tiles
}  // namespace cohort
