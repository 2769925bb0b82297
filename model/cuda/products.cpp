// One product by cuBLASLt, and the algorithms that were chosen (products.h).
//
// A row-major (R, C) matrix is a column-major (C, R) one with leading dimension C, so that rows of activations are
// columns of the library's matrices: their number changes no leading dimension and no alignment.
//   forward:  y^T (N, T)  = w^T^T (N, K) x^T (K, T)       input:  dx^T (K, T) = w^T (K, N) dy^T (N, T)
//   weight:   dw^T (K, N) = x^T (K, T) dy^T^T (T, N)
#include "model/cuda/products.h"

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>
#include <tuple>

#include "core/check.h"
#include "model/cuda/platform/status.h"

namespace cohort::cuda {
namespace {

// Rows for which a strict product's algorithm is chosen: between a decode step's and a training pass's.
constexpr int64_t kReferenceRows = 256;
// It must serve these too.
constexpr int64_t kProbedRows[] = {1, 16, kReferenceRows, 4096, 65536};
constexpr int kMostCandidates = 100;

struct Key {
  Direction direction;
  DType in, out;
  int64_t n, k, rows;  // rows: 0 under strict numerics
  auto operator<=>(const Key&) const = default;
};

const char* direction_name(Direction direction) {
  return direction == Direction::forward ? "forward" : direction == Direction::input ? "input" : "weight";
}

std::string name_of(const Key& key) {
  const std::string rows = key.rows == 0 ? "any" : fmt::format("{}", key.rows);
  return fmt::format("{} {} {} n={} k={} rows={}", direction_name(key.direction), dtype_name(key.in), dtype_name(key.out),
                     key.n, key.k, rows);
}

cudaDataType type_of(DType dtype) { return dtype == DType::bf16 ? CUDA_R_16BF : CUDA_R_32F; }

// What the shape says of its rows' alignment in bytes, at most 16, the widest that a kernel asks for.
uint32_t alignment_of(int64_t cols, DType dtype) {
  const uint64_t bytes = static_cast<uint64_t>(cols) * dtype_size(dtype);
  return static_cast<uint32_t>(std::min<uint64_t>(16, bytes & (~bytes + 1)));
}

struct Layout {
  cublasLtMatrixLayout_t handle = nullptr;
  Layout(DType dtype, int64_t rows, int64_t cols) {
    check_cublas(cublasLtMatrixLayoutCreate(&handle, type_of(dtype), static_cast<uint64_t>(rows),
                                            static_cast<uint64_t>(cols), rows),
                 "describe a matrix");
  }
  Layout(const Layout&) = delete;
  Layout& operator=(const Layout&) = delete;
  ~Layout() { cublasLtMatrixLayoutDestroy(handle); }
  void set_columns(int64_t cols) const {
    const uint64_t value = static_cast<uint64_t>(cols);
    check_cublas(cublasLtMatrixLayoutSetAttribute(handle, CUBLASLT_MATRIX_LAYOUT_COLS, &value, sizeof(value)),
                 "describe a matrix");
  }
};

struct Operation {
  cublasLtMatmulDesc_t handle = nullptr;
  Operation(bool transpose_a, bool transpose_b) {
    const cublasOperation_t a = transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N, b = transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N;
    check_cublas(cublasLtMatmulDescCreate(&handle, CUBLAS_COMPUTE_32F, CUDA_R_32F), "describe a product");
    check_cublas(cublasLtMatmulDescSetAttribute(handle, CUBLASLT_MATMUL_DESC_TRANSA, &a, sizeof(a)), "describe a product");
    check_cublas(cublasLtMatmulDescSetAttribute(handle, CUBLASLT_MATMUL_DESC_TRANSB, &b, sizeof(b)), "describe a product");
  }
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;
  ~Operation() { cublasLtMatmulDescDestroy(handle); }
};

// A product as the library sees it: a b = d, and which of the three have `rows` columns.
struct Plan {
  Key key;
  Operation operation;
  Layout a, b, d;
  uint32_t align_a, align_b, align_d;
  cublasLtMatmulAlgo_t algorithm{};

  explicit Plan(const Key& key)
      : key(key),
        operation(key.direction == Direction::forward, key.direction == Direction::weight),
        a(key.in, key.k, key.direction == Direction::weight ? kReferenceRows : key.n),
        b(key.in, key.direction == Direction::forward ? key.k : key.n, kReferenceRows),
        d(key.out, key.direction == Direction::forward ? key.n : key.k,
          key.direction == Direction::weight ? key.n : kReferenceRows),
        align_a(alignment_of(key.k, key.in)),
        align_b(alignment_of(key.direction == Direction::forward ? key.k : key.n, key.in)),
        align_d(alignment_of(key.direction == Direction::forward ? key.n : key.k, key.out)) {}

