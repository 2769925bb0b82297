#include "bench/roofline/results.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "bench/roofline/device_op.h"
#include "bench/roofline/expect.h"
#include "core/check.h"
#include "core/rng.h"
#include "model/cuda/platform/status.h"

namespace cohort::roofline {
namespace {

constexpr int64_t kSome = 12;
constexpr double kInfinite = std::numeric_limits<double>::infinity();

std::vector<double> numbers_of(Tensor t) {
  std::vector<std::byte> bytes(t.bytes());
  cuda::check_status(cudaMemcpy(bytes.data(), t.data, bytes.size(), cudaMemcpyDeviceToHost), "copy to the host");
  const Tensor host(bytes.data(), t.dtype, {t.size()});
  std::vector<double> numbers;
  for (int64_t i = 0; i < t.size(); ++i)
    numbers.push_back(t.dtype == DType::f32 ? host.f32()[i] : t.dtype == DType::bf16 ? to_float(host.b16()[i]) : host.i32()[i]);
  return numbers;
}

// Where a rounding to bf16 lies behind the number, or on the way to it.
bool rounds_to_bf16(const std::string& op, const std::string& dtype) {
  return dtype == "bfloat16" || op.starts_with("attention backward") || op.starts_with("head backward");
}

Json summary(Tensor t) {
  const std::vector<double> numbers = numbers_of(t);
  double squares = 0, along = 0;
  Random random(1, Stream::kTest);
  for (const double x : numbers) {
    CHECK(std::isfinite(x), "a result of {} numbers holds {}", numbers.size(), x);
    squares += x * x, along += random.next() % 2 == 0 ? x : -x;
  }
  Json some = Json::array();
  const auto count = static_cast<int64_t>(numbers.size());
  for (int64_t i = 0; i < std::min(kSome, count); ++i) some.push_back(numbers[static_cast<size_t>(i * count / std::min(kSome, count))]);
  return {{"dtype", dtype_name(t.dtype)}, {"numbers", count}, {"rms", std::sqrt(squares / static_cast<double>(std::max<int64_t>(1, count)))}, {"along", along}, {"some", some}};
}

double difference(const std::string& op, const Json& got, const Json& wanted) {
  const std::string dtype = wanted.at("dtype");
  if (got.at("dtype") != dtype || got.at("numbers") != wanted.at("numbers")) return kInfinite;
  const double count = wanted.at("numbers"), rms = wanted.at("rms");
  const double tolerance = dtype == "int32" ? 0 : rounds_to_bf16(op, dtype) ? 0x1p-7 : 2e-5;
  const auto share = [](double error, double allowed) { return error == 0 ? 0 : allowed > 0 ? error / allowed : kInfinite; };
  double largest = share(std::abs(got.at("rms").get<double>() - rms), tolerance * rms);
  // Errors of independent signs add up as their root.
  largest = std::max(largest, share(std::abs(got.at("along").get<double>() - wanted.at("along").get<double>()), tolerance * rms * std::sqrt(count)));
  for (size_t i = 0; i < wanted.at("some").size(); ++i) {
    const double a = got.at("some").at(i), b = wanted.at("some").at(i);
    largest = std::max(largest, share(std::abs(a - b), tolerance * (std::abs(b) + rms)));
  }
  return largest;
}

}  // namespace

std::vector<Op> all_ops(const Shape& shape) {
  std::vector<Op> all;
  for (const std::vector<Op>& list : {decode_step(shape), update_pass(shape), optimizer_step(shape), other_ops(shape)})
    all.insert(all.end(), list.begin(), list.end());
  return merged(all);
}

Json results_of(const Shape& shape, cuda::Stream stream, cuda::Products& products) {
  Json results = Json::object();
  for (const Op& op : all_ops(shape)) {
    const std::unique_ptr<DeviceOp> device = prepare(op, stream, products);
    device->run(products);
    cuda::check_status(cudaStreamSynchronize(stream), "wait for the GPU");
    for (const DeviceOp::Output& output : device->outputs) results[op_key(op)][output.name] = summary(output.tensor);
  }
  return results;
}

std::vector<Difference> differences(const Json& got, const Json& wanted) {
  std::vector<Difference> list;
  for (const auto& [op, outputs] : wanted.items())
    for (const auto& [name, output] : outputs.items()) {
      const bool there = got.contains(op) && got.at(op).contains(name);
      list.push_back({op + ", " + name, there ? difference(op, got.at(op).at(name), output) : kInfinite});
    }
  for (const auto& [op, outputs] : got.items())
    if (!wanted.contains(op)) list.push_back({op, kInfinite});
  return list;
}

}  // namespace cohort::roofline
