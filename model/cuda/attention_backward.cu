// Attention backward on the GPU (attention.h), in two kernels that share nothing but each row's delta: one adds up dq, a
// tile of rows over the keys that they see, the other dk and dv, a tile of keys over the rows that see them, run after run.
// Every sum is one chain in one order: no atomics, and the scores are computed in both. The kernels are in
// attention_backward_f32.cuh and attention_backward_tensor.cuh.
//
// With p = exp(s - lse):  dv = p^T dout,  ds = p (dout v^T - delta),  dq = ds k scale,  dk = ds^T q scale,
// delta = dout . out  (Dao et al. 2022, appendix B.2), and ds times 1 - tanh^2 where scores are soft-capped.
#include "model/cuda/attention.h"
#include "model/cuda/attention_backward_f32.cuh"
#include "model/cuda/attention_backward_tensor.cuh"
#include "model/cuda/platform/launch.cuh"
#include "model/cuda/platform/status.h"

namespace cohort::cuda {

void attention_pack_backward(Tensor dq, Tensor dk, Tensor dv, Tensor dout, Tensor out, Tensor lse, Tensor q, Tensor k,
                             Tensor v, const AttentionPlan& plan, Tensor device_plan, const HeadLayout& heads, Tensor delta,
                             Stream stream) {
  const char* op = "attention_pack_backward";
  const PlanView view = plan_view(op, plan, device_plan, heads, false);
  const int64_t q_width = heads.num_heads * heads.head_size, kv_width = heads.num_kv_heads * heads.head_size;
  const auto check = [&](const char* name, Tensor t, int64_t cols, DType dtype) {
    check_matrix(op, name, t, plan.rows, cols);
    CHECK(t.dtype == dtype, "{}: {} is {}, wanted {}", op, name, dtype_name(t.dtype), dtype_name(dtype));
  };
  for (const auto& [name, t] : {std::pair{"dout", dout}, {"out", out}, {"q", q}}) check(name, t, q_width, q.dtype);
  for (const auto& [name, t] : {std::pair{"k", k}, {"v", v}}) check(name, t, kv_width, q.dtype);
  for (const auto& [name, t] : {std::pair{"dk", dk}, {"dv", dv}}) check(name, t, kv_width, DType::f32);
  for (const auto& [name, t] : {std::pair{"lse", lse}, {"delta", delta}}) check(name, t, heads.num_heads, DType::f32);
  check("dq", dq, q_width, DType::f32);
  if (plan.rows == 0) return;
  if (plan.queries < plan.rows)  // rows of no run
    check_status(cudaMemsetAsync(dq.data, 0, dq.bytes(), stream), "clear the gradient of queries");
  bool vectors = true;
  for (Tensor t : {dout, out, q, k, v, dq, dk, dv}) vectors = vectors && rows_align(t, heads.head_size, 8);
  with_storage(q.dtype, [&]<typename T>(T) {
    with_head_size(heads.head_size, [&]<int kD>(std::integral_constant<int, kD>) {
      const kernels::BackwardArguments<T> arguments{dq.f32(),      dk.f32(),   dv.f32(),   delta.f32(),
                                                    data_of<T>(dout), data_of<T>(out), data_of<T>(q), data_of<T>(k),
                                                    data_of<T>(v), lse.f32(),  view,       head_shape(heads, vectors)};
      const PackKeys<T> keys{data_of<T>(k), data_of<T>(v), static_cast<int>(kv_width), static_cast<int>(heads.head_size)};
      const auto start = [&](auto kernel, int64_t tiles, int tile_size, int at_once, size_t shared_bytes, const auto& more) {
        if (tiles == 0) return;
        launch(kernel,
               dim3(static_cast<unsigned>(tiles), static_cast<unsigned>(heads.num_kv_heads),
                    static_cast<unsigned>(tile_size / at_once)),
               kTileThreads, shared_bytes, stream, arguments, more);
      };
      const int rows = static_cast<int>(plan.rows);
      if constexpr (std::is_same_v<T, float>) {
        start(kernels::attention_backward_rows_f32<kD>, plan.whole_tiles, kTileRows, kRowsAtOnce, kernels::kRowsBytes<kD>, keys);
        start(kernels::attention_backward_keys_f32<kD>, plan.key_tiles, kTileKeys, kRowsAtOnce, kernels::kKeysBytes<kD>, rows);
      } else {
        using Tile = kernels::BackwardTile<kD>;
        start(kernels::attention_backward_rows_tensor<kD>, plan.whole_tiles, kTileRows, Tile::kRows, Tile::kRowBytes, keys);
        start(kernels::attention_backward_keys_tensor<kD>, plan.key_tiles, kTileKeys, Tile::kRows, Tile::kRowBytes, rows);
      }
    });
  });
}

}  // namespace cohort::cuda
