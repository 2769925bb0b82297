#include "trainer/checkpoint.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>
#include <vector>

#include "core/check.h"
#include "core/files.h"
#include "core/hash.h"
#include "trainer/build_info.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;
constexpr int64_t kFormatVersion = 1;

struct ShardRecord {
  uint64_t bytes = 0;
  std::string hash;
};

fs::path shard_file(const fs::path& folder, int shard) { return folder / fmt::format("shard_{:05}.bin", shard); }

// N of "step_N"; nothing for any other name.
std::optional<int64_t> step_of(const fs::path& folder) {
  const std::string name = folder.filename().string();
  constexpr std::string_view kPrefix = "step_";
  if (!name.starts_with(kPrefix)) return std::nullopt;
  int64_t step = 0;
  const auto [end, error] = std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), step);
  if (error != std::errc() || end != name.data() + name.size() || step <= 0) return std::nullopt;
  return step;
}

// Complete checkpoints, oldest first.
std::vector<fs::path> complete_checkpoints(const fs::path& checkpoints) {
  std::vector<fs::path> found;
  if (!fs::is_directory(checkpoints)) return found;
  for (const fs::directory_entry& entry : fs::directory_iterator(checkpoints))
    if (entry.is_directory() && step_of(entry.path()) && fs::exists(entry.path() / "manifest.json"))
      found.push_back(entry.path());
  std::ranges::sort(found, {}, [](const fs::path& path) { return *step_of(path); });
  return found;
}

[[noreturn]] void fail_write(const fs::path& file) {
  const int error = errno;
  const bool full = error == ENOSPC || error == EDQUOT;
  fail(full ? ExitCode::kResources : ExitCode::kInput, "{}: cannot be written: {}; earlier checkpoints are untouched",
       file.string(), std::strerror(error));
}

// A file that is written piece by piece.
class ShardFile {
 public:
  explicit ShardFile(fs::path file) : file_(std::move(file)) {
    descriptor_ = ::open(file_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (descriptor_ < 0) fail_write(file_);
  }
  ~ShardFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  ShardFile(const ShardFile&) = delete;
  ShardFile& operator=(const ShardFile&) = delete;

  void append(std::span<const std::byte> bytes) {
    record_.bytes += bytes.size();
    hash_.add(bytes);
    while (!bytes.empty()) {
      const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail_write(file_);
      bytes = bytes.subspan(static_cast<size_t>(written));
    }
  }
  // Flushes; what the manifest says of the file.
  ShardRecord finish() {
    const bool flushed = ::fsync(descriptor_) == 0;
    if (::close(std::exchange(descriptor_, -1)) != 0 || !flushed) fail_write(file_);
    record_.hash = hash_.text();
    return record_;
  }

 private:
  fs::path file_;
  int descriptor_ = -1;
  Fingerprint hash_;
  ShardRecord record_;
};

// A shard's file: master, m, v, one after the other, `kPiece` numbers at a time through memory.
constexpr std::array kParts = {Optimizer::Part::master, Optimizer::Part::m, Optimizer::Part::v};
constexpr int64_t kPiece = int64_t{1} << 20;

ShardRecord write_shard(const fs::path& file, const Optimizer& optimizer, int shard) {
  ShardFile out(file);
  std::vector<float> numbers;
  for (const Optimizer::Part part : kParts) {
    for (int64_t begin = 0; begin < optimizer.shard_size(); begin += kPiece) {
      numbers.resize(static_cast<size_t>(std::min(kPiece, optimizer.shard_size() - begin)));
      optimizer.read_state(shard, part, begin, numbers);
      out.append(std::as_bytes(std::span(numbers)));
    }
  }
  return out.finish();
}

void read_shard(std::span<const std::byte> bytes, Optimizer& optimizer, int shard, const Exec& ex) {
  std::vector<float> numbers;
  for (const Optimizer::Part part : kParts) {
    for (int64_t begin = 0; begin < optimizer.shard_size(); begin += kPiece) {
      numbers.resize(static_cast<size_t>(std::min(kPiece, optimizer.shard_size() - begin)));
      const size_t size = numbers.size() * sizeof(float);
      std::memcpy(numbers.data(), bytes.data(), size);
      bytes = bytes.subspan(size);
      optimizer.write_state(shard, part, begin, numbers, ex);
    }
  }
}

// Every rank's records, by shard.
std::vector<ShardRecord> gather_records(const std::vector<ShardRecord>& mine, Comm& comm) {
  Json list = Json::array();
  for (const ShardRecord& record : mine) list.push_back({record.bytes, record.hash});
  const std::string text = dump_json(list);
  std::vector<ShardRecord> all;
  for (const auto& bytes : comm.all_gather(std::as_bytes(std::span(text)), "checkpoint shards")) {
    const Json theirs = parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, "checkpoint shards");
    for (const Json& record : theirs) all.push_back({record[0].get<uint64_t>(), record[1].get<std::string>()});
  }
  return all;
}

