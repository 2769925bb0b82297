// The language-model head on the GPU (head.h): products by cuBLASLt, a block a row of each chunk for what is between them.
#include "model/cuda/head.h"

#include <cmath>

#include "model/cuda/head_sweep.cuh"
#include "model/cuda/part_products.h"
#include "model/cuda/platform/launch.cuh"

namespace cohort::cuda {
namespace kernels {

constexpr int kThreads = 256;

// Row blockIdx.x of one chunk, columns [begin, begin + count) of the vocabulary.
__global__ void __launch_bounds__(kStatsThreads)
    head_chunk(ChunkStats* __restrict__ stats, float* __restrict__ target_logit, const float* __restrict__ logits,
               const int32_t* __restrict__ targets, int64_t begin, int count, LogitScale scale) {
  const int64_t r = blockIdx.x;
  const float* row = logits + r * count;
  const ChunkStats chunk = chunk_stats(row, count, scale);
  if (threadIdx.x != 0) return;
  stats[r] = chunk;
  const int64_t target = targets[r] - begin;
  if (target >= 0 && target < count) target_logit[r] = row[target];
}

__global__ void __launch_bounds__(kThreads)
    head_rows(float* __restrict__ logprob, float* __restrict__ entropy, float* __restrict__ lse,
              const ChunkStats* __restrict__ stats, const float* __restrict__ target_logit,
              const int32_t* __restrict__ targets, int rows, int64_t vocab, int chunks, LogitScale scale) {
  const int r = blockIdx.x * kThreads + threadIdx.x;
  if (r >= rows) return;
  const RowSummary row = combine_chunks(stats + r, chunks, rows);
  const bool inside = targets[r] >= 0 && targets[r] < vocab;
  logprob[r] = inside ? scaled(target_logit[r], scale) - row.lse : not_a_number();
  if (entropy != nullptr) entropy[r] = row.entropy;
  lse[r] = row.lse;
}

// dL/dlogit = (dL/dlogprob (1[column = target] - p) - dL/dentropy p (log p + entropy)) / temperature, times the cap's slope: of the
// logits before the cap. `of_entropy` may be null: zeros.
template <typename A>
__global__ void __launch_bounds__(kThreads)
    logit_gradient(A* __restrict__ dlogits, const float* __restrict__ logits, const int32_t* __restrict__ targets,
                   const float* __restrict__ logprob, const float* __restrict__ entropy, const float* __restrict__ lse,
                   const float* __restrict__ of_logprob, const float* __restrict__ of_entropy, int64_t begin, int count,
                   LogitScale scale) {
  const int64_t r = blockIdx.x;
  const float g = of_logprob[r], factor = g * scale.inverse_temperature, row_lse = lse[r];
  const float e = of_entropy != nullptr ? of_entropy[r] : 0.0f, entropy_factor = e * scale.inverse_temperature;
  const int64_t target = targets[r] - begin;
  for (int c = threadIdx.x; c < count; c += kThreads) {
    float d = 0;
    if (g != 0 || e != 0) {
      const float logit = capped(logits[r * count + c], scale);
      const float log_p = c == target ? logprob[r] : logit * scale.inverse_temperature - row_lse, p = expf(log_p);
      // 1 - p without cancellation at the target.
      d = -factor * (c == target ? expm1f(log_p) : p);
      // p log p is 0 long before log p is out of bounds.
      if (e != 0) d -= entropy_factor * p * (fmaxf(-104.0f, log_p) + entropy[r]);
      if (scale.softcap > 0) {
        const float t = __fdiv_rn(logit, scale.softcap);
        d *= __fmaf_rn(-t, t, 1.0f);
      }
    }
    store_as(dlogits + r * count + c, d);
  }
}

__global__ void __launch_bounds__(kThreads)
    copy_capped(float* __restrict__ to, const float* __restrict__ logits, int64_t vocab, int64_t begin, int count,
                LogitScale scale) {
  const int64_t r = blockIdx.x;
  for (int c = threadIdx.x; c < count; c += kThreads)
    to[r * vocab + begin + c] = capped(logits[r * count + c], scale);
}

// Row i of `to` is row rows[i] - begin of `from`.
__global__ void __launch_bounds__(kThreads)
    copy_kept(float* __restrict__ to, const float* __restrict__ from, const int32_t* __restrict__ rows, int64_t begin,
              int columns) {
  const int64_t i = blockIdx.x, row = rows[i] - begin;
  for (int c = threadIdx.x; c < columns; c += kThreads) to[i * columns + c] = from[row * columns + c];
}

}  // namespace kernels

namespace {

LogitScale logit_scale(const char* op, float softcap, float temperature) {
  CHECK(temperature > 0 && std::isfinite(1.0f / temperature), "{}: temperature {}, must be positive", op, temperature);
  return {softcap, 1.0f / temperature};
}

void check_vector(const char* op, const char* name, Tensor t, int64_t rows, DType dtype) {
  CHECK(t.size() == rows && t.dtype == dtype, "{}: {} is {} numbers of {}, wanted {} of {}", op, name, t.size(),
        dtype_name(t.dtype), rows, dtype_name(dtype));
  check_on_device(op, name, t);
}

}  // namespace

void check_head(const char* op, Tensor h, Tensor w, float softcap) {
  CHECK(h.dtype == w.dtype && h.cols() == w.cols() && w.rows() > 0, "{}: h is {} ({}, {}), the weight {} ({}, {})",
        op, dtype_name(h.dtype), h.rows(), h.cols(), dtype_name(w.dtype), w.rows(), w.cols());
  check_on_device(op, "h", h);
  check_on_device(op, "the weight", w);
  CHECK(softcap >= 0 && std::isfinite(softcap), "{}: softcap {}, must be positive, or 0 for none", op, softcap);
  CHECK(h.rows() <= INT32_MAX && w.rows() <= INT32_MAX, "{}: {} rows of {} tokens", op, h.rows(), w.rows());
}

int64_t head_scratch(int64_t rows, int64_t vocab) {
  return Pieces::numbers_for<float>(rows * std::min<int64_t>(kHeadChunk, vocab)) +
         Pieces::numbers_for<ChunkStats>(rows * head_chunks(vocab)) + Pieces::numbers_for<float>(rows);
}

void head_logits(Tensor logits, Tensor h, Tensor w, float softcap, Products& products, Tensor scratch, Stream stream) {
  const char* op = "head_logits";
  const int64_t rows = h.rows(), V = w.rows();
  check_head(op, h, w, softcap);
  check_matrix(op, "logits", logits, rows, V);
  Pieces pieces(op, scratch, head_scratch(rows, V));
  if (rows == 0) return;
  sweep_head(h, w, pieces.take<float>(rows * std::min<int64_t>(kHeadChunk, V)), products, stream,
             [&](int64_t begin, int count, const float* chunk) {
               launch(kernels::copy_capped, static_cast<unsigned>(rows), kernels::kThreads, 0, stream, logits.f32(), chunk,
                      V, begin, count, LogitScale{softcap, 1});
             });
}

void head_logprobs(const HeadRows& out, Tensor h, Tensor w, Tensor targets, float temperature, float softcap,
                   Products& products, Tensor scratch, Stream stream) {
  const char* op = "head_logprobs";
  const int64_t rows = h.rows(), V = w.rows();
  check_head(op, h, w, softcap);
  const LogitScale scale = logit_scale(op, softcap, temperature);
  check_vector(op, "targets", targets, rows, DType::i32);
  check_vector(op, "logprob", out.logprob, rows, DType::f32);
  check_vector(op, "lse", out.lse, rows, DType::f32);
  if (out.entropy) check_vector(op, "entropy", out.entropy, rows, DType::f32);
  Pieces pieces(op, scratch, head_scratch(rows, V));
  if (rows == 0) return;
  float* room = pieces.take<float>(rows * std::min<int64_t>(kHeadChunk, V));
  ChunkStats* stats = pieces.take<ChunkStats>(rows * head_chunks(V));
  float* target_logit = pieces.take<float>(rows);
  sweep_head(h, w, room, products, stream, [&](int64_t begin, int count, const float* chunk) {
    launch(kernels::head_chunk, static_cast<unsigned>(rows), kStatsThreads, 0, stream, stats + begin / kHeadChunk * rows,
           target_logit, chunk, targets.i32(), begin, count, scale);
  });
  launch(kernels::head_rows, blocks_for(rows, kernels::kThreads), kernels::kThreads, 0, stream, out.logprob.f32(),
         out.entropy ? out.entropy.f32() : nullptr, out.lse.f32(), stats, target_logit, targets.i32(),
         static_cast<int>(rows), V, static_cast<int>(head_chunks(V)), scale);
}

int64_t head_backward_scratch(int64_t rows, int64_t vocab, int64_t hidden, std::span<const RowPart> parts,
                              bool keeps_rows) {
  const int64_t chunk = std::min<int64_t>(kHeadChunk, vocab);
  return 2 * Pieces::numbers_for<float>(rows * chunk) +
         Pieces::numbers_for<float>(part_products_scratch(chunk, hidden, parts, keeps_rows));
}

void head_backward(Tensor dh, Tensor dw, Tensor h, Tensor w, Tensor targets, const HeadRows& rows, const HeadGradients& gradients,
                   float temperature, float softcap, Products& products, Tensor scratch, Stream stream,
                   std::span<const RowPart> parts, const HeadKeptRows& kept) {
  const char* op = "head_backward";
  const int64_t n = h.rows(), V = w.rows(), C = w.cols(), kept_rows = static_cast<int64_t>(kept.rows.size());
  const int64_t part_count = std::max<int64_t>(1, static_cast<int64_t>(parts.size()));
  check_head(op, h, w, softcap);
  const LogitScale scale = logit_scale(op, softcap, temperature);
  check_row_parts(op, parts, n);
  check_matrix(op, "dh", dh, n, C);
  check_matrix(op, "dw", dw, V, C);
  check_vector(op, "targets", targets, n, DType::i32);
  check_vector(op, "logprob", rows.logprob, n, DType::f32);
  check_vector(op, "lse", rows.lse, n, DType::f32);
  check_vector(op, "the gradient of log-probs", gradients.of_logprob, n, DType::f32);
  if (gradients.of_entropy) {
    check_vector(op, "the gradient of entropies", gradients.of_entropy, n, DType::f32);
    check_vector(op, "entropy", rows.entropy, n, DType::f32);
  }
  CHECK(dh.dtype == DType::f32 && dw.dtype == DType::f32, "{}: gradients in {} and {}, wanted float32", op,
        dtype_name(dh.dtype), dtype_name(dw.dtype));
  if (kept_rows > 0) {
    check_vector(op, "the kept rows", kept.device_rows, kept_rows, DType::i32);
    check_matrix(op, "the kept sums", kept.sums, part_count * kept_rows, C);
    CHECK(std::ranges::is_sorted(kept.rows) && kept.rows.front() >= 0 && kept.rows.back() < V,
          "{}: kept rows of a vocabulary of {} that do not ascend in it", op, V);
  }
  Pieces pieces(op, scratch, head_backward_scratch(n, V, C, parts, kept_rows > 0));
  const int64_t chunk = std::min<int64_t>(kHeadChunk, V);
  float *room = pieces.take<float>(n * chunk), *dlogits = pieces.take<float>(n * chunk);
  const int64_t sums = part_products_scratch(chunk, C, parts, kept_rows > 0);
  const Tensor waiting(pieces.take<float>(sums), DType::f32, {sums}, Device::cuda);
  sweep_head(h, w, room, products, stream, [&](int64_t begin, int count, const float* logits) {
    const Tensor d(dlogits, h.dtype, {n, count}, Device::cuda);
    if (n > 0) {
      with_storage(h.dtype, [&]<typename A>(A) {
        launch(kernels::logit_gradient<A>, static_cast<unsigned>(n), kernels::kThreads, 0, stream, data_of<A>(d), logits,
               targets.i32(), rows.logprob.f32(), gradients.of_entropy ? rows.entropy.f32() : nullptr, rows.lse.f32(),
               gradients.of_logprob.f32(), gradients.of_entropy ? gradients.of_entropy.f32() : nullptr, begin, count, scale);
      });
    }
    matmul_backward_input(dh, d, w.slice_rows(begin, count), products, stream, begin > 0);
    const auto first = std::ranges::lower_bound(kept.rows, begin), last = std::ranges::lower_bound(kept.rows, begin + count);
    const int64_t at = first - kept.rows.begin(), some = last - first;
    const auto look = [&](int64_t part, const float* sum) {
      if (some == 0) return;
      launch(kernels::copy_kept, static_cast<unsigned>(some), kernels::kThreads, 0, stream,
             kept.sums.f32() + (part * kept_rows + at) * C, sum, kept.device_rows.i32() + at, begin, static_cast<int>(C));
    };
    part_products(dw.slice_rows(begin, count), d, h, products, waiting, stream, parts,
                  kept_rows > 0 ? PartSum(look) : PartSum());
  });
}

}  // namespace cohort::cuda
