#include "model/formats/read_weights.h"

#include <fmt/ranges.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <unordered_map>

#include "core/check.h"
#include "model/formats/convert_numbers.h"
#include "model/formats/in_quotes.h"

namespace cohort {
namespace {

std::string shape_text(const std::vector<int64_t>& shape) { return fmt::format("({})", fmt::join(shape, ", ")); }

// The first few of `names`, in quotes, and how many there are beside them.
std::string some_of(const std::vector<std::string>& names) {
  constexpr size_t kShown = 3;
  std::string text;
  for (size_t i = 0; i < std::min(kShown, names.size()); ++i) text += (i > 0 ? ", " : "") + in_quotes(names[i]);
  return names.size() > kShown ? text + fmt::format(" and {} more", names.size() - kShown) : text;
}

void check_tied(const SafetensorsFolder& folder, const TiedWeights& tied, std::string_view where) {
  const auto copy = folder.tensors().find(tied.copy), original = folder.tensors().find(tied.original);
  CHECK(original != folder.tensors().end(), "{} is tied to {}, which is no weight", tied.copy, tied.original);
  const StoredTensor &a = copy->second, &b = original->second;
  CHECK_INPUT(a.dtype == b.dtype && a.shape == b.shape && std::memcmp(a.data.data(), b.data.data(), b.data.size()) == 0,
              "{}: {} differs from {}, but config.json says tie_word_embeddings: true; if the head is its own, set it to "
              "false",
              where, tied.copy, tied.original);
}

// The whole pages of the map that lie in `bytes` leave the process; they stay in the page cache.
void drop_pages(std::span<const std::byte> bytes) {
  static const uintptr_t page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(bytes.data()) + page - 1) / page * page;
  const uintptr_t end = reinterpret_cast<uintptr_t>(bytes.data() + bytes.size()) / page * page;
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);  // a hint
}

struct Piece {
  size_t target;
  size_t begin, count;  // numbers
};

}  // namespace

void check_weights(const SafetensorsFolder& folder, std::span<const WeightTarget> targets, const TiedWeights& tied,
                   std::string_view where) {
  std::vector<std::string> missing, unknown;
  std::unordered_map<std::string_view, const WeightTarget*> known;
  for (const WeightTarget& target : targets) {
    known.emplace(target.name, &target);
    if (!folder.tensors().contains(target.name)) missing.push_back(target.name);
  }
  for (const auto& [name, tensor] : folder.tensors()) {
    const bool is_copy = !tied.copy.empty() && name == tied.copy;
    if (!known.contains(name) && !is_copy && !name.ends_with(kRotaryTable)) unknown.push_back(name);
  }
  CHECK_INPUT(missing.empty() || unknown.empty(),
              "{}: {} is missing, and the model that config.json describes has no {}: another kind of model?", where,
              some_of(missing), some_of(unknown));
  CHECK_INPUT(missing.empty(), "{}: {} is missing", where, some_of(missing));
  CHECK_INPUT(unknown.empty(), "{}: the model that config.json describes has no {}", where, some_of(unknown));

  for (const WeightTarget& target : targets) {
    const StoredTensor& stored = folder.tensors().at(target.name);
    const std::string tensor = fmt::format("{}: tensor {}", where, in_quotes(target.name));
    CHECK_INPUT(stored.shape == target.shape, "{} has shape {}, config.json asks for {}", tensor, shape_text(stored.shape),
                shape_text(target.shape));
    weight_dtype(stored, tensor);
  }
  if (!tied.original.empty() && folder.tensors().contains(tied.copy)) check_tied(folder, tied, where);
}

void read_weights(const SafetensorsFolder& folder, std::span<const WeightTarget> targets, StoredDType to,
                  std::string_view where, ThreadPool& pool) {
  CHECK(to != StoredDType::f16, "no weight is float16 in memory");
  constexpr size_t kPiece = size_t{1} << 18;  // numbers: small enough to share out, large enough to be worth a call
  std::vector<const StoredTensor*> stored;
  std::vector<StoredDType> dtypes;
  std::vector<Piece> pieces;
  for (size_t t = 0; t < targets.size(); ++t) {
    stored.push_back(&folder.tensors().at(targets[t].name));
    dtypes.push_back(weight_dtype(*stored[t], where));
    const size_t count = stored[t]->data.size() / stored_size(dtypes[t]);
    for (size_t begin = 0; begin < count; begin += kPiece) pieces.push_back({t, begin, std::min(kPiece, count - begin)});
  }

  // The first in order, whichever thread is first.
  std::vector<std::atomic<size_t>> bad(pieces.size());
  pool.run(static_cast<int64_t>(pieces.size()), [&](int64_t p, int) {
    const Piece& piece = pieces[static_cast<size_t>(p)];
    const StoredDType from = dtypes[piece.target];
    const auto in = stored[piece.target]->data.subspan(piece.begin * stored_size(from), piece.count * stored_size(from));
    std::byte* out = static_cast<std::byte*>(targets[piece.target].out) + piece.begin * stored_size(to);
    bad[static_cast<size_t>(p)] = convert_numbers(from, in.data(), to, out, piece.count);
    drop_pages(in);
  });
  for (size_t p = 0; p < pieces.size(); ++p)
    if (bad[p] < pieces[p].count) {
      const size_t t = pieces[p].target;
      refuse_not_finite(*stored[t], dtypes[t],
                        fmt::format("{}: tensor {}", folder.file_of(*stored[t]).string(), in_quotes(targets[t].name)),
                        pieces[p].begin + bad[p], to == StoredDType::bf16);
    }
}

}  // namespace cohort
