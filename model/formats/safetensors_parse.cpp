// The strict reader of one safetensors image: header, then the places of the tensors.
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <unordered_set>

#include "core/check.h"
#include "core/text.h"
#include "model/formats/in_quotes.h"
#include "model/formats/safetensors.h"
#include "model/formats/safetensors_dtypes.h"

namespace cohort {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

constexpr size_t kMaxRank = 32;
constexpr size_t kMaxTensors = size_t{1} << 20;
constexpr uint64_t kMaxNumber = uint64_t{1} << 53;  // what every JSON reader keeps exact

using Tensors = std::map<std::string, StoredTensor>;

// Where a tensor's bytes lie, counted from the end of the header.
struct Place {
  Tensors::iterator tensor;
  uint64_t begin, end;
};

// Takes the header's JSON as events, so that a hostile header costs no more memory than the tensors
// it names, and anything in the wrong place is refused where it stands.
class HeaderReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderReader(std::string_view where) : where_(where) {}

  Tensors tensors;
  std::vector<Place> places;

  bool key(std::string& name) override {
    if (at_ == At::kTop) return top_key(name);
    if (at_ == At::kMetadata) {
      CHECK_INPUT(metadata_keys_.insert(name).second, "{}: __metadata__: {} stands twice", where_,
                  in_quotes(name));
      return true;
    }
    field_ = name == "dtype"          ? Field::kDType
             : name == "shape"        ? Field::kShape
             : name == "data_offsets" ? Field::kOffsets
                                      : Field::kNone;
    CHECK_INPUT(field_ != Field::kNone,
                "{}: unknown key {}; allowed are dtype, shape, data_offsets", tensor_where(),
                in_quotes(name));
    CHECK_INPUT(!seen_[static_cast<int>(field_)], "{}: {} stands twice", tensor_where(), name);
    return seen_[static_cast<int>(field_)] = true;
  }
  bool start_object(size_t) override {
    switch (at_) {
      case At::kStart:
        return go(At::kTop);
      case At::kTop:
        if (metadata_next_) return go(At::kMetadata);
        seen_ = {};
        offsets_.clear();
        return go(At::kTensor);
      default:
        return refuse("an object");
    }
  }
  bool end_object() override {
    if (at_ == At::kTensor) {
      CHECK_INPUT(seen_[0] && seen_[1] && seen_[2], "{}: must have dtype, shape and data_offsets",
                  tensor_where());
      places.push_back({current_, offsets_[0], offsets_[1]});
    }
    return go(at_ == At::kTop ? At::kStart : At::kTop);
  }
  bool start_array(size_t) override {
    if (at_ != At::kTensor || field_ == Field::kDType) return refuse("a list");
    return go(field_ == Field::kShape ? At::kShape : At::kOffsets);
  }
  bool end_array() override {
    CHECK_INPUT(at_ == At::kShape || offsets_.size() == 2,
                "{}: data_offsets has {} numbers; it must have begin and end", tensor_where(),
                offsets_.size());
    return go(At::kTensor);
  }
  bool string(std::string& text) override {
    if (at_ == At::kMetadata) return true;
    if (at_ != At::kTensor || field_ != Field::kDType) return refuse("a text");
    if (safetensors_bits(text) == 0) {
      std::string known;
      for (const SafetensorsDType& dtype : kSafetensorsDTypes) known.append(" ").append(dtype.name);
      fail(ExitCode::kInput, "{}: unknown dtype {}; allowed are{}", tensor_where(), in_quotes(text),
           known);
    }
    current_->second.dtype = std::move(text);
    return true;
  }
  bool number_unsigned(uint64_t number) override {
    if (at_ != At::kShape && at_ != At::kOffsets) return refuse("a number");
    CHECK_INPUT(number <= kMaxNumber, "{}: {} in {}; the largest allowed is 2^53", tensor_where(),
                number, at_ == At::kShape ? "shape" : "data_offsets");
    if (at_ == At::kOffsets) {
      CHECK_INPUT(offsets_.size() < 2, "{}: data_offsets has more than two numbers",
                  tensor_where());
      offsets_.push_back(number);
    } else {
      std::vector<int64_t>& shape = current_->second.shape;
      CHECK_INPUT(shape.size() < kMaxRank, "{}: more than {} dimensions", tensor_where(), kMaxRank);
      shape.push_back(static_cast<int64_t>(number));
    }
    return true;
  }
  bool number_integer(int64_t number) override { return refuse(fmt::format("{}", number)); }
  bool number_float(double, const std::string& text) override { return refuse(in_quotes(text)); }
  bool boolean(bool value) override { return refuse(value ? "true" : "false"); }
  bool null() override { return refuse("null"); }
  bool binary(binary_t&) override { return refuse("binary data"); }
  bool parse_error(size_t byte, const std::string& token,
                   const nlohmann::detail::exception&) override {
    fail(ExitCode::kInput, "{}: the header is not valid JSON at its byte {}, near {}", where_, byte,
         in_quotes(token));
  }

