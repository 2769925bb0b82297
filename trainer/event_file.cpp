#include "trainer/event_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdlib>

#include "core/check.h"
#include "core/crc32c.h"
#include "core/files.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "events.out.tfevents.", kSuffix = ".cohort";
constexpr size_t kHeader = 12, kFooter = 4;
constexpr uint32_t kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5;  // wire types of protobuf
// Numbers of fields: Event, Summary and Summary.Value, SessionLog.
constexpr uint32_t kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5, kSessionLog = 7;
constexpr uint32_t kValue = 1, kTag = 1, kSimpleValue = 2, kStatus = 1;
constexpr uint64_t kSessionStart = 1;

template <typename T>
std::string little_endian(T value) {
  std::string bytes(sizeof value, '\0');
  for (size_t i = 0; i < sizeof value; ++i) bytes[i] = static_cast<char>(value >> (8 * i) & 0xFF);
  return bytes;
}

template <typename T>
T from_little_endian(std::string_view bytes) {
  T value = 0;
  for (size_t i = 0; i < sizeof value; ++i) value |= static_cast<T>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  return value;
}

uint32_t masked_crc(std::string_view bytes) { return std::rotr(crc32c(bytes), 15) + 0xa282ead8u; }

std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}

std::string key(uint32_t field, uint32_t wire) { return varint(field << 3 | wire); }
std::string bytes_field(uint32_t field, std::string_view bytes) { return key(field, kBytes) + varint(bytes.size()) + std::string(bytes); }

// A message, field by field. Whatever does not fit ends it.
struct FieldReader {
  std::string_view left;
  uint32_t field = 0, wire = 0;
  uint64_t number = 0;      // of varints and fixed fields
  std::string_view bytes;   // of the others

  bool read_varint(uint64_t& value) {
    value = 0;
    for (int shift = 0; shift < 64 && !left.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(left[0]);
      left.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }

  bool take(size_t size) {
    if (left.size() < size) return false;
    bytes = left.substr(0, size);
    left.remove_prefix(size);
    return true;
  }

  bool next() {
    uint64_t tag = 0, size = 0;
    if (left.empty() || !read_varint(tag)) return false;
    field = static_cast<uint32_t>(tag >> 3), wire = static_cast<uint32_t>(tag & 7);
    if (wire == kVarint) return read_varint(number);
    if (wire == kBytes) return read_varint(size) && size <= left.size() && take(size);
    if (wire == kFixed64 && take(8)) return number = from_little_endian<uint64_t>(bytes), true;
    if (wire == kFixed32 && take(4)) return number = from_little_endian<uint32_t>(bytes), true;
    return false;
  }
};

std::pair<std::string, float> read_value_message(std::string_view message) {
  std::pair<std::string, float> value;
  for (FieldReader f{message}; f.next();) {
    if (f.field == kTag && f.wire == kBytes) value.first = f.bytes;
    if (f.field == kSimpleValue && f.wire == kFixed32) value.second = std::bit_cast<float>(static_cast<uint32_t>(f.number));
  }
  return value;
}

ScalarEvent read_event(std::string_view message) {
  ScalarEvent event;
  for (FieldReader f{message}; f.next();) {
    if (f.field == kWallTime && f.wire == kFixed64) event.wall_time = std::bit_cast<double>(f.number);
    if (f.field == kStep && f.wire == kVarint) event.step = static_cast<int64_t>(f.number);
    if (f.field == kFileVersion && f.wire == kBytes) event.file_version = f.bytes;
    if (f.wire != kBytes) continue;
    if (f.field == kSummary)
      for (FieldReader v{f.bytes}; v.next();)
        if (v.field == kValue && v.wire == kBytes) event.values.push_back(read_value_message(v.bytes));
    if (f.field == kSessionLog)
      for (FieldReader s{f.bytes}; s.next();) event.starts |= s.field == kStatus && s.number == kSessionStart;
  }
  return event;
}

// Calls use(event) until it says false; returns where the event begins at which it did, or where the whole records end. A record
// that was cut short or is damaged ends them.
template <typename Use>
uint64_t for_each_event(const fs::path& file, Use use) {
  const MappedFile mapped(file);
  const std::string_view all(reinterpret_cast<const char*>(mapped.bytes().data()), mapped.bytes().size());
  uint64_t at = 0;
  while (all.size() - at >= kHeader + kFooter) {
    const std::string_view header = all.substr(at, kHeader);
    const auto size = from_little_endian<uint64_t>(header);
    if (from_little_endian<uint32_t>(header.substr(8)) != masked_crc(header.substr(0, 8)) || size > all.size() - at - kHeader - kFooter) break;
    const std::string_view message = all.substr(at + kHeader, size);
    if (from_little_endian<uint32_t>(all.substr(at + kHeader + size, kFooter)) != masked_crc(message) || !use(read_event(message))) break;
    at += kHeader + size + kFooter;
  }
  return at;
}

double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

}  // namespace

