// Event files of TensorBoard: scalars by step, in its record format and with a few lines of protobuf of our own.
//
// A record is its length (uint64), the length's checksum, the bytes, their checksum; all little-endian, a checksum being CRC-32C,
// rotated right by 15 bits and increased by 0xa282ead8. The bytes are a message Event (tensorboard/compat/proto/event.proto).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cohort {

struct ScalarEvent {
  double wall_time = 0;  // seconds since 1970
  int64_t step = 0;
  std::vector<std::pair<std::string, float>> values;  // tag, value
  std::string file_version;                           // of a file's first event alone
  bool starts = false;                                // a SessionLog START: later steps in earlier files are void
};

std::string event_record(const ScalarEvent& event);

// As far as the file is whole: a record that was cut short by a kill, or is damaged, ends what is read. Fields that it does not know
// are skipped, as protobuf says.
std::vector<ScalarEvent> read_events(const std::filesystem::path& file);

// The event files of a run directory, oldest first.
std::vector<std::filesystem::path> event_files(const std::filesystem::path& run);

// The event file of one process of a run. A run that goes on has one more: what TensorBoard has read stays true, and no step stands twice.
class EventFileWriter {
 public:
  explicit EventFileWriter(std::filesystem::path run) : run_(std::move(run)) {}
  // Cuts the files there are behind `step`, by the same rule as metrics.jsonl, and removes those in which nothing is left.
  void drop_after(int64_t step);
  // Appends one event; the first one makes the file, behind all others in TensorBoard's order.
  void append(int64_t step, const std::vector<std::pair<std::string, float>>& values);

 private:
  std::filesystem::path run_;
  std::optional<std::filesystem::path> file_;
};

}  // namespace cohort