void remove_old(const fs::path& checkpoints, int64_t keep) {
  for (const fs::directory_entry& entry : fs::directory_iterator(checkpoints))
    if (entry.path().filename().string().starts_with("tmp_step_")) fs::remove_all(entry.path());
  if (keep <= 0) return;
  const std::vector<fs::path> found = complete_checkpoints(checkpoints);
  for (size_t i = 0; i + static_cast<size_t>(keep) < found.size(); ++i) {
    // The manifest first: a folder without one is no checkpoint, whatever is left of it.
    fs::remove(found[i] / "manifest.json");
    fs::remove_all(found[i]);
  }
}

void check_config(const Json& manifest, std::string_view where, const Config& config) {
  const std::vector<std::string> differ = identity_differences(config, get_string(manifest, "config", where));
  CHECK_USAGE(differ.empty(),
              "{}: the config differs from the checkpoint's in {}; use another run.name, or run.resume: never to start anew",
              where, fmt::join(differ, ", "));
}

// The manifest of a complete checkpoint, as it was written.
Json read_manifest(const fs::path& checkpoint) {
  const fs::path file = checkpoint / "manifest.json";
  const std::string where = file.string();
  CHECK_INPUT(fs::exists(file), "{}: no complete checkpoint: manifest.json is missing", checkpoint.string());
  Json manifest = parse_json(read_file(file), where);
  const int64_t version = get_int(manifest, "format_version", where, 0, INT64_MAX);
  CHECK_INPUT(version == kFormatVersion, "{}: format version {}, this program reads {}", where, version, kFormatVersion);
  const std::string hash = get_string(manifest, "manifest_hash", where);
  manifest.erase("manifest_hash");
  CHECK_INPUT(fingerprint(dump_json(manifest)) == hash, "{}: the content does not match its own hash: the file was changed",
              where);
  return manifest;
}

void check_manifest(const Json& manifest, std::string_view where, const RunIdentity& identity, const Config& config) {
  CHECK_INPUT(get_string(manifest, "model", where) == identity.model,
              "{}: the checkpoint is of another model: parameters, dtype, or the config, tokenizer or template files differ; put back the files "
              "that the run began with, or start anew with run.resume=never", where);
  check_config(manifest, where, config);
  CHECK_USAGE(get_string(manifest, "data", where) == identity.data,
              "{}: the training data differ from the checkpoint's; put back the file that the run began with, use another run.name, or run.resume: never to start anew",
              where);
  const Json shards = manifest.contains("shards") ? manifest["shards"] : Json();
  CHECK_INPUT(shards.is_array() && static_cast<int64_t>(shards.size()) == config.trainer.logical_ranks,
              "{}: 'shards' must list {} files", where, config.trainer.logical_ranks);
  const int64_t step = get_int(manifest, "step", where, 1, INT64_MAX);
  CHECK_USAGE(step <= config.trainer.max_steps,
              "{}: the checkpoint is of step {}, trainer.max_steps is {}; raise it, or resume from an earlier checkpoint", where,
              step, config.trainer.max_steps);
}

}  // namespace