std::string event_record(const ScalarEvent& event) {
  std::string message = key(kWallTime, kFixed64) + little_endian(std::bit_cast<uint64_t>(event.wall_time));
  if (event.step != 0) message += key(kStep, kVarint) + varint(static_cast<uint64_t>(event.step));
  if (!event.file_version.empty()) message += bytes_field(kFileVersion, event.file_version);
  if (!event.values.empty()) {
    std::string summary;
    for (const auto& [tag, value] : event.values)
      summary += bytes_field(kValue, bytes_field(kTag, tag) + key(kSimpleValue, kFixed32) + little_endian(std::bit_cast<uint32_t>(value)));
    message += bytes_field(kSummary, summary);
  }
  if (event.starts) message += bytes_field(kSessionLog, key(kStatus, kVarint) + varint(kSessionStart));
  const std::string length = little_endian(static_cast<uint64_t>(message.size()));
  return length + little_endian(masked_crc(length)) + message + little_endian(masked_crc(message));
}

std::vector<ScalarEvent> read_events(const fs::path& file) {
  std::vector<ScalarEvent> events;
  for_each_event(file, [&](ScalarEvent event) { return events.push_back(std::move(event)), true; });
  return events;
}

std::vector<fs::path> event_files(const fs::path& run) {
  std::vector<fs::path> files;
  if (!fs::is_directory(run)) return files;
  for (const fs::directory_entry& entry : fs::directory_iterator(run)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(kPrefix) && name.ends_with(kSuffix)) files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

void EventFileWriter::drop_after(int64_t step) {
  file_.reset();
  for (const fs::path& file : event_files(run_)) {
    bool empty = true;  // but for what a file begins with
    const uint64_t end = for_each_event(file, [&](const ScalarEvent& event) {
      if (!event.values.empty() && event.step > step) return false;
      empty = empty && event.values.empty();
      return true;
    });
    if (empty) {
      fs::remove(file);
    } else if (end < fs::file_size(file)) {
      fs::resize_file(file, end);
    }
  }
}

void EventFileWriter::append(int64_t step, const std::vector<std::pair<std::string, float>>& values) {
  std::string text;
  const double time = now();
  if (!file_) {
    // The time in the name is the order in which TensorBoard reads: behind the last one's, whatever the clock says.
    auto seconds = static_cast<int64_t>(time);
    if (const std::vector<fs::path> files = event_files(run_); !files.empty()) {
      const std::string last = files.back().filename().string();
      seconds = std::max(seconds, static_cast<int64_t>(std::strtoll(last.c_str() + kPrefix.size(), nullptr, 10)) + 1);
    }
    file_ = run_ / fmt::format("{}{:010}{}", kPrefix, seconds, kSuffix);
    text = event_record({.wall_time = time, .file_version = "brain.Event:2"});
    text += event_record({.wall_time = time, .step = step, .starts = true});
  }
  append_file(*file_, text + event_record({.wall_time = time, .step = step, .values = values}));
}

}  // namespace cohort
