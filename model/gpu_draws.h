// GpuDraws: tokens that are drawn on a GPU and come to the host later, so that the next pass is on its way before anybody
// waits for them: it takes them where they are (forward_cached). Implemented by model/cuda, or by no_cuda.cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "model/ops/sample.h"
#include "model/tensor.h"

namespace cohort {

class Gpu;

class GpuDraws {
 public:
  // Of up to `rows` rows at a time, on the GPU that is open.
  explicit GpuDraws(int64_t rows);
  ~GpuDraws();
  GpuDraws(const GpuDraws&) = delete;
  GpuDraws& operator=(const GpuDraws&) = delete;

  static constexpr int kUnread = 2;  // draws that may wait to be read
  // As the ops of the same name (ops/sample.h), but for the result: it is that of the last draw until the next one. Nothing is
  // copied to or from the host but the keys, which are carried there (Gpu::carry).
  void sample_tokens(Tensor logits, const SamplingParams& params, std::span<const DrawKey> keys, const Ban& ban);
  void sample_head(Tensor h, const PackedWeight& w, float softcap, const SamplingParams& params, std::span<const DrawKey> keys,
                   const Ban& ban);
  // Sends the first rows of the last draw, of `drawn` rows, to the host: those with these keys. To be read later.
  void send(std::span<const DrawKey> keys, int64_t drawn, float temperature);
  // The tokens of the draw that was sent last (B) i32, on the device; valid until the next draw. Null: none yet.
  Tensor tokens() const;
  // The first draw that was sent and not read yet: waits for it, not for what came after it. Throws what the ops do.
  void read(std::span<SampledToken> out);
  // None of those sent will be read.
  void forget();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

namespace gpu {

// embedding (ops/elementwise.h) where a negative token, -1 - i, is drawn[i]: one that the host does not know yet. Whoever has
// `drawn` looks that i is a row of it (begin_pass).
void embedding_of_drawn(Tensor x, std::span<const int32_t> tokens, Tensor drawn, Tensor table, float scale, Gpu& gpu);

}  // namespace gpu
}  // namespace cohort
