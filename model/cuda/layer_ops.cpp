// The ops of a layer as their entries call them (ops/gpu.h): what the host gives as spans goes to the device, and scratch
// memory is taken.
#include <algorithm>

#include "core/check.h"
#include "model/cuda/attention.h"
#include "model/cuda/elementwise.h"
#include "model/cuda/gated.h"
#include "model/cuda/gpu.h"
#include "model/cuda/norm.h"
#include "model/cuda/rope.h"
#include "model/ops/gpu.h"

namespace cohort::gpu {
namespace {

void check_ids(const char* op, std::span<const int32_t> ids, int64_t limit) {
  for (const int32_t id : ids) CHECK(id >= 0 && id < limit, "{}: row {} of {}", op, id, limit);
}

}  // namespace

// --- elementwise.h -------------------------------------------------------------------------------------------------

void embedding(Tensor x, std::span<const int32_t> tokens, Tensor table, float scale, Gpu& gpu) {
  gpu.begin_op();
  check_ids("embedding", tokens, table.rows());
  cuda::embedding(x, gpu.carry(tokens), table, gpu.stream(), scale);
}

void embedding_backward(Tensor dtable, const KeptRows& kept, Tensor dx, std::span<const int32_t> tokens, float scale,
                        std::span<const RowPart> parts, Gpu& gpu) {
  gpu.begin_op();
  const cuda::EmbeddingOrder order = cuda::embedding_order(tokens, kept.rows, dtable.rows(), parts);
  cuda::embedding_backward(dtable, kept.sums, dx, order, gpu.carry(order.numbers), gpu.stream(), scale);
}

void add_bias(Tensor y, Tensor bias, Gpu& gpu) { cuda::add_bias(y, bias, gpu.stream()); }

void bias_backward(Tensor dbias, Tensor dy, std::span<const RowPart> parts, Gpu& gpu) {
  gpu.begin_op();
  const Tensor scratch = gpu.scratch(DType::f32, cuda::bias_backward_scratch(dy.rows(), dy.cols(), parts));
  cuda::bias_backward(dbias, dy, scratch, gpu.stream(), parts);
}

void cast(Tensor y, Tensor x, Gpu& gpu) { cuda::cast(y, x, gpu.stream()); }

void gather_rows(Tensor y, Tensor x, std::span<const int32_t> rows, Tensor other, Gpu& gpu) {
  if (rows.empty()) return;
  gpu.begin_op();
  for (const int32_t row : rows)
    CHECK(row < x.rows() && -1 - row < (other ? other.rows() : 0), "gather_rows: row {} of {}, or {} of others", row, x.rows(),
          other ? other.rows() : 0);
  cuda::gather_rows(y, x, gpu.carry(rows), gpu.stream(), other);
}

void scatter_add_rows(Tensor dx, Tensor dy, std::span<const int32_t> rows, Gpu& gpu) {
  gpu.begin_op();
  const cuda::EmbeddingOrder order = cuda::scatter_order(rows, dx.rows());
  cuda::scatter_add_rows(dx, dy, order, gpu.carry(order.numbers), gpu.stream());
}

// --- gated.h -------------------------------------------------------------------------------------------------------

void swiglu(Tensor y, Tensor gate_up, Gpu& gpu) { cuda::swiglu(y, gate_up, gpu.stream()); }
void swiglu_backward(Tensor dgate_up, Tensor y, Tensor dy, Tensor gate_up, Gpu& gpu) {
  cuda::swiglu_backward(dgate_up, y, dy, gate_up, gpu.stream());
}
void geglu(Tensor y, Tensor gate_up, Gpu& gpu) { cuda::geglu(y, gate_up, gpu.stream()); }
void geglu_backward(Tensor dgate_up, Tensor y, Tensor dy, Tensor gate_up, Gpu& gpu) {
  cuda::geglu_backward(dgate_up, y, dy, gate_up, gpu.stream());
}

// --- norm.h --------------------------------------------------------------------------------------------------------

void rmsnorm(Tensor y, Tensor rstd, Tensor x, Tensor gain, const NormParams& params, Gpu& gpu) {
  cuda::rmsnorm(y, rstd, x, gain, params, gpu.stream());
}
void rmsnorm_add(Tensor sum, Tensor rstd, Tensor x, Tensor gain, const NormParams& params, Gpu& gpu) {
  cuda::rmsnorm_add(sum, rstd, x, gain, params, gpu.stream());
}
void rmsnorm_backward(Tensor dx, Tensor dgain, Tensor dy, Tensor x, Tensor gain, Tensor rstd, float offset,
                      std::span<const RowPart> parts, Gpu& gpu) {
  gpu.begin_op();
  const Tensor scratch = gpu.scratch(DType::f32, cuda::rmsnorm_backward_scratch(x.rows(), x.cols(), parts));
  cuda::rmsnorm_backward(dx, dgain, dy, x, gain, rstd, offset, scratch, gpu.stream(), parts);
}
void qk_norm(Tensor qkv, Tensor raw, Tensor rstd, Tensor q_gain, Tensor k_gain, const QkHeads& heads,
             const NormParams& params, Gpu& gpu) {
  cuda::qk_norm(qkv, raw, rstd, q_gain, k_gain, heads, params, gpu.stream());
}
void qk_norm_backward(Tensor dqkv, Tensor dq_gain, Tensor dk_gain, Tensor raw, Tensor rstd, Tensor q_gain, Tensor k_gain,
                      const QkHeads& heads, float offset, std::span<const RowPart> parts, Gpu& gpu) {
  gpu.begin_op();
  const Tensor scratch = gpu.scratch(DType::f32, cuda::qk_norm_backward_scratch(dqkv.rows(), heads.head_size, parts));
  cuda::qk_norm_backward(dqkv, dq_gain, dk_gain, raw, rstd, q_gain, k_gain, heads, offset, scratch, gpu.stream(), parts);
}

// --- rope.h --------------------------------------------------------------------------------------------------------

void rope_split(Tensor q, Tensor k, Tensor v, Tensor qkv, std::span<const int32_t> positions,
                std::span<const float> inverse_frequency, int64_t num_heads, int64_t num_kv_heads, Gpu& gpu) {
  gpu.begin_op();
  cuda::rope_split(q, k, v, qkv, gpu.carry(positions), gpu.carry(inverse_frequency), num_heads, num_kv_heads, gpu.stream());
}
void rope_split_backward(Tensor dqkv, Tensor dq, Tensor dk, Tensor dv, std::span<const int32_t> positions,
                         std::span<const float> inverse_frequency, int64_t num_heads, int64_t num_kv_heads, Gpu& gpu) {
  gpu.begin_op();
  cuda::rope_split_backward(dqkv, dq, dk, dv, gpu.carry(positions), gpu.carry(inverse_frequency), num_heads, num_kv_heads,
                            gpu.stream());
}

// --- matmul.h ------------------------------------------------------------------------------------------------------

void matmul(Tensor y, Tensor x, const PackedWeight& w, bool accumulate, Gpu& gpu) {
  cuda::matmul(y, x, w.flat, gpu.products(), gpu.stream(), accumulate);
}
void matmul_backward_input(Tensor dx, Tensor dy, const PackedWeight& w, bool accumulate, Gpu& gpu) {
  cuda::matmul_backward_input(dx, dy, w.flat, gpu.products(), gpu.stream(), accumulate);
}
void matmul_backward_weight(Tensor dw, Tensor dy, Tensor x, std::span<const RowPart> parts, Gpu& gpu) {
  gpu.begin_op();
  const Tensor scratch = gpu.scratch(DType::f32, cuda::matmul_backward_weight_scratch(dw.rows(), dw.cols(), parts));
  cuda::matmul_backward_weight(dw, dy, x, gpu.products(), scratch, gpu.stream(), parts);
}

void check_rows_alike(const PackedWeight& w, DType forward_out, DType input_out, Gpu& gpu) {
  if (gpu.products().numerics() == Numerics::fast) return;  // which promises nothing of the kind
  cuda::check_rows_alike(cuda::Direction::forward, w.flat, forward_out, gpu.products(), gpu.stream());
  cuda::check_rows_alike(cuda::Direction::input, w.flat, input_out, gpu.products(), gpu.stream());
}

// --- attention.h ---------------------------------------------------------------------------------------------------

void store_cached(const KeyPages& cache, Tensor k, Tensor v, std::span<const CachedRun> runs, const HeadLayout& heads,
                  Gpu& gpu) {
  gpu.begin_op();
  const cuda::AttentionPlan& plan = gpu.plan(runs, k.rows(), cache.page_tokens, heads);
  cuda::store_cached(cache, k, v, plan, gpu.carry(plan.numbers), heads, gpu.stream());
}

void attention_cached(Tensor out, Tensor q, const KeyPages& cache, std::span<const CachedRun> runs, const HeadLayout& heads,
                      Tensor lse, Gpu& gpu) {
  gpu.begin_op();
  const cuda::AttentionPlan& plan = gpu.plan(runs, q.rows(), cache.page_tokens, heads);
  const Tensor scratch = gpu.scratch(DType::f32, cuda::attention_cached_scratch(plan, heads));
  cuda::attention_cached(out, q, cache, plan, gpu.carry(plan.numbers), heads, scratch, gpu.stream(), lse);
}

void attention_pack(Tensor out, Tensor lse, Tensor q, Tensor k, Tensor v, std::span<const PackRun> runs,
                    const HeadLayout& heads, Gpu& gpu) {
  gpu.begin_op();
  const cuda::AttentionPlan& plan = gpu.plan(runs, q.rows(), heads);
  cuda::attention_pack(out, lse, q, k, v, plan, gpu.carry(plan.numbers), heads, gpu.stream());
}

void attention_pack_backward(Tensor dq, Tensor dk, Tensor dv, Tensor dout, Tensor out, Tensor lse, Tensor q, Tensor k,
                             Tensor v, std::span<const PackRun> runs, const HeadLayout& heads, Gpu& gpu) {
  gpu.begin_op();
  const cuda::AttentionPlan& plan = gpu.plan(runs, q.rows(), heads);
  const Tensor delta = gpu.scratch(DType::f32, q.rows(), heads.num_heads);
  cuda::attention_pack_backward(dq, dk, dv, dout, out, lse, q, k, v, plan, gpu.carry(plan.numbers), heads, delta,
                                gpu.stream());
}

}  // namespace cohort::gpu
