// Numbers of one stored type to another, with one rounding and a look for what is not finite.
#pragma once

#include <cstddef>

#include "model/formats/stored_dtype.h"

namespace cohort {

// out[i] = in[i] for `count` numbers, rounded once to the nearest (ties to even); equal types are copied byte for byte.
// Neither side needs alignment. Returns the place of the first result that is NaN or infinite, or `count`.
size_t convert_numbers(StoredDType from, const void* in, StoredDType to, void* out, size_t count);

// The number at `index`, for messages.
float stored_number(StoredDType dtype, const void* numbers, size_t index);

}  // namespace cohort
