// A GGUF container as it lies in memory: metadata and places of tensors, every length checked
// before it is used. Format: github.com/ggml-org/ggml, docs/gguf.md; versions 2 and 3,
// little-endian.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cohort {

// The numbers are the file's.
enum class GgufType : uint32_t {
  kUint8 = 0,
  kInt8,
  kUint16,
  kInt16,
  kUint32,
  kInt32,
  kFloat32,
  kBool,
  kString,
  kArray,
  kUint64,
  kInt64,
  kFloat64
};

// Bytes of one number of the type; 0 for texts, lists and unknown types.
uint64_t gguf_number_bytes(GgufType type);

struct GgufValue {
  GgufType type{};  // of the elements, if it is a list
  bool is_list = false;
  std::span<const std::byte> numbers;  // the elements, unless they are texts; no alignment promised
  std::vector<std::string_view> strings;  // the elements, if they are texts
};

struct GgufTensor {
  uint32_t type = 0;           // see gguf_quants.h; one that cohort can read
  std::vector<int64_t> shape;  // rows first: the reverse of the file's order
  std::span<const std::byte> data;
};

// Views into the image, which must outlive it. The getters throw (exit code 3) naming `where` and
// the key.
struct GgufFile {
  std::string where;
  uint32_t version = 0;
  std::map<std::string_view, GgufValue> values;
  std::map<std::string_view, GgufTensor> tensors;

  bool has(std::string_view key) const { return values.contains(key); }
  int64_t get_int(std::string_view key, int64_t low, int64_t high) const;  // of any integer type
  int64_t get_int_or(std::string_view key, int64_t low, int64_t high, int64_t fallback) const;
  double get_positive(std::string_view key)
      const;  // a float, finite, > 0; the shortest decimal of its own precision
  bool get_bool_or(std::string_view key, bool fallback) const;
  std::string_view get_string(std::string_view key) const;                       // valid UTF-8
  const std::vector<std::string_view>& get_strings(std::string_view key) const;  // each valid UTF-8
  std::vector<int64_t> get_ints(std::string_view key,
                                size_t count) const;  // exactly `count` of them

 private:
  const GgufValue& need(std::string_view key, std::string_view what) const;
};

// Refused with exit code 3: other magic, versions or byte order; counts, lengths or offsets beyond
// the image; lists in lists; names that stand twice; tensors of types that gguf_quants.h does not
// list, of more than four dimensions, that overlap, leave gaps or end past the image. Nothing is
// allocated that the image's own size does not pay for.
GgufFile parse_gguf(std::span<const std::byte> image, std::string_view where);

}  // namespace cohort
