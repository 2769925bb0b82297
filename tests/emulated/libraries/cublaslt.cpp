// A stand-in for cuBLASLt: the entry points that the product uses, with the library's checks of shapes, leading dimensions,
// types and alignment, and plain loops. What is not known is refused.
//
// Its heuristics answer with what a strict program must choose from: an algorithm that splits the contraction (first, since
// the library likes it for few rows), and two that do not, each with an order of sums, and so bits, of its own.
#include <cublasLt.h>

#include <cstring>
#include <mutex>
#include <new>

#include "cublaslt_problem.h"
#include "emulator/memory.h"
#include "emulator/state.h"
#include "emulator/streams.h"

using namespace emulated;
using namespace emulated::cublaslt;

extern "C" {

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  if (refusal() != cudaSuccess) return CUBLAS_STATUS_NOT_INITIALIZED;
  *handle = reinterpret_cast<cublasLtHandle_t>(new char);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  delete reinterpret_cast<char*>(handle);
  return CUBLAS_STATUS_SUCCESS;
}
size_t cublasLtGetVersion() { return CUBLAS_VERSION; }

const char* cublasGetStatusString(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "CUBLAS_STATUS_NOT_SUPPORTED";
    case CUBLAS_STATUS_NOT_INITIALIZED:
      return "CUBLAS_STATUS_NOT_INITIALIZED";
    default:
      return "CUBLAS_STATUS_EXECUTION_FAILED";
  }
}
const char* cublasLtGetStatusString(cublasStatus_t status) { return cublasGetStatusString(status); }

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* op, cublasComputeType_t compute, cudaDataType_t scale) {
  if (compute != CUBLAS_COMPUTE_32F || scale != CUDA_R_32F) return CUBLAS_STATUS_NOT_SUPPORTED;
  *op = new cublasLtMatmulDescOpaque_t{};
  new ((*op)->data) Description;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t op) {
  delete op;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t op, cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, size_t bytes) {
  Description& d = in<Description>(op);
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
      return set(d.a, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB:
      return set(d.b, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      return set(d.epilogue, value, bytes);
    default:
      return CUBLAS_STATUS_NOT_SUPPORTED;
  }
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType type, uint64_t rows,
                                          uint64_t cols, int64_t ld) {
  *layout = new cublasLtMatrixLayoutOpaque_t{};
  new ((*layout)->data) Layout{type, rows, cols, ld};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  delete layout;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t attribute,
                                                const void* value, size_t bytes) {
  Layout& l = in<Layout>(layout);
  switch (attribute) {
    case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT:
      return set(l.batch, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET:
      return set(l.stride, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_ROWS:
      return set(l.rows, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_COLS:
      return set(l.cols, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_LD:
      return set(l.ld, value, bytes);
    default:
      return CUBLAS_STATUS_NOT_SUPPORTED;
  }
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  *preference = new cublasLtMatmulPreferenceOpaque_t{};
  new ((*preference)->data) Preference;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  delete preference;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute, const void* value,
                                                    size_t bytes) {
  Preference& p = in<Preference>(preference);
  switch (attribute) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
      return set(p.workspace, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
      return set(p.align_a, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
      return set(p.align_b, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
      return set(p.align_c, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
      return set(p.align_d, value, bytes);
    default:
      return CUBLAS_STATUS_NOT_SUPPORTED;
  }
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t op, cublasLtMatrixLayout_t a,
                                              cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c,
                                              cublasLtMatrixLayout_t d, cublasLtMatmulPreference_t preference,
                                              int wanted, cublasLtMatmulHeuristicResult_t* results, int* count) {
  *count = 0;
  const Problem p = problem_of(op, a, b, c, d);
  if (const cublasStatus_t status = check(p)) return status;
  for (const Algorithm& algorithm : algorithms_for(p, in<Preference>(preference))) {
    if (*count == wanted) break;
    cublasLtMatmulHeuristicResult_t& result = results[(*count)++];
    result = {};
    put_algorithm(&result.algo, algorithm);
    result.workspaceSize = workspace_of(p, algorithm);
    result.state = CUBLAS_STATUS_SUCCESS;
    result.wavesCount = 1;
  }
  return *count > 0 ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

cublasStatus_t cublasLtMatmulAlgoInit(cublasLtHandle_t, cublasComputeType_t compute, cudaDataType_t, cudaDataType_t,
                                      cudaDataType_t, cudaDataType_t, cudaDataType_t, int id,
                                      cublasLtMatmulAlgo_t* algorithm) {
  if (compute != CUBLAS_COMPUTE_32F || (id != kChainId && id != kLanesId)) return CUBLAS_STATUS_INVALID_VALUE;
  put_algorithm(algorithm, {kMark, id, 1, 20, 4, 0, CUBLASLT_REDUCTION_SCHEME_NONE, 16});
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t, cublasLtMatmulDesc_t op, cublasLtMatrixLayout_t a,
                                       cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                       const cublasLtMatmulAlgo_t* algorithm, cublasLtMatmulHeuristicResult_t* result) {
  const Problem p = problem_of(op, a, b, c, d);
  if (const cublasStatus_t status = check(p)) return status;
  if (!known(algorithm_of(*algorithm))) return CUBLAS_STATUS_NOT_SUPPORTED;
  *result = {};
  result->algo = *algorithm;
  result->workspaceSize = workspace_of(p, algorithm_of(*algorithm));
  result->state = CUBLAS_STATUS_SUCCESS;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t* opaque,
                                                    cublasLtMatmulAlgoConfigAttributes_t attribute, void* value,
                                                    size_t bytes, size_t* written) {
  const Algorithm a = algorithm_of(*opaque);
  uint32_t number = 0;
  switch (attribute) {
    case CUBLASLT_ALGO_CONFIG_ID:
      number = static_cast<uint32_t>(a.id);
      break;
    case CUBLASLT_ALGO_CONFIG_SPLITK_NUM:
      number = static_cast<uint32_t>(a.split);
      break;
    case CUBLASLT_ALGO_CONFIG_TILE_ID:
      number = a.tile;
      break;
    case CUBLASLT_ALGO_CONFIG_STAGES_ID:
      number = a.stages;
      break;
    case CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING:
      number = a.swizzle;
      break;
    case CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME:
      number = a.reduction;
      break;
    default:
      return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  if (written != nullptr) *written = sizeof(number);
  if (bytes != sizeof(number)) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(value, &number, sizeof(number));
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoConfigSetAttribute(cublasLtMatmulAlgo_t* opaque,
                                                    cublasLtMatmulAlgoConfigAttributes_t attribute, const void* value,
                                                    size_t bytes) {
  Algorithm a = algorithm_of(*opaque);
  cublasStatus_t status = CUBLAS_STATUS_NOT_SUPPORTED;
  if (attribute == CUBLASLT_ALGO_CONFIG_SPLITK_NUM) status = set(a.split, value, bytes);
  if (attribute == CUBLASLT_ALGO_CONFIG_TILE_ID) status = set(a.tile, value, bytes);
  if (attribute == CUBLASLT_ALGO_CONFIG_STAGES_ID) status = set(a.stages, value, bytes);
  if (attribute == CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING) status = set(a.swizzle, value, bytes);
  if (attribute == CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME) status = set(a.reduction, value, bytes);
  put_algorithm(opaque, a);
  return status;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t op, const void* alpha, const void* A,
                              cublasLtMatrixLayout_t a, const void* B, cublasLtMatrixLayout_t b, const void* beta,
                              const void* C, cublasLtMatrixLayout_t c, void* D, cublasLtMatrixLayout_t d,
                              const cublasLtMatmulAlgo_t* chosen, void* workspace, size_t workspace_bytes,
                              cudaStream_t stream) {
  const std::lock_guard lock(runtime_mutex());
  if (refusal() != cudaSuccess) return CUBLAS_STATUS_EXECUTION_FAILED;
  const Problem p = problem_of(op, a, b, c, d);
  if (const cublasStatus_t status = check(p)) return status;
  // Without an algorithm the library asks its heuristics.
  Preference preference;
  preference.workspace = workspace_bytes;
  preference.align_a = preference.align_b = preference.align_c = preference.align_d = 16;
  const Algorithm algorithm = chosen != nullptr ? algorithm_of(*chosen) : algorithms_for(p, preference).front();
  const float by = *static_cast<const float*>(alpha), keep = *static_cast<const float*>(beta);
  if (!known(algorithm)) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (workspace_of(p, algorithm) > workspace_bytes) return CUBLAS_STATUS_INVALID_VALUE;
  for (const void* pointer : {A, B, static_cast<const void*>(D), keep != 0 ? C : D})
    if (!aligned(pointer, algorithm.align)) return CUBLAS_STATUS_NOT_SUPPORTED;
  require_device_range("cublasLtMatmul", "A", A, bytes_of(p.a));
  require_device_range("cublasLtMatmul", "B", B, bytes_of(p.b));
  if (keep != 0) require_device_range("cublasLtMatmul", "C", C, bytes_of(p.c));
  require_device_range("cublasLtMatmul", "D", D, bytes_of(p.d));
  if (workspace_of(p, algorithm) > 0)
    require_device_range("cublasLtMatmul", "the workspace", workspace, workspace_of(p, algorithm));
  const cudaError_t error = push(stream_of(stream), WorkKind::kernel,
                                 [=] { multiply(p, algorithm, by, A, B, keep, C, D); });
  return error == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}
}
