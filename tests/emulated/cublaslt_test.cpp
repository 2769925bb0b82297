// The fake cuBLASLt: products, what it refuses, and algorithms that differ in bits.
#include <cublasLt.h>

#include "tests/emulated/gpu_test.h"

namespace cohort {
namespace {

cudaDataType type_of(DType dtype) { return dtype == DType::bf16 ? CUDA_R_16BF : CUDA_R_32F; }

// y (T, N) = x (T, K) w (N, K)^T + beta y, as row-major matrices: column-major, y^T (N, T) = w x^T.
class CublasLt : public GpuOps {
 protected:
  CublasLt() {
    EXPECT_EQ(cublasLtCreate(&handle_), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasLtMatmulPreferenceCreate(&preference_), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasLtMatmulDescCreate(&op_, CUBLAS_COMPUTE_32F, CUDA_R_32F), CUBLAS_STATUS_SUCCESS);
    const cublasOperation_t transposed = CUBLAS_OP_T;
    EXPECT_EQ(cublasLtMatmulDescSetAttribute(op_, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof(transposed)),
              CUBLAS_STATUS_SUCCESS);
  }
  ~CublasLt() override {
    for (cublasLtMatrixLayout_t layout : layouts_) cublasLtMatrixLayoutDestroy(layout);
    cublasLtMatmulDescDestroy(op_);
    cublasLtMatmulPreferenceDestroy(preference_);
    cublasLtDestroy(handle_);
  }
  cublasLtMatrixLayout_t layout(DType dtype, int64_t rows, int64_t cols, int64_t ld) {
    cublasLtMatrixLayout_t layout;
    EXPECT_EQ(cublasLtMatrixLayoutCreate(&layout, type_of(dtype), rows, cols, ld), CUBLAS_STATUS_SUCCESS);
    return layouts_.emplace_back(layout);
  }
  void allow_workspace(uint64_t bytes) {
    cublasLtMatmulPreferenceSetAttribute(preference_, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &bytes, sizeof(bytes));
  }
  std::vector<cublasLtMatmulHeuristicResult_t> heuristics(cublasLtMatrixLayout_t w, cublasLtMatrixLayout_t x,
                                                          cublasLtMatrixLayout_t y, cublasStatus_t* status = nullptr) {
    std::vector<cublasLtMatmulHeuristicResult_t> results(8);
    int count = 0;
    const cublasStatus_t answer =
        cublasLtMatmulAlgoGetHeuristic(handle_, op_, w, x, y, y, preference_, 8, results.data(), &count);
    if (status != nullptr) *status = answer;
    results.resize(static_cast<size_t>(count));
    return results;
  }
  static int32_t split_of(const cublasLtMatmulAlgo_t& algorithm) {
    int32_t split = 0;
    EXPECT_EQ(cublasLtMatmulAlgoConfigGetAttribute(&algorithm, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &split, sizeof(split),
                                                   nullptr),
              CUBLAS_STATUS_SUCCESS);
    return split;
  }

