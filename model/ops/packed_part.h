// The part of a packed weight's memory that holds some of its elements and no others: what can be sent as it lies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "model/ops/matmul.h"

namespace cohort {

// Elements [begin, end) of a packed weight, and the memory that holds these and no others, byte for byte the same in every process of a program.
struct PackedPart {
  int64_t begin = 0, end = 0;
  std::span<std::byte> bytes;
};

// The most of elements [begin, end) that lies so: whole panels. Nothing where a panel takes more than its elements.
PackedPart whole_panels(PackedWeight& packed, int64_t begin, int64_t end);

}  // namespace cohort