 private:
  enum class At { kStart, kTop, kMetadata, kTensor, kShape, kOffsets };
  enum class Field { kDType, kShape, kOffsets, kNone };

  bool go(At at) {
    at_ = at;
    return true;
  }
  bool top_key(std::string& name) {
    metadata_next_ = name == "__metadata__";
    if (metadata_next_) {
      CHECK_INPUT(!metadata_seen_, "{}: __metadata__ stands twice", where_);
      return metadata_seen_ = true;
    }
    CHECK_INPUT(!name.empty(), "{}: a tensor with an empty name", where_);
    CHECK_INPUT(tensors.size() < kMaxTensors, "{}: more than {} tensors", where_, kMaxTensors);
    const auto [entry, fresh] = tensors.try_emplace(std::move(name));
    current_ = entry;
    CHECK_INPUT(fresh, "{}: stands twice", tensor_where());
    return true;
  }
  std::string tensor_where() const {
    return fmt::format("{}: tensor {}", where_, in_quotes(current_->first));
  }

  [[noreturn]] bool refuse(std::string_view found) {
    switch (at_) {
      case At::kStart:
        fail(ExitCode::kInput, "{}: the header is {}; it must be an object", where_, found);
      case At::kMetadata:
        fail(ExitCode::kInput, "{}: __metadata__ holds {}; its values must be texts", where_,
             found);
      case At::kTop:
        if (metadata_next_)
          fail(ExitCode::kInput, "{}: __metadata__ is {}; it must be an object", where_, found);
        fail(ExitCode::kInput, "{}: is {}; it must be an object", tensor_where(), found);
      case At::kTensor:
        fail(ExitCode::kInput, "{}: {} is {}; it must be {}", tensor_where(),
             field_ == Field::kDType   ? "dtype"
             : field_ == Field::kShape ? "shape"
                                       : "data_offsets",
             found, field_ == Field::kDType ? "a text" : "a list of whole numbers");
      case At::kShape:
      case At::kOffsets:
        break;
    }
    fail(ExitCode::kInput, "{}: {} holds {}; allowed are whole numbers from 0 to 2^53",
         tensor_where(), at_ == At::kShape ? "shape" : "data_offsets", found);
  }

  std::string_view where_;
  At at_ = At::kStart;
  Field field_ = Field::kNone;
  bool metadata_next_ = false, metadata_seen_ = false;
  std::array<bool, 3> seen_{};  // dtype, shape, data_offsets of the current tensor
  Tensors::iterator current_;
  std::vector<uint64_t> offsets_;
  std::unordered_set<std::string> metadata_keys_;
};

// Bytes of the tensor by its shape and dtype; refused when the product overflows or ends within a
// byte.
uint64_t bytes_by_shape(const StoredTensor& tensor, const auto& where) {
  // A zero anywhere makes the product zero, but must not hide an overflow of the other dimensions.
  uint64_t bits = static_cast<uint64_t>(safetensors_bits(tensor.dtype));
  bool overflow = false, empty = false;
  for (int64_t dim : tensor.shape) {
    empty |= dim == 0;
    overflow |=
        __builtin_mul_overflow(bits, static_cast<uint64_t>(std::max<int64_t>(dim, 1)), &bits);
  }
  CHECK_INPUT(!overflow, "{}: the product of shape [{}] overflows", where(),
              fmt::join(tensor.shape, ", "));
  CHECK_INPUT(empty || bits % 8 == 0, "{}: shape [{}] of {} fills no whole bytes", where(),
              fmt::join(tensor.shape, ", "), tensor.dtype);
  return empty ? 0 : bits / 8;
}

