#include "model/ops/instruction_sets.h"

#include "model/cpu/tiles.h"

namespace cohort {
namespace {

#ifdef __AVX2__
constexpr bool kAvx2 = true;
#else
constexpr bool kAvx2 = false;
#endif
#ifdef __FMA__
constexpr bool kFma = true;
#else
constexpr bool kFma = false;
#endif
#ifdef __AVX512F__
constexpr bool kAvx512f = true;
#else
constexpr bool kAvx512f = false;
#endif
#ifdef __AVX512BW__
constexpr bool kAvx512bw = true;
#else
constexpr bool kAvx512bw = false;
#endif
#ifdef __AVX512DQ__
constexpr bool kAvx512dq = true;
#else
constexpr bool kAvx512dq = false;
#endif
#ifdef __AVX512VL__
constexpr bool kAvx512vl = true;
#else
constexpr bool kAvx512vl = false;
#endif
#ifdef __AVX512BF16__
constexpr bool kAvx512bf16 = true;
#else
constexpr bool kAvx512bf16 = false;
#endif

#if defined(COHORT_TILES)
constexpr int kTiles = COHORT_TILES;
#else
constexpr int kTiles = 0;
#endif

}  // namespace

const InstructionSets kKernelInstructionSets = {kAvx2,     kFma,      kAvx512f,   kAvx512bw,
                                                kAvx512dq, kAvx512vl, kAvx512bf16, kTiles == 1, kTiles == 2};

}  // namespace cohort