void save_checkpoint(const fs::path& checkpoints, const CheckpointState& state, const RunIdentity& identity,
                     const Optimizer& optimizer, int64_t keep, Comm& comm) {
  const fs::path temporary = checkpoints / fmt::format("tmp_step_{}", state.step);
  const fs::path final_name = checkpoints / fmt::format("step_{}", state.step);
  if (comm.rank() == 0) {
    fs::remove_all(temporary);
    fs::create_directories(temporary);
  }
  comm.barrier("checkpoint folder");
  std::vector<ShardRecord> records;
  for (int k = optimizer.owned_shards().first; k < optimizer.owned_shards().last; ++k) {
    records.push_back(write_shard(shard_file(temporary, k), optimizer, k));
  }
  const std::vector<ShardRecord> all = gather_records(records, comm);  // also: every rank has flushed its shards
  if (comm.rank() == 0) {
    Json shards = Json::array();
    for (const ShardRecord& record : all) shards.push_back({{"bytes", record.bytes}, {"hash", record.hash}});
    Json manifest = {{"format_version", kFormatVersion},
                           {"step", state.step},
                           {"optimizer_steps", state.optimizer_steps},
                           {"num_tokens", state.num_tokens},
                           {"model", identity.model},
                           {"data", identity.data},
                           {"reference", identity.reference},
                           {"ranks", comm.size()},
                           {"build", build_info()},
                           {"config", identity.config},
                           {"extra", state.extra},
                           {"shards", shards}};
    manifest["manifest_hash"] = fingerprint(dump_json(manifest));
    write_file_atomic(temporary / "manifest.json", dump_json(manifest, 1) + "\n");
    if (fs::exists(final_name)) {  // the same step again, after a resume from an earlier one
      fs::remove(final_name / "manifest.json");
      fs::remove_all(final_name);
    }
    fs::rename(temporary, final_name);
    fsync_path(checkpoints);
    remove_old(checkpoints, keep);
  }
  comm.barrier("checkpoint complete");
}

std::optional<fs::path> newest_checkpoint(const fs::path& checkpoints) {
  const std::vector<fs::path> found = complete_checkpoints(checkpoints);
  return found.empty() ? std::nullopt : std::optional(found.back());
}

std::vector<int64_t> checkpoint_steps(const fs::path& checkpoints) {
  std::vector<int64_t> steps;
  for (const fs::path& path : complete_checkpoints(checkpoints)) steps.push_back(*step_of(path));
  return steps;
}

void check_resumable(const fs::path& checkpoint, const RunIdentity& identity, const Config& config) {
  check_manifest(read_manifest(checkpoint), (checkpoint / "manifest.json").string(), identity, config);
}

std::string resume_note(const fs::path& checkpoint, int ranks) {
  const Json manifest = read_manifest(checkpoint);
  const int64_t ranks_then = get_int(manifest, "ranks", (checkpoint / "manifest.json").string(), 1, INT64_MAX);
  return resume_note(manifest.value("build", Json()), ranks_then, build_info(), ranks);
}

CheckpointState load_checkpoint(const fs::path& checkpoint, const RunIdentity& identity, const Config& config,
                                Optimizer& optimizer, Comm& comm, const Exec& ex) {
  const Json manifest = read_manifest(checkpoint);
  const std::string where = (checkpoint / "manifest.json").string();
  check_manifest(manifest, where, identity, config);
  CHECK_INPUT(get_string(manifest, "reference", where) == identity.reference,
              "{}: the reference model of the KL term has other weights than when the checkpoint was written", where);

  for (int k = optimizer.owned_shards().first; k < optimizer.owned_shards().last; ++k) {
    const fs::path path = shard_file(checkpoint, k);
    const MappedFile mapped(path);
    const uint64_t expected = kParts.size() * static_cast<uint64_t>(optimizer.shard_size()) * sizeof(float);
    CHECK_INPUT(mapped.bytes().size() == expected, "{}: {} bytes, expected {}: the file is cut short or of another model",
                path.string(), mapped.bytes().size(), expected);
    CHECK_INPUT(fingerprint(mapped.bytes()) == get_string(manifest["shards"][static_cast<size_t>(k)], "hash", where),
                "{}: the content does not match the hash in manifest.json: the file is corrupted; resume from another "
                "checkpoint with run.resume: PATH",
                path.string());
    read_shard(mapped.bytes(), optimizer, k, ex);
  }
  CheckpointState state;
  state.step = get_int(manifest, "step", where, 1, INT64_MAX);
  state.optimizer_steps = get_int(manifest, "optimizer_steps", where, 0, INT64_MAX);
  state.num_tokens = get_int(manifest, "num_tokens", where, 0, INT64_MAX);
  if (manifest.contains("extra")) state.extra = manifest["extra"];
  comm.barrier("checkpoint loaded");  // a rank that refuses its shard must end the others before they go on
  optimizer.restore(state.optimizer_steps, ex);
  return state;
}

}  // namespace cohort