// The tensors must fill `data` without holes or overlaps, in the order of their offsets.
void place_tensors(std::vector<Place>& places, std::span<const std::byte> data,
                   std::string_view where) {
  std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  uint64_t filled = 0;
  const std::string* before = nullptr;
  for (const Place& place : places) {
    const std::string& name = place.tensor->first;
    StoredTensor& tensor = place.tensor->second;
    const auto here = [&] { return fmt::format("{}: tensor {}", where, in_quotes(name)); };
    CHECK_INPUT(place.begin <= place.end, "{}: data_offsets [{}, {}] end before they begin", here(),
                place.begin, place.end);
    CHECK_INPUT(
        place.end <= data.size(),
        "{}: data_offsets [{}, {}] reach beyond the {} bytes of data in the file: truncated?",
        here(), place.begin, place.end, data.size());
    CHECK_INPUT(place.begin >= filled, "{}: data_offsets [{}, {}] overlap tensor {}", here(),
                place.begin, place.end, in_quotes(before == nullptr ? "" : *before));
    CHECK_INPUT(place.begin == filled, "{}: {} bytes before it belong to no tensor", here(),
                place.begin - filled);
    const uint64_t bytes = bytes_by_shape(tensor, here);
    CHECK_INPUT(bytes == place.end - place.begin,
                "{}: {} of shape [{}] takes {} bytes, but data_offsets [{}, {}] span {}", here(),
                tensor.dtype, fmt::join(tensor.shape, ", "), bytes, place.begin, place.end,
                place.end - place.begin);
    tensor.data = data.subspan(place.begin, bytes);
    filled = place.end;
    before = &name;
  }
  CHECK_INPUT(filled == data.size(), "{}: {} bytes after the last tensor belong to none", where,
              data.size() - filled);
}

bool starts_with(std::span<const std::byte> image, std::string_view text) {
  return image.size() >= text.size() && std::memcmp(image.data(), text.data(), text.size()) == 0;
}

}  // namespace

std::map<std::string, StoredTensor> parse_safetensors(std::span<const std::byte> image,
                                                      std::string_view where) {
  CHECK_INPUT(!starts_with(image, "version https://git-lfs"),
              "{}: is a Git LFS pointer, not the weights; fetch the file itself (git lfs pull)",
              where);
  uint64_t length = 0;
  CHECK_INPUT(image.size() >= sizeof length,
              "{}: has {} bytes, too few for a safetensors file: truncated?", where, image.size());
  std::memcpy(&length, image.data(), sizeof length);
  CHECK_INPUT(length >= 2 && length <= static_cast<uint64_t>(kMaxSafetensorsHeader),
              "{}: the header length is {}; allowed are 2 to {}: not a safetensors file?", where,
              length, kMaxSafetensorsHeader);
  const std::span<const std::byte> rest = image.subspan(sizeof length);
  CHECK_INPUT(length <= rest.size(), "{}: the header takes {} bytes, but {} follow: truncated?",
              where, length, rest.size());
  const std::string_view header(reinterpret_cast<const char*>(rest.data()), length);
  CHECK_INPUT(header.front() == '{', "{}: the header must begin with '{{', found {}", where,
              in_quotes(header.substr(0, 1)));
  CHECK_INPUT(is_utf8(header), "{}: the header is not valid UTF-8", where);

  HeaderReader reader(where);
  nlohmann::json::sax_parse(header.data(), header.data() + header.size(), &reader);
  place_tensors(reader.places, rest.subspan(length), where);
  return std::move(reader.tensors);
}

}  // namespace cohort
