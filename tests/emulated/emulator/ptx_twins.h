// The emulated twins of ptx.cuh, by the PTX manual's fragment layouts (written out there). In a header, so that the
// sanitizers see what ldmatrix reads.
#pragma once

#include <bit>
#include <cstdint>

#include "device.h"
#include "sanitizers.h"

namespace emulated {

inline float half_of(uint32_t pair, int half) { return std::bit_cast<float>(half != 0 ? pair & 0xffff0000u : pair << 16); }

struct MmaLane {
  float* d;
  const uint32_t *a, *b;
  const float* c;
};

inline void compute_mma(void** lanes, unsigned mask) {
  if (mask != 0xffffffffu) kernel_fault("mma.sync by a part of a warp, mask %08x", mask);
  float a[16][16], b[16][8], d[16][8];
  for (int lane = 0; lane < 32; ++lane) {
    const MmaLane& own = *static_cast<MmaLane*>(lanes[lane]);
    const int group = lane / 4, pair = lane % 4 * 2;
    for (int half = 0; half < 2; ++half) {
      a[group][pair + half] = half_of(own.a[0], half);
      a[group + 8][pair + half] = half_of(own.a[1], half);
      a[group][pair + 8 + half] = half_of(own.a[2], half);
      a[group + 8][pair + 8 + half] = half_of(own.a[3], half);
      b[pair + half][group] = half_of(own.b[0], half);
      b[pair + 8 + half][group] = half_of(own.b[1], half);
      d[group][pair + half] = own.c[half];
      d[group + 8][pair + half] = own.c[2 + half];
    }
  }
  for (int row = 0; row < 16; ++row) {
    float sums[8] = {};
    for (int k = 0; k < 16; ++k)
      for (int column = 0; column < 8; ++column) sums[column] += a[row][k] * b[k][column];
    for (int column = 0; column < 8; ++column) d[row][column] += sums[column];
  }
  for (int lane = 0; lane < 32; ++lane) {
    const MmaLane& own = *static_cast<MmaLane*>(lanes[lane]);
    const int group = lane / 4, pair = lane % 4 * 2;
    for (int half = 0; half < 2; ++half) {
      own.d[half] = d[group][pair + half];
      own.d[2 + half] = d[group + 8][pair + half];
    }
  }
}

struct LdmatrixLane {
  uint32_t* r;
  const uint16_t* row;
};

template <bool kTranspose>
void compute_ldmatrix(void** lanes, unsigned mask) {
  if (mask != 0xffffffffu) kernel_fault("ldmatrix by a part of a warp, mask %08x", mask);
  for (int matrix = 0; matrix < 4; ++matrix) {
    uint16_t rows[8][8];
    for (int i = 0; i < 8; ++i) {
      const uint16_t* row = static_cast<LdmatrixLane*>(lanes[matrix * 8 + i])->row;
      if ((reinterpret_cast<uintptr_t>(row) & 15) != 0)
        kernel_fault("ldmatrix: lane %d gives a row not aligned to 16 bytes", matrix * 8 + i);
      show_accesses();
      for (int j = 0; j < 8; ++j) rows[i][j] = row[j];
      hide_accesses();
    }
    for (int lane = 0; lane < 32; ++lane) {
      const int i = lane / 4, j = lane % 4 * 2;
      const uint32_t low = kTranspose ? rows[j][i] : rows[i][j], high = kTranspose ? rows[j + 1][i] : rows[i][j + 1];
      static_cast<LdmatrixLane*>(lanes[lane])->r[matrix] = low | high << 16;
    }
  }
}


// The 16 products of an element are added in order of k, in f32, and then to c: hardware's own order is not known.
inline void mma_m16n8k16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], const float (&c)[4],
                         EMULATED_PLACE) {
  MmaLane lane{d, a, b, c};
  warp_collective(0xffffffffu, &compute_mma, &lane, "mma.sync", file, line);
}

inline void ldmatrix_x4(uint32_t (&r)[4], const void* row, bool transpose, EMULATED_PLACE) {
  LdmatrixLane lane{r, static_cast<const uint16_t*>(row)};
  warp_collective(0xffffffffu, transpose ? &compute_ldmatrix<true> : &compute_ldmatrix<false>, &lane, "ldmatrix", file,
                  line);
}

// cp.async: by default a copy is made as late as allowed, when its group is waited for or the thread ends, so that a
// missing wait shows; Settings::late_copies false makes it at once.
void copy_async(void* shared, const void* global, int bytes, int source_bytes, EMULATED_PLACE);
void copy_async_commit();
void copy_async_wait(int pending);

}  // namespace emulated
