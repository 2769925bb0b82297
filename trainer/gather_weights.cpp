#include "trainer/gather_weights.h"

#include <algorithm>
#include <vector>

#include "model/stored_span.h"

namespace cohort {
namespace {

// Whole panels travel as they lie, from their place with one rank to that with another: they are neither unpacked nor packed again.
void gather_panels(std::span<const StoredSpan> stored, Comm& comm) {
  size_t rounds = 0;
  for (const StoredSpan& of_rank : stored) rounds = std::max(rounds, of_rank.in_place.size());
  std::vector<std::span<const std::byte>> send(stored.size());
  std::vector<std::span<std::byte>> receive(stored.size());
  const auto me = static_cast<size_t>(comm.rank());
  for (size_t round = 0; round < rounds; ++round) {
    for (size_t r = 0; r < stored.size(); ++r) {
      const auto part = [&](size_t rank) { return round < stored[rank].in_place.size() ? stored[rank].in_place[round] : std::span<std::byte>(); };
      if (r == me) continue;
      send[r] = part(me), receive[r] = part(r);
    }
    comm.all_to_all(send, receive, "weights");
  }
}

// All others, some of each rank at a time, so that they are flat in one small buffer only.
void gather_rest(WeightStore& store, std::span<const StoredSpan> stored, Comm& comm, int64_t exchange, const Exec& ex) {
  constexpr int64_t kTask = 1 << 16;
  const auto element = static_cast<int64_t>(dtype_size(store.dtype));
  struct Piece {
    ParamSpan span;
    int64_t at;  // element of the rank's part of the buffer
  };
  std::vector<std::vector<std::vector<Piece>>> all(stored.size());  // of each rank and round
  size_t rounds = 0;
  for (size_t r = 0; r < stored.size(); ++r) {
    int64_t at = exchange;
    for (const ParamSpan& span : stored[r].rest)
      for (int64_t begin = span.begin, count; begin < span.end; begin += count) {
        if (at == exchange) all[r].emplace_back(), at = 0;
        count = std::min({span.end - begin, exchange - at, kTask});
        all[r].back().push_back({{begin, begin + count}, at});
        at += count;
      }
    rounds = std::max(rounds, all[r].size());
  }
  std::vector<std::byte> space;
  std::vector<int64_t> offsets;
  for (size_t round = 0; round < rounds; ++round) {
    const auto pieces = [&](size_t r) { return round < all[r].size() ? std::span<const Piece>(all[r][round]) : std::span<const Piece>(); };
    offsets = {0};
    for (size_t r = 0; r < stored.size(); ++r) {
      const std::span<const Piece> of_rank = pieces(r);
      offsets.push_back(offsets.back() + (of_rank.empty() ? 0 : of_rank.back().at + of_rank.back().span.end - of_rank.back().span.begin) * element);
    }
    space.resize(std::max(space.size(), static_cast<size_t>(offsets.back())));
    const auto tensor = [&](size_t r, const Piece& piece) {
      return Tensor(space.data() + offsets[r] + piece.at * element, store.dtype, {piece.span.end - piece.span.begin});
    };
    const auto me = static_cast<size_t>(comm.rank());
    ex.pool->run(std::ssize(pieces(me)), [&](int64_t task, int) {
      const Piece& piece = pieces(me)[static_cast<size_t>(task)];
      copy_weights(store, piece.span.begin, tensor(me, piece));
    });
    comm.all_gather_spans({space.data(), static_cast<size_t>(offsets.back())}, offsets, "weights");
    for (size_t r = 0; r < stored.size(); ++r)
      if (r != me)
        for (const Piece& piece : pieces(r)) set_weights(store, piece.span.begin, tensor(r, piece), ex);
  }
}

}  // namespace

void gather_weights(WeightStore& store, std::span<const ParamSpan> owned, Comm& comm, int64_t exchange, const Exec& ex) {
  std::vector<StoredSpan> stored;
  for (const ParamSpan& span : owned) stored.push_back(stored_span(store, span));
  gather_panels(stored, comm);
  gather_rest(store, stored, comm, exchange, ex);
}

}  // namespace cohort
