// What a product of the fake cuBLASLt is: its description, the checks of it, the algorithms for it, and plain loops.
#pragma once

#include <cublasLt.h>
#include <cuda_bf16.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "tests/emulated/emulator/settings.h"

namespace emulated::cublaslt {

struct Description {
  cublasOperation_t a = CUBLAS_OP_N, b = CUBLAS_OP_N;
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
};
struct Layout {
  cudaDataType type;
  uint64_t rows, cols;
  int64_t ld;
  int32_t batch = 1;
  int64_t stride = 0;
};
struct Preference {
  uint64_t workspace = 0;
  uint32_t align_a = 256, align_b = 256, align_c = 256, align_d = 256;  // the library's defaults
};
// In the opaque words of cublasLtMatmulAlgo_t.
struct Algorithm {
  uint64_t mark;
  int32_t id, split;
  uint32_t tile, stages, swizzle, reduction;
  uint32_t align;  // of all pointers
};
inline constexpr uint64_t kMark = 0x656d756c61746564;
inline constexpr int32_t kChainId = 1, kLanesId = 2;  // how an element's products are added up
inline constexpr int32_t kSplit = 4;

static_assert(sizeof(Description) <= sizeof(cublasLtMatmulDescOpaque_t));
static_assert(sizeof(Layout) <= sizeof(cublasLtMatrixLayoutOpaque_t));
static_assert(sizeof(Preference) <= sizeof(cublasLtMatmulPreferenceOpaque_t));
static_assert(sizeof(Algorithm) <= sizeof(cublasLtMatmulAlgo_t));

template <typename T, typename Opaque>
T& in(Opaque* opaque) {
  return *reinterpret_cast<T*>(opaque->data);
}
inline Algorithm algorithm_of(const cublasLtMatmulAlgo_t& opaque) {
  Algorithm algorithm;
  std::memcpy(&algorithm, &opaque, sizeof(algorithm));
  return algorithm;
}
inline void put_algorithm(cublasLtMatmulAlgo_t* opaque, const Algorithm& algorithm) {
  std::memset(opaque, 0, sizeof(*opaque));
  std::memcpy(opaque, &algorithm, sizeof(algorithm));
}

template <typename T>
inline cublasStatus_t set(T& to, const void* from, size_t bytes) {
  if (bytes != sizeof(T)) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(&to, from, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

inline size_t size_of(cudaDataType type) { return type == CUDA_R_32F ? 4 : type == CUDA_R_16BF ? 2 : 0; }
inline float get(const void* data, cudaDataType type, int64_t i) {
  return type == CUDA_R_32F ? static_cast<const float*>(data)[i]
                            : __bfloat162float(static_cast<const __nv_bfloat16*>(data)[i]);
}
inline void put(void* data, cudaDataType type, int64_t i, float value) {
  if (type == CUDA_R_32F) {
    static_cast<float*>(data)[i] = value;
  } else {
    static_cast<__nv_bfloat16*>(data)[i] = __float2bfloat16_rn(value);
  }
}

// D (m x n) = alpha op(A) (m x k) op(B) (k x n) + beta C, column-major, all of it in each batch.
struct Problem {
  Description op;
  Layout a, b, c, d;
  int64_t m() const { return static_cast<int64_t>(d.rows); }
  int64_t n() const { return static_cast<int64_t>(d.cols); }
  int64_t k() const { return static_cast<int64_t>(op.a != CUBLAS_OP_N ? a.rows : a.cols); }
};

inline cublasStatus_t check(const Problem& p) {
  for (const Layout* l : {&p.a, &p.b, &p.c, &p.d}) {
    if (size_of(l->type) == 0) return CUBLAS_STATUS_NOT_SUPPORTED;
    if (l->ld < static_cast<int64_t>(l->rows) || l->batch != p.d.batch) return CUBLAS_STATUS_INVALID_VALUE;
  }
  const uint64_t m = p.op.a != CUBLAS_OP_N ? p.a.cols : p.a.rows, k_of_b = p.op.b != CUBLAS_OP_N ? p.b.cols : p.b.rows;
  const uint64_t n = p.op.b != CUBLAS_OP_N ? p.b.rows : p.b.cols;
  if (static_cast<uint64_t>(p.k()) != k_of_b || p.d.rows != m || p.d.cols != n || p.c.rows != m || p.c.cols != n)
    return CUBLAS_STATUS_INVALID_VALUE;
  // CUBLAS_COMPUTE_32F: inputs of one type, output of that or f32 (cublasLtMatmul, table of types).
  if (p.a.type != p.b.type || p.c.type != p.d.type || (p.d.type != CUDA_R_32F && p.d.type != p.a.type))
    return CUBLAS_STATUS_NOT_SUPPORTED;
  return p.op.epilogue == CUBLASLT_EPILOGUE_DEFAULT ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

inline size_t workspace_of(const Problem& p, const Algorithm& a) {
  if (a.split <= 1) return 0;
  return static_cast<size_t>(p.m() * p.n() * p.d.batch * a.split) * sizeof(float);
}

// Sum over k in [begin, end) of x[k] y[k].
inline float dot(const float* x, const float* y, int64_t begin, int64_t end, int32_t id) {
  if (id == kChainId) {
    float sum = 0;
    for (int64_t k = begin; k < end; ++k) sum += x[k] * y[k];
    return sum;
  }
  float sums[8] = {};
  int64_t k = begin;
  for (; k + 8 <= end; k += 8)
    for (int lane = 0; lane < 8; ++lane) sums[lane] += x[k + lane] * y[k + lane];
  for (int lane = 0; k < end; ++k, ++lane) sums[lane] += x[k] * y[k];
  float sum = 0;
  for (float s : sums) sum += s;
  return sum;
}

inline void multiply(const Problem& p, const Algorithm& algorithm, float alpha, const void* A, const void* B, float beta,
              const void* C, void* D) {
  const int64_t m = p.m(), n = p.n(), k = p.k(), part = (k + algorithm.split - 1) / algorithm.split;
  std::vector<float> x(static_cast<size_t>(m * k)), y(static_cast<size_t>(n * k));
  for (int32_t batch = 0; batch < p.d.batch; ++batch) {
    const auto at = [batch](const Layout& l, bool transposed, int64_t row, int64_t col) {
      return batch * l.stride + (transposed ? row * l.ld + col : col * l.ld + row);
    };
    for (int64_t i = 0; i < m; ++i)
      for (int64_t l = 0; l < k; ++l)
        x[static_cast<size_t>(i * k + l)] = get(A, p.a.type, at(p.a, p.op.a != CUBLAS_OP_N, i, l));
    for (int64_t j = 0; j < n; ++j)
      for (int64_t l = 0; l < k; ++l)
        y[static_cast<size_t>(j * k + l)] = get(B, p.b.type, at(p.b, p.op.b != CUBLAS_OP_N, l, j));
    for (int64_t j = 0; j < n; ++j) {
      for (int64_t i = 0; i < m; ++i) {
        float sum = 0;
        for (int64_t begin = 0; begin < k; begin += part)
          sum += dot(&x[static_cast<size_t>(i * k)], &y[static_cast<size_t>(j * k)], begin, std::min(k, begin + part),
                     algorithm.id);
        sum *= alpha;
        if (beta != 0) sum += beta * get(C, p.c.type, at(p.c, false, i, j));
        put(D, p.d.type, at(p.d, false, i, j), sum);
      }
    }
  }
}

inline size_t bytes_of(const Layout& l) {
  if (l.rows == 0 || l.cols == 0) return 0;
  const int64_t last = (l.batch - 1) * l.stride + static_cast<int64_t>(l.cols - 1) * l.ld + static_cast<int64_t>(l.rows);
  return static_cast<size_t>(last) * size_of(l.type);
}
inline bool aligned(const void* p, uint64_t to) { return reinterpret_cast<uintptr_t>(p) % to == 0; }

inline Problem problem_of(cublasLtMatmulDesc_t op, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                   cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d) {
  return {in<Description>(op), in<Layout>(a), in<Layout>(b), in<Layout>(c), in<Layout>(d)};
}

// What the heuristics offer, best first.
inline std::vector<Algorithm> algorithms_for(const Problem& p, const Preference& preference) {
  const uint32_t align = std::min({preference.align_a, preference.align_b, preference.align_c, preference.align_d});
  std::vector<Algorithm> all;
  if (p.k() >= 16 * kSplit) all.push_back({kMark, kLanesId, kSplit, 20, 4, 0, CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE, align});
  all.push_back({kMark, kLanesId, 1, 20, 4, 0, CUBLASLT_REDUCTION_SCHEME_NONE, align});
  all.push_back({kMark, kChainId, 1, 15, 3, 0, CUBLASLT_REDUCTION_SCHEME_NONE, align});
  std::erase_if(all, [&](const Algorithm& a) { return workspace_of(p, a) > preference.workspace; });
  if (settings().other_products) std::ranges::reverse(all);
  return all;
}

inline bool known(const Algorithm& a) {
  return a.mark == kMark && (a.id == kChainId || a.id == kLanesId) && (a.split == 1 || a.split == kSplit);
}

}  // namespace emulated::cublaslt
