// What a stored tensor may be as a weight, and the refusal of one of its numbers.
#include <fmt/ranges.h>

#include <cmath>

#include "core/check.h"
#include "model/formats/convert_numbers.h"
#include "model/formats/in_quotes.h"
#include "model/formats/safetensors.h"

namespace cohort {

void refuse_not_finite(const StoredTensor& stored, StoredDType dtype, std::string_view where, size_t index, bool to_bf16) {
  std::vector<int64_t> place(stored.shape.size());
  int64_t rest = static_cast<int64_t>(index);
  for (size_t d = place.size(); d-- > 0; rest /= stored.shape[d]) place[d] = rest % stored.shape[d];
  const float value = stored_number(dtype, stored.data.data(), index);
  if (to_bf16 && std::isfinite(value))
    fail(ExitCode::kInput, "{}: element [{}] is {}, beyond the largest bfloat16; load it with dtype float32", where,
         fmt::join(place, ", "), value);
  fail(ExitCode::kInput, "{}: element [{}] is {}; a model with such a weight computes nothing: is the checkpoint broken?",
       where, fmt::join(place, ", "), value);
}

StoredDType weight_dtype(const StoredTensor& stored, std::string_view where) {
  const std::optional<StoredDType> dtype = stored_dtype_of_file(stored.dtype);
  CHECK_INPUT(dtype.has_value(), "{}: dtype {} is not supported for weights; supported are F32, F16, BF16", where,
              in_quotes(stored.dtype));
  return *dtype;
}

}  // namespace cohort
