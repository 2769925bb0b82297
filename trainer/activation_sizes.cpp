#include "trainer/activation_sizes.h"

namespace cohort {

int64_t rollout_activations(const Sizes& s, int64_t rows, int64_t sequences, bool filters) {
  const int64_t qkv = s.width + 2 * s.kv_width;
  const int64_t outputs = s.sandwich_norms ? 2 * s.C : 0;
  return rows * (4 * (s.C + qkv + outputs) + s.act * (2 * s.C + qkv + s.width + 3 * s.F)) +
         sequences * (s.act * s.C + (filters ? 4 * s.V : 0));
}

int64_t training_activations(const Sizes& s, int64_t rows, Kept kept) {
  const int64_t qkv = s.width + 2 * s.kv_width;
  int64_t layer = 4 * (2 * s.C + s.heads + 2) + s.act * (2 * s.C + qkv + s.width + 2 * s.F);
  int64_t once =
      4 * (s.C + 1 + qkv + 2 * s.C + qkv + s.C) + s.act * (2 * s.C + s.C + s.width + qkv + 4 * s.F);
  if (s.qk_norm) layer += 4 * (s.width + s.kv_width + s.heads + s.kv_heads), once += 4 * qkv;
  if (s.sandwich_norms) layer += 4 * (2 * s.C + 2), once += 4 * s.C;
  const int64_t input = 4 * s.C;
  switch (kept) {
    case Kept::all_layers: return rows * (once + s.L * layer);
    case Kept::inputs_and_one_layer: return rows * (once + s.L * input + layer - input);
    case Kept::all_layers_and_one: return rows * (once + (s.L + 1) * layer);
    case Kept::one_layer: return rows * (once + layer);
  }
  return 0;
}

}  // namespace cohort
