// Reads the weights of a model folder into memory: each tensor used exactly once, none missing, shapes equal, numbers
// finite.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/threads.h"
#include "model/formats/safetensors.h"
#include "model/formats/stored_dtype.h"

namespace cohort {

// What old exports carry beside the weights: tables of rotary frequencies, which config.json says as well.
inline constexpr std::string_view kRotaryTable = ".rotary_emb.inv_freq";

// A tensor that the model has, and where its numbers go.
struct WeightTarget {
  std::string name;
  std::vector<int64_t> shape;
  void* out = nullptr;  // all of them, in the dtype of the call
};

// What check_weights lets pass beside the targets. A tied checkpoint may carry its head all the same; it must then be the
// embedding, bit for bit.
struct TiedWeights {
  std::string copy, original;  // "": not tied; a copy without an original may be there and be anything: what is made of the folder lacks it
};

// The folder holds every target in its shape and a dtype that weights have, and nothing else but `tied.copy` and
// names that end in kRotaryTable. Exit code 3 otherwise, naming the first tensors and how many there are. `where`: the folder.
void check_weights(const SafetensorsFolder& folder, std::span<const WeightTarget> targets, const TiedWeights& tied,
                   std::string_view where);

// Converts into memory, `to` f32 or bf16, on the pool's threads, dropping the file's pages behind it: beside the targets
// the process holds a few MB. After check_weights. NaN, infinite, or finite but beyond bfloat16: exit code 3 with file, tensor
// and place, the first of the first target that has one.
void read_weights(const SafetensorsFolder& folder, std::span<const WeightTarget> targets, StoredDType to,
                  std::string_view where, ThreadPool& pool);

}  // namespace cohort
