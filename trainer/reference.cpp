#include "trainer/reference.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <vector>

#include "core/check.h"
#include "core/files.h"
#include "core/hash.h"

namespace cohort {
namespace {

constexpr int64_t kSome = int64_t{1} << 20;  // elements at a time

std::filesystem::path file_in(const std::filesystem::path& folder) { return folder / "reference.bin"; }

// body(begin, part) for the whole table, piece by piece, with memory for each.
template <typename Body>
void for_parts(const Policy& policy, const Body& body) {
  std::vector<std::byte> space(static_cast<size_t>(std::min(kSome, policy.table.size)) * dtype_size(policy.dtype));
  for (int64_t begin = 0; begin < policy.table.size; begin += kSome)
    body(begin, Tensor(space.data(), policy.dtype, {std::min(kSome, policy.table.size - begin)}));
}

}  // namespace

void mix_reference(Policy& reference, const Policy& policy, float alpha, const Exec& ex) {
  CHECK(reference.dtype == policy.dtype && reference.table.size == policy.table.size && alpha > 0 && alpha <= 1,
        "a reference of {} {} mixed with a policy of {} {}, alpha {}", reference.table.size, dtype_name(reference.dtype), policy.table.size,
        dtype_name(policy.dtype), alpha);
  std::vector<std::byte> space(static_cast<size_t>(std::min(kSome, policy.table.size)) * dtype_size(policy.dtype));
  for_parts(policy, [&](int64_t begin, Tensor mine) {
    copy_weights(policy, begin, mine);
    if (alpha < 1) {
      const Tensor old(space.data(), policy.dtype, {mine.size()});
      copy_weights(reference, begin, old);
      const auto mix = [&](auto* to, const auto* from, const auto& rounded) {
        for (int64_t i = 0; i < mine.size(); ++i) to[i] = rounded(alpha * to_float(to[i]) + (1 - alpha) * to_float(from[i]));
      };
      if (policy.dtype == DType::bf16) {
        mix(mine.b16(), old.b16(), [](float x) { return to_bf16(x); });
      } else {
        mix(mine.f32(), old.f32(), [](float x) { return x; });
      }
    }
    set_weights(reference, begin, mine, ex);
  });
}

Json write_reference(const Policy& reference, const std::filesystem::path& folder) {
  const std::filesystem::path file = file_in(folder);
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  Fingerprint hash;
  uint64_t bytes = 0;
  for_parts(reference, [&](int64_t begin, Tensor part) {
    copy_weights(reference, begin, part);
    hash.add({static_cast<const std::byte*>(part.data), part.bytes()});
    out.write(static_cast<const char*>(part.data), static_cast<std::streamsize>(part.bytes()));
    bytes += part.bytes();
  });
  out.close();
  if (!out) {
    const int error = errno;
    fail(error == ENOSPC || error == EDQUOT ? ExitCode::kResources : ExitCode::kInput,
         "{}: cannot be written: {}; earlier checkpoints are untouched", file.string(), std::strerror(error));
  }
  fsync_path(file);
  return {{"bytes", bytes}, {"hash", hash.text()}};
}

void read_reference(Policy& reference, const std::filesystem::path& folder, const Json& record, const Exec& ex) {
  const MappedFile mapped(file_in(folder));
  const std::string where = mapped.path().string();
  const uint64_t expected = static_cast<uint64_t>(reference.table.size) * dtype_size(reference.dtype);
  CHECK_INPUT(mapped.bytes().size() == expected, "{}: {} bytes, expected {}: the file is cut short or of another model", where,
              mapped.bytes().size(), expected);
  CHECK_INPUT(record.is_object() && fingerprint(mapped.bytes()) == get_string(record, "hash", where),
              "{}: the content does not match the hash in manifest.json: the file is corrupted; resume from another checkpoint with run.resume: PATH",
              where);
  size_t at = 0;
  for_parts(reference, [&](int64_t begin, Tensor part) {
    std::memcpy(part.data, mapped.bytes().data() + at, part.bytes());
    at += part.bytes();
    set_weights(reference, begin, part, ex);
  });
}

}  // namespace cohort
