// Warp collectives: shuffles, votes, __syncwarp and the PTX instructions in which a whole warp takes part.
#include "block.h"
#include "sanitizers.h"

namespace emulated {

void warp_collective(unsigned mask, Collective compute, void* argument, const char* what, const char* file, int line,
                     bool orders_memory) {
  auto* me = static_cast<BlockThread*>(current_thread);
  Warp& warp = block.warps[me->warp];
  mask &= warp.present;
  if ((mask >> me->lane & 1) == 0)
    kernel_fault("%s at %s:%d: the calling lane is not in mask %08x", what, file, line, mask);
  Meeting* meeting = nullptr;
  for (Meeting& m : warp.meetings)
    if (m.arrived != 0 && m.mask == mask) meeting = &m;
  if (meeting == nullptr) {
    for (Meeting& m : warp.meetings) {
      if (m.arrived != 0) continue;
      meeting = &m;
      m.mask = mask;
      m.compute = compute;
      break;
    }
  }
  if (meeting == nullptr) kernel_fault("%s at %s:%d: too many divergent parts of a warp", what, file, line);
  if (meeting->compute != compute)
    kernel_fault("%s at %s:%d: other lanes of mask %08x wait at another collective", what, file, line, mask);

  meeting->arguments[me->lane] = argument;
  meeting->arrived |= 1u << me->lane;
  char* sync = &meeting->sync[meeting->epoch % 64];
  if (orders_memory) release(sync);
  if (meeting->arrived == mask) {
    if (orders_memory) acquire(sync);
    meeting->arrived = 0;
    ++meeting->epoch;
    hide_accesses();
    compute(meeting->arguments, mask);
    show_accesses();
    if (orders_memory) release(sync);
    for (unsigned lane = 0; lane < 32; ++lane)
      if ((mask >> lane & 1) && lane != me->lane) block.threads[me->warp * 32 + lane].state = ThreadState::ready;
    return;
  }
  me->state = ThreadState::in_collective;
  me->what = what;
  me->file = file;
  me->line = line;
  me->mask = mask;
  wait_for_turn(me);
  if (orders_memory) acquire(sync);
}

}  // namespace emulated
