#include "core/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <climits>

#include "core/check.h"

namespace cohort {
namespace {

constexpr int kGzipOnly = 16 + MAX_WBITS;  // zlib's notation
constexpr size_t kPiece = size_t{1} << 20;

// Inflates one member from the front of `bytes`; the bytes behind it stay.
class Member {
 public:
  explicit Member(std::string_view where) : where_(where) {
    if (inflateInit2(&stream_, kGzipOnly) != Z_OK) fail(ExitCode::kResources, "{}: no memory to unpack it", where_);
  }
  ~Member() { inflateEnd(&stream_); }
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;

  void read(std::string_view& bytes, std::string& text, size_t max_bytes) {
    for (int status = Z_OK; status != Z_STREAM_END;) {
      const size_t given = std::min<size_t>(bytes.size(), UINT_MAX), before = text.size();
      text.resize(before + kPiece);
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
      stream_.avail_in = static_cast<uInt>(given);
      stream_.next_out = reinterpret_cast<Bytef*>(text.data() + before);
      stream_.avail_out = static_cast<uInt>(kPiece);
      status = inflate(&stream_, Z_NO_FLUSH);
      bytes.remove_prefix(given - stream_.avail_in);
      text.resize(before + kPiece - stream_.avail_out);
      CHECK_INPUT(text.size() <= max_bytes, "{}: unpacked it has more than {} bytes; allowed are {}", where_, max_bytes, max_bytes);
      const bool wants_more = status == Z_BUF_ERROR || (status == Z_OK && bytes.empty() && stream_.avail_out > 0);
      CHECK_INPUT(!wants_more, "{}: the gzip file ends within its data; it was cut off: copy or pack it again", where_);
      CHECK_INPUT(status == Z_OK || status == Z_STREAM_END, "{}: the gzip file is damaged ({}); copy or pack it again", where_,
                  stream_.msg != nullptr ? stream_.msg : "no gzip data");
    }
  }

 private:
  z_stream stream_{};
  std::string_view where_;
};

}  // namespace

bool is_gzip(std::string_view bytes) { return bytes.starts_with("\x1f\x8b"); }

std::string gunzip(std::string_view bytes, std::string_view where, size_t max_bytes) {
  std::string text;
  do {
    CHECK_INPUT(is_gzip(bytes), "{}: {} bytes behind the end of the gzip data are none; pack it again", where, bytes.size());
    Member(where).read(bytes, text, max_bytes);
  } while (!bytes.empty());
  return text;
}

}  // namespace cohort