  cublasLtHandle_t handle_ = nullptr;
  cublasLtMatmulPreference_t preference_ = nullptr;
  cublasLtMatmulDesc_t op_ = nullptr;
  std::vector<cublasLtMatrixLayout_t> layouts_;
};

TEST_F(CublasLt, ProductsAndAccumulation) {
  const int64_t T = 5, N = 24, K = 40;
  for (DType dtype : kTypes) {
    for (DType out : kTypes) {
      const Matrix x = Matrix::random(dtype, T, K, 1), w = Matrix::random(dtype, N, K, 2), y = Matrix::random(out, T, N, 3);
      const DeviceMatrix dx(x), dw(w), dy(y);
      const float alpha = 2, beta = 0.5f;
      const auto lw = layout(dtype, K, N, K), lx = layout(dtype, K, T, K), ly = layout(out, N, T, N);
      const cublasStatus_t status =
          cublasLtMatmul(handle_, op_, &alpha, dw.t().data, lw, dx.t().data, lx, &beta, dy.t().data, ly, dy.t().data, ly,
                         nullptr, nullptr, 0, stream_);
      if (dtype == DType::f32 && out == DType::bf16) {
        EXPECT_EQ(status, CUBLAS_STATUS_NOT_SUPPORTED) << "as the library's table of types";
        continue;
      }
      ASSERT_EQ(status, CUBLAS_STATUS_SUCCESS);
      synchronize();
      expect_near(
          dy.host(),
          [&](int64_t t, int64_t n) {
            double sum = 0.5 * static_cast<double>(y.at(t, n));
            for (int64_t k = 0; k < K; ++k) sum += 2.0 * static_cast<double>(x.at(t, k)) * w.at(n, k);
            return sum;
          },
          tolerance(out, 64), 10);
    }
  }
}

TEST_F(CublasLt, AlgorithmsDifferInBitsAndSplittingNeedsAWorkspace) {
  const int64_t T = 3, N = 16, K = 256;
  const Matrix x = Matrix::random(DType::bf16, T, K, 1), w = Matrix::random(DType::bf16, N, K, 2);
  const DeviceMatrix dx(x), dw(w);
  const auto lw = layout(DType::bf16, K, N, K), lx = layout(DType::bf16, K, T, K), ly = layout(DType::f32, N, T, N);
  for (const auto& result : heuristics(lw, lx, ly)) EXPECT_EQ(split_of(result.algo), 1) << "no workspace";
  allow_workspace(1 << 20);
  const auto results = heuristics(lw, lx, ly);
  ASSERT_EQ(results.size(), 3u);
  EXPECT_GT(split_of(results[0].algo), 1) << "what a strict program must pass over";
  const float one = 1, zero = 0;
  const DeviceBytes workspace(1 << 20);
  std::vector<Matrix> products;
  for (const auto& result : results) {
    const DeviceMatrix dy(DType::f32, T, N);
    const auto multiply = [&](size_t bytes) {
      return cublasLtMatmul(handle_, op_, &one, dw.t().data, lw, dx.t().data, lx, &zero, dy.t().data, ly, dy.t().data, ly,
                            &result.algo, workspace.get(), bytes, stream_);
    };
    ASSERT_EQ(multiply(1 << 20), CUBLAS_STATUS_SUCCESS);
    if (result.workspaceSize > 0) {
      EXPECT_EQ(multiply(result.workspaceSize - 1), CUBLAS_STATUS_INVALID_VALUE);
    }
    synchronize();
    products.push_back(dy.host());
    cublasLtMatmulHeuristicResult_t checked;
    EXPECT_EQ(cublasLtMatmulAlgoCheck(handle_, op_, lw, lx, ly, ly, &result.algo, &checked), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(checked.workspaceSize, result.workspaceSize);
  }
  EXPECT_FALSE(products[0] == products[1]);
  EXPECT_FALSE(products[1] == products[2]);
}

TEST_F(CublasLt, AnAlgorithmIsMadeAgainFromWhatWasRecorded) {
  const auto lw = layout(DType::bf16, 64, 8, 64), lx = layout(DType::bf16, 64, 4, 64), ly = layout(DType::f32, 8, 4, 8);
  const auto found = heuristics(lw, lx, ly);
  ASSERT_FALSE(found.empty());
  int32_t id = 0;
  ASSERT_EQ(cublasLtMatmulAlgoConfigGetAttribute(&found[0].algo, CUBLASLT_ALGO_CONFIG_ID, &id, sizeof(id), nullptr),
            CUBLAS_STATUS_SUCCESS);
  cublasLtMatmulAlgo_t again;
  ASSERT_EQ(cublasLtMatmulAlgoInit(handle_, CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_16BF, CUDA_R_16BF, CUDA_R_32F,
                                   CUDA_R_32F, id, &again),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(split_of(again), 1);
  EXPECT_EQ(cublasLtMatmulAlgoInit(handle_, CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_16BF, CUDA_R_16BF, CUDA_R_32F,
                                   CUDA_R_32F, 99, &again),
            CUBLAS_STATUS_INVALID_VALUE);
}

TEST_F(CublasLt, RefusesShapesLeadingDimensionsAndAlignment) {
  const DeviceMatrix w(DType::bf16, 8, 64), x(DType::bf16, 4, 64), y(DType::f32, 4, 8);
  const auto lw = layout(DType::bf16, 64, 8, 64), lx = layout(DType::bf16, 64, 4, 64), ly = layout(DType::f32, 8, 4, 8);
  cublasStatus_t status;
  heuristics(layout(DType::bf16, 64, 8, 63), lx, ly, &status);
  EXPECT_EQ(status, CUBLAS_STATUS_INVALID_VALUE) << "leading dimension";
  heuristics(lw, layout(DType::bf16, 32, 4, 64), ly, &status);
  EXPECT_EQ(status, CUBLAS_STATUS_INVALID_VALUE) << "contraction";
  heuristics(lw, lx, layout(DType::f32, 8, 5, 8), &status);
  EXPECT_EQ(status, CUBLAS_STATUS_INVALID_VALUE) << "columns";
  heuristics(lw, layout(DType::f32, 64, 4, 64), ly, &status);
  EXPECT_EQ(status, CUBLAS_STATUS_NOT_SUPPORTED) << "types";
  // The heuristics take pointers for aligned to 256 bytes unless told otherwise.
  const auto found = heuristics(lw, lx, ly);
  ASSERT_FALSE(found.empty());
  const float one = 1, zero = 0;
  const void* skewed = static_cast<const std::byte*>(x.t().data) + 16;
  EXPECT_EQ(cublasLtMatmul(handle_, op_, &one, w.t().data, lw, skewed, lx, &zero, y.t().data, ly, y.t().data, ly,
                           &found[0].algo, nullptr, 0, stream_),
            CUBLAS_STATUS_NOT_SUPPORTED);
}

using CublasLtDeathTest = CublasLt;

TEST_F(CublasLtDeathTest, ABufferThatIsTooSmallEndsTheProcess) {
  const DeviceMatrix w(DType::bf16, 8, 64), x(DType::bf16, 3, 64), y(DType::f32, 4, 8);
  const auto lw = layout(DType::bf16, 64, 8, 64), lx = layout(DType::bf16, 64, 4, 64), ly = layout(DType::f32, 8, 4, 8);
  const float one = 1, zero = 0;
  EXPECT_DEATH(cublasLtMatmul(handle_, op_, &one, w.t().data, lw, x.t().data, lx, &zero, y.t().data, ly, y.t().data, ly,
                              nullptr, nullptr, 0, stream_),
               "cublasLtMatmul: B needs 512 bytes from byte 0 of an allocation of 384");
}

}  // namespace
}  // namespace cohort
