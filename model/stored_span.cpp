#include "model/stored_span.h"

#include <algorithm>

#include "model/ops/packed_part.h"

namespace cohort {

StoredSpan stored_span(WeightStore& store, ParamSpan span) {
  StoredSpan stored;
  int64_t done = span.begin;
  for (const WeightPiece& piece : store.pieces) {
    const int64_t from = std::max(span.begin, piece.begin), to = std::min(span.end, piece.end);
    if (from >= to || piece.packed == nullptr) continue;
    const PackedPart part = whole_panels(*piece.packed, from - piece.begin, to - piece.begin);
    if (part.bytes.empty()) continue;
    if (done < piece.begin + part.begin) stored.rest.push_back({done, piece.begin + part.begin});
    done = piece.begin + part.end;
    std::span<std::byte>* const last = stored.in_place.empty() ? nullptr : &stored.in_place.back();
    if (last != nullptr && last->data() + last->size() == part.bytes.data()) {  // a model's packed weights are one in memory
      *last = {last->data(), last->size() + part.bytes.size()};
    } else {
      stored.in_place.push_back(part.bytes);
    }
  }
  if (done < span.end) stored.rest.push_back({done, span.end});
  return stored;
}

}  // namespace cohort