  void set_rows(int64_t rows) const {
    b.set_columns(rows);
    (key.direction == Direction::weight ? a : d).set_columns(rows);
  }
};

template <typename T>
T config_of(const cublasLtMatmulAlgo_t& algorithm, cublasLtMatmulAlgoConfigAttributes_t attribute) {
  T value{};
  size_t written = 0;
  check_cublas(cublasLtMatmulAlgoConfigGetAttribute(&algorithm, attribute, &value, sizeof(value), &written),
               "look at an algorithm of cuBLASLt");
  return value;
}

bool splits(const cublasLtMatmulAlgo_t& algorithm) {
  return config_of<int32_t>(algorithm, CUBLASLT_ALGO_CONFIG_SPLITK_NUM) > 1 ||
         config_of<uint32_t>(algorithm, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME) != CUBLASLT_REDUCTION_SCHEME_NONE;
}

std::string in_words(const cublasLtMatmulAlgo_t& algorithm) {
  return fmt::format("id={} tile={} stages={} swizzle={} split={}",
                     config_of<int32_t>(algorithm, CUBLASLT_ALGO_CONFIG_ID),
                     config_of<uint32_t>(algorithm, CUBLASLT_ALGO_CONFIG_TILE_ID),
                     config_of<uint32_t>(algorithm, CUBLASLT_ALGO_CONFIG_STAGES_ID),
                     config_of<uint32_t>(algorithm, CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING),
                     config_of<int32_t>(algorithm, CUBLASLT_ALGO_CONFIG_SPLITK_NUM));
}

std::string in_digits(const cublasLtMatmulAlgo_t& algorithm) {
  std::string digits;
  for (uint64_t word : algorithm.data) digits += fmt::format("{:016x}", word);
  return digits;
}

}  // namespace

struct Products::Impl {
  Numerics numerics;
  size_t workspace_bytes;
  cublasLtHandle_t handle = nullptr;
  cublasLtMatmulPreference_t preference = nullptr;
  void* workspace = nullptr;
  std::map<Key, std::unique_ptr<Plan>> plans;
  std::map<std::string, cublasLtMatmulAlgo_t> restored;  // by name_of

  Impl(Numerics numerics, size_t workspace_bytes) : numerics(numerics), workspace_bytes(workspace_bytes) {
    check_cublas(cublasLtCreate(&handle), "start cuBLASLt");
    try {
      check_cublas(cublasLtMatmulPreferenceCreate(&preference), "start cuBLASLt");
      set_preference(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64_t{workspace_bytes});
      if (workspace_bytes > 0) check_status(cudaMalloc(&workspace, workspace_bytes), "take the workspace of cuBLASLt");
    } catch (...) {
      free();
      throw;
    }
  }
  ~Impl() { free(); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void free() {
    plans.clear();
    if (preference != nullptr) cublasLtMatmulPreferenceDestroy(preference);
    if (workspace != nullptr) (void)cudaFree(workspace);
    cublasLtDestroy(handle);
  }

  template <typename T>
  void set_preference(cublasLtMatmulPreferenceAttributes_t attribute, T value) {
    check_cublas(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof(value)), "start cuBLASLt");
  }

  // Whether the algorithm serves the plan's product of so many rows within the workspace.
  bool serves(const Plan& plan, const cublasLtMatmulAlgo_t& algorithm, int64_t rows) const {
    plan.set_rows(rows);
    cublasLtMatmulHeuristicResult_t result{};
    return cublasLtMatmulAlgoCheck(handle, plan.operation.handle, plan.a.handle, plan.b.handle, plan.d.handle,
                                   plan.d.handle, &algorithm, &result) == CUBLAS_STATUS_SUCCESS &&
           result.workspaceSize <= workspace_bytes;
  }
  bool fit(const Plan& plan, const cublasLtMatmulAlgo_t& algorithm) const {
    if (numerics == Numerics::fast) return serves(plan, algorithm, plan.key.rows);
    return !splits(algorithm) && std::ranges::all_of(kProbedRows, [&](int64_t rows) { return serves(plan, algorithm, rows); });
  }

