// The strict reader of GGUF containers.
#include "model/formats/gguf_file.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/check.h"
#include "core/text.h"
#include "model/formats/gguf_quants.h"
#include "model/formats/in_quotes.h"

namespace cohort {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF files are little-endian");

constexpr uint64_t kMaxKeyBytes = 65535;  // the format's own limit
constexpr uint64_t kMaxNameBytes = 64;    // of tensors, the format's own limit
constexpr uint64_t kMaxDimensions = 4;    // likewise
constexpr uint64_t kMaxCount = 1 << 20;   // of keys, of tensors
constexpr uint64_t kMinKeyBytes = 8 + 4 + 1,
                   kMinTensorBytes = 8 + 4 + 8 + 4 + 8;  // the smallest entries there can be
constexpr uint64_t kMaxAlignment = 1 << 16;

template <typename T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

// Takes the image from front to back; whatever is asked for is there or refused.
class Cursor {
 public:
  Cursor(std::span<const std::byte> image, std::string_view where) : image_(image), where_(where) {}

  uint64_t at() const { return at_; }
  uint64_t left() const { return image_.size() - at_; }
  std::span<const std::byte> take(uint64_t bytes, std::string_view what) {
    CHECK_INPUT(bytes <= left(), "{}: {} takes {} bytes at byte {}, but {} are left: truncated?",
                where_, what, bytes, at_, left());
    const std::span<const std::byte> taken = image_.subspan(at_, bytes);
    at_ += bytes;
    return taken;
  }
  template <typename T>
  T number(std::string_view what) {
    return load<T>(take(sizeof(T), what).data());
  }
  std::string_view text(std::string_view what, uint64_t limit = UINT64_MAX) {
    const auto length = number<uint64_t>(what);
    CHECK_INPUT(length <= limit, "{}: {} at byte {} is {} bytes long; allowed are {}", where_, what,
                at_, length, limit);
    const std::span<const std::byte> bytes = take(length, what);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  // A count of entries that take at least `entry_bytes` each: refused when they cannot fit into
  // what is left.
  uint64_t count(std::string_view what, uint64_t entry_bytes) {
    const auto count = number<uint64_t>(what);
    CHECK_INPUT(count <= left() / entry_bytes,
                "{}: {} is {}, more than {} bytes can hold: truncated?", where_, what, count,
                left());
    return count;
  }

 private:
  std::span<const std::byte> image_;
  std::string_view where_;
  uint64_t at_ = 0;
};

GgufValue read_value(Cursor& cursor, std::string_view key, std::string_view where) {
  const auto check_known = [&](GgufType type) {
    CHECK_INPUT(type <= GgufType::kFloat64, "{}: key {} has the value type {}; allowed are 0 to 12",
                where, in_quotes(key), static_cast<uint32_t>(type));
  };
  const std::string what = fmt::format("the value of {}", in_quotes(key));
  GgufValue value;
  value.type = static_cast<GgufType>(cursor.number<uint32_t>(what));
  check_known(value.type);
  uint64_t count = 1;
  if (value.type == GgufType::kArray) {
    value.is_list = true;
    value.type = static_cast<GgufType>(cursor.number<uint32_t>(what));
    check_known(value.type);
    CHECK_INPUT(value.type != GgufType::kArray,
                "{}: key {} is a list of lists, which is not supported", where, in_quotes(key));
    count = cursor.count(what, value.type == GgufType::kString ? 8 : gguf_number_bytes(value.type));
  }
  if (value.type == GgufType::kString) {
    value.strings.reserve(count);
    for (uint64_t i = 0; i < count; ++i) value.strings.push_back(cursor.text(what));
  } else {
    value.numbers = cursor.take(count * gguf_number_bytes(value.type), what);
  }
  if (value.type == GgufType::kBool)
    for (std::byte b : value.numbers)
      CHECK_INPUT(b <= std::byte{1}, "{}: key {} holds {}; a bool is 0 or 1", where, in_quotes(key),
                  std::to_integer<int>(b));
  return value;
}

struct Place {
  std::string_view name;
  GgufTensor* tensor;
  uint64_t offset, bytes;  // from the start of the data
};

// Bytes of the tensor by its dimensions (the file's order: the contiguous one first) and type.
uint64_t tensor_bytes(std::span<const uint64_t> dims, const GgufQuant& quant,
                      const std::string& here) {
  uint64_t values = 1, bytes = 0;
  bool overflow = false;
  for (uint64_t dim : dims) {
    CHECK_INPUT(dim > 0, "{}: has a dimension 0", here);
    overflow |= __builtin_mul_overflow(values, dim, &values);
  }
  CHECK_INPUT(!overflow, "{}: the product of its dimensions [{}] overflows", here,
              fmt::join(dims, ", "));
  CHECK_INPUT(dims[0] % quant.block_values == 0, "{}: rows of {} values; {} needs multiples of {}",
              here, dims[0], quant.name, quant.block_values);
  overflow = __builtin_mul_overflow(values / quant.block_values,
                                    static_cast<uint64_t>(quant.block_bytes), &bytes);
  CHECK_INPUT(!overflow, "{}: its size in bytes overflows", here);
  return bytes;
}

Place read_tensor(Cursor& cursor, GgufFile& file) {
  const std::string_view name = cursor.text("a tensor's name", kMaxNameBytes);
  const std::string here = fmt::format("{}: tensor {}", file.where, in_quotes(name));
  CHECK_INPUT(!name.empty() && is_utf8(name), "{}: its name is empty or not valid UTF-8", here);
  const auto rank = cursor.number<uint32_t>(here);
  CHECK_INPUT(rank >= 1 && rank <= kMaxDimensions, "{}: has {} dimensions; allowed are 1 to {}",
              here, rank, kMaxDimensions);
  std::vector<uint64_t> dims;
  for (uint32_t i = 0; i < rank; ++i) dims.push_back(cursor.number<uint64_t>(here));
  const auto type = cursor.number<uint32_t>(here);
  const GgufQuant* quant = find_gguf_quant(type);
  CHECK_INPUT(quant != nullptr,
              "{}: is {} (type {}), which is not supported; supported are {}. Take the model's Q8_0 or F16 GGUF, its "
              "Hugging Face folder, or convert this file with llama.cpp (llama-quantize --allow-requantize IN OUT q8_0)",
              here, gguf_quant_name(type), type, kSupportedGgufQuants);
  const auto offset = cursor.number<uint64_t>(here);
  const uint64_t bytes = tensor_bytes(dims, *quant, here);
  const auto [entry, fresh] = file.tensors.try_emplace(name);
  CHECK_INPUT(fresh, "{}: stands twice", here);
  entry->second.type = type;
  entry->second.shape.assign(dims.rbegin(), dims.rend());
  return {name, &entry->second, offset, bytes};
}

uint64_t aligned(uint64_t bytes, uint64_t alignment) {
  return (bytes + alignment - 1) / alignment * alignment;
}

// Tensors follow each other, each at the first multiple of `alignment` behind the one before, as
// ggml writes and reads them: offsets that overlap or skip bytes are refused.
void place_tensors(std::vector<Place>& places, std::span<const std::byte> data, uint64_t alignment,
                   std::string_view where) {
  std::stable_sort(places.begin(), places.end(),
                   [](const Place& a, const Place& b) { return a.offset < b.offset; });
  uint64_t end = 0;
  for (const Place& place : places) {
    const uint64_t expected = aligned(end, alignment);
    CHECK_INPUT(
        place.offset == expected,
        "{}: tensor {}: its data begin at {}; expected {} (alignment {}, no gap, no overlap)",
        where, in_quotes(place.name), place.offset, expected, alignment);
    CHECK_INPUT(place.offset <= data.size() && place.bytes <= data.size() - place.offset,
                "{}: tensor {}: {} bytes at {} reach beyond the {} bytes of data: truncated?",
                where, in_quotes(place.name), place.bytes, place.offset, data.size());
    place.tensor->data = data.subspan(place.offset, place.bytes);
    end = place.offset + place.bytes;
  }
  CHECK_INPUT(data.size() <= aligned(end, alignment),
              "{}: {} bytes after the last tensor belong to none", where, data.size() - end);
}

void read_header(Cursor& cursor, GgufFile& file) {
  const std::span<const std::byte> magic = cursor.take(4, "the magic number");
  CHECK_INPUT(std::memcmp(magic.data(), "GGUF", 4) == 0,
              "{}: begins with {}; a GGUF file begins with 'GGUF'", file.where,
              in_quotes({reinterpret_cast<const char*>(magic.data()), 4}));
  file.version = cursor.number<uint32_t>("the version");
  CHECK_INPUT(file.version == 0 || (file.version & 0xFFFF) != 0,
              "{}: is a big-endian GGUF file, which is not supported", file.where);
  CHECK_INPUT(file.version == 2 || file.version == 3,
              "{}: GGUF version {} is not supported; supported are 2 and 3", file.where,
              file.version);
}

}  // namespace

GgufFile parse_gguf(std::span<const std::byte> image, std::string_view where) {
  GgufFile file;
  file.where = where;
  Cursor cursor(image, where);
  read_header(cursor, file);
  const auto tensors = cursor.count("the number of tensors", kMinTensorBytes);
  const auto keys = cursor.count("the number of keys", kMinKeyBytes);
  CHECK_INPUT(tensors <= kMaxCount && keys <= kMaxCount,
              "{}: {} tensors and {} keys; allowed are {} of each", where, tensors, keys,
              kMaxCount);
  for (uint64_t i = 0; i < keys; ++i) {
    const std::string_view key = cursor.text("a key", kMaxKeyBytes);
    CHECK_INPUT(!key.empty(), "{}: an empty key", where);
    CHECK_INPUT(file.values.try_emplace(key, read_value(cursor, key, where)).second,
                "{}: key {} stands twice", where, in_quotes(key));
  }
  const auto alignment =
      static_cast<uint64_t>(file.get_int_or("general.alignment", 8, kMaxAlignment, 32));
  CHECK_INPUT(std::has_single_bit(alignment),
              "{}: general.alignment is {}; it must be a power of two", where, alignment);

  std::vector<Place> places;
  for (uint64_t i = 0; i < tensors; ++i) places.push_back(read_tensor(cursor, file));
  const uint64_t start = aligned(cursor.at(), alignment);
  CHECK_INPUT(start <= image.size() || tensors == 0,
              "{}: ends before the tensors' data: truncated?", where);
  place_tensors(places, image.subspan(std::min<uint64_t>(start, image.size())), alignment, where);
  return file;
}

}  // namespace cohort
