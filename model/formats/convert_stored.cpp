// Stored numbers to numbers in memory.
#include <bit>
#include <cstring>

#include "core/check.h"
#include "model/formats/half.h"
#include "model/formats/in_quotes.h"
#include "model/formats/safetensors.h"
#include "model/tensor.h"

namespace cohort {
namespace {

// Files promise no alignment, so each element is copied out before it is looked at.
template <typename Stored, typename Convert, typename Out>
void convert_all(std::span<const std::byte> data, Out* out, Convert convert) {
  const size_t count = data.size() / sizeof(Stored);
  for (size_t i = 0; i < count; ++i) {
    Stored stored;
    std::memcpy(&stored, data.data() + i * sizeof(Stored), sizeof(Stored));
    out[i] = convert(stored);
  }
}

template <typename Stored, typename ToFloat>
void convert_to(std::span<const std::byte> data, bool as_bf16, void* out, ToFloat to_f32) {
  if (as_bf16)
    convert_all<Stored>(data, static_cast<bf16*>(out),
                        [&](Stored value) { return to_bf16(to_f32(value)); });
  else
    convert_all<Stored>(data, static_cast<float*>(out), to_f32);
}

}  // namespace

void convert_stored(const StoredTensor& stored, std::string_view where, bool to_bf16, void* out) {
  const bool is_bf16 = stored.dtype == "BF16", is_f32 = stored.dtype == "F32";
  if ((is_bf16 && to_bf16) || (is_f32 && !to_bf16)) {
    if (!stored.data.empty()) std::memcpy(out, stored.data.data(), stored.data.size());
  } else if (is_bf16) {
    convert_to<uint16_t>(stored.data, false, out,
                         [](uint16_t bits) { return to_float(bf16{bits}); });
  } else if (is_f32) {
    convert_to<float>(stored.data, true, out, [](float value) { return value; });
  } else if (stored.dtype == "F16") {
    convert_to<uint16_t>(stored.data, to_bf16, out, half_to_float);
  } else {
    fail(ExitCode::kInput,
         "{}: dtype {} is not supported for weights; supported are F32, F16, BF16", where,
         in_quotes(stored.dtype));
  }
}

}  // namespace cohort