  void choose(Plan& plan) {
    if (const auto at = restored.find(name_of(plan.key)); at != restored.end()) {
      if (!fit(plan, at->second))
        fail(ExitCode::kInput, "the recorded algorithm of the product {} does not run on this device; start without the record",
             at->first);
      plan.algorithm = at->second;
      return;
    }
    plan.set_rows(plan.key.rows == 0 ? kReferenceRows : plan.key.rows);
    set_preference(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, plan.align_a);
    set_preference(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, plan.align_b);
    set_preference(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, plan.align_d);
    set_preference(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, plan.align_d);
    std::vector<cublasLtMatmulHeuristicResult_t> found(kMostCandidates);
    int count = 0;
    const std::string what = "find an algorithm of cuBLASLt for the product " + name_of(plan.key);
    check_cublas(cublasLtMatmulAlgoGetHeuristic(handle, plan.operation.handle, plan.a.handle, plan.b.handle, plan.d.handle,
                                                plan.d.handle, preference, kMostCandidates, found.data(), &count),
                 what.c_str());
    for (int i = 0; i < count; ++i) {
      const cublasLtMatmulHeuristicResult_t& candidate = found[static_cast<size_t>(i)];
      if (candidate.state != CUBLAS_STATUS_SUCCESS || !fit(plan, candidate.algo)) continue;
      plan.algorithm = candidate.algo;
      return;
    }
    fail(ExitCode::kInternal, "cannot {}: of {} none serves every number of rows in one order of sums; allowed with "
         "numerics: fast", what, count);
  }

  const Plan& plan_of(const Product& p) {
    const int64_t bucket = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(p.rows)));
    const Key key{p.direction, p.in, p.out, p.n, p.k, numerics == Numerics::fast ? bucket : 0};
    const auto at = plans.find(key);
    if (at != plans.end()) return *at->second;
    auto plan = std::make_unique<Plan>(key);
    choose(*plan);
    return *plans.emplace(key, std::move(plan)).first->second;
  }
};

Products::Products(Numerics numerics, size_t workspace_bytes) : impl_(std::make_unique<Impl>(numerics, workspace_bytes)) {}
Products::~Products() = default;

Numerics Products::numerics() const { return impl_->numerics; }

std::vector<std::string> Products::record() const {
  std::vector<std::string> lines;
  for (const auto& [key, plan] : impl_->plans)
    lines.push_back(fmt::format("{} | cublasLt {} | {} | {}", name_of(key), cublasLtGetVersion(), in_words(plan->algorithm),
                                in_digits(plan->algorithm)));
  std::ranges::sort(lines);
  return lines;
}

void Products::restore(std::span<const std::string> record) {
  for (const std::string& line : record) {
    std::vector<std::string> fields;
    for (size_t begin = 0; begin <= line.size();) {
      const size_t end = std::min(line.find(" | ", begin), line.size());
      fields.push_back(line.substr(begin, end - begin));
      begin = end + 3;
    }
    cublasLtMatmulAlgo_t algorithm{};
    constexpr size_t kDigits = 16;
    bool whole = fields.size() == 4 && fields[3].size() == std::size(algorithm.data) * kDigits &&
                 fields[3].find_first_not_of("0123456789abcdef") == std::string::npos;
    if (!whole) fail(ExitCode::kInput, "a record of products has the damaged line '{}'; start without the record", line);
    const std::string version = fmt::format("cublasLt {}", cublasLtGetVersion());
    if (fields[1] != version)
      fail(ExitCode::kInput, "the record of products was made by {}, this program has {}; use that library or start "
           "without the record", fields[1], version);
    for (size_t i = 0; i < std::size(algorithm.data); ++i)
      algorithm.data[i] = std::stoull(fields[3].substr(i * kDigits, kDigits), nullptr, 16);
    impl_->restored[fields[0]] = algorithm;
    std::erase_if(impl_->plans, [&](const auto& plan) { return name_of(plan.first) == fields[0]; });  // is chosen anew
  }
}

void multiply(Products& products, const Product& product, void* out, const void* left, const void* right,
              bool accumulate, Stream stream) {
  if (product.n == 0 || product.k == 0 || product.rows == 0) return;
  Products::Impl& impl = products.impl();
  const Plan& plan = impl.plan_of(product);
  plan.set_rows(product.rows);
  const void *a = right, *b = left;
  const auto aligned = [](const void* p, uint32_t to) { return reinterpret_cast<uintptr_t>(p) % to == 0; };
  CHECK(aligned(a, plan.align_a) && aligned(b, plan.align_b) && aligned(out, plan.align_d),
        "the product {} lies at {}, {} and {}; wanted are multiples of {}, {} and {} bytes", name_of(plan.key), b, a, out,
        plan.align_b, plan.align_a, plan.align_d);
  const float one = 1, beta = accumulate ? 1.0f : 0.0f;
  const cublasStatus_t status =
      cublasLtMatmul(impl.handle, plan.operation.handle, &one, a, plan.a.handle, b, plan.b.handle, &beta, out,
                     plan.d.handle, out, plan.d.handle, &plan.algorithm, impl.workspace, impl.workspace_bytes, stream);
  if (status != CUBLAS_STATUS_SUCCESS) {
    const std::string what = fmt::format("multiply {} ({} rows)", name_of(plan.key), product.rows);
    check_cublas(status, what.c_str());
  }
}

}  // namespace cohort::cuda
