#include "bench/onednn.h"

#include <dnnl.hpp>
#include <omp.h>

#include <algorithm>
#include <chrono>
#include <unordered_map>
#include <vector>

namespace cohort {
namespace {

constexpr int64_t kCopies = 8;  // copies of each weight, so that they come from memory as a model's do
constexpr int kPasses = 7;
struct Shape {
  int64_t n, k;
};
constexpr Shape kShapes[] = {{960, 576}, {576, 576}, {3072, 576}, {576, 1536}};

struct Product {
  dnnl::matmul primitive;
  std::unordered_map<int, dnnl::memory> arguments;
};

Product make_product(const dnnl::engine& engine, const Shape& shape, int64_t rows) {
  using Type = dnnl::memory::data_type;
  using Tag = dnnl::memory::format_tag;
  const auto describe = [](int64_t height, int64_t cols, Type type, Tag tag) {
    return dnnl::memory::desc({height, cols}, type, tag);
  };
  const dnnl::matmul::desc operation(describe(rows, shape.k, Type::bf16, Tag::ab),
                                     describe(shape.k, shape.n, Type::bf16, Tag::any),
                                     describe(rows, shape.n, Type::bf16, Tag::ab));
  const dnnl::matmul::primitive_desc chosen(operation, engine);
  Product product{dnnl::matmul(chosen), {}};
  product.arguments.emplace(DNNL_ARG_SRC, dnnl::memory(chosen.src_desc(), engine));
  product.arguments.emplace(DNNL_ARG_WEIGHTS, dnnl::memory(chosen.weights_desc(), engine));
  product.arguments.emplace(DNNL_ARG_DST, dnnl::memory(chosen.dst_desc(), engine));
  for (auto& [name, memory] : product.arguments) {  // 1.0 everywhere: speed does not depend on the values, but on no NaN
    auto* values = static_cast<uint16_t*>(memory.get_data_handle());
    std::fill_n(values, memory.get_desc().get_size() / sizeof(uint16_t), uint16_t{0x3f80});
  }
  return product;
}

}  // namespace

std::optional<double> onednn_bf16_gflops(int threads, int64_t rows) try {
  omp_set_num_threads(threads);
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  std::vector<Product> products;
  double flops = 0;
  for (int64_t copy = 0; copy < kCopies; ++copy)
    for (const Shape& shape : kShapes) {
      products.push_back(make_product(engine, shape, rows));
      flops += 2.0 * static_cast<double>(rows * shape.n * shape.k);
    }
  double best = 0;
  for (int pass = 0; pass < kPasses; ++pass) {
    const auto start = std::chrono::steady_clock::now();
    for (Product& product : products) product.primitive.execute(stream, product.arguments);
    stream.wait();
    best = std::max(best, flops * 1e-9 / std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
} catch (const dnnl::error&) {
  return std::nullopt;
}

}  // namespace cohort
