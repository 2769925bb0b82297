#include "trainer/checkpoint.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "core/check.h"
#include "core/files.h"
#include "core/folder_lock.h"
#include "core/hash.h"
#include "core/unpin.h"
#include "trainer/build_info.h"
#include "trainer/checkpoint_layout.h"
#include "trainer/lineage.h"
#include "trainer/step_batch.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

void read_shard(std::span<const std::byte> bytes, Optimizer& optimizer, int shard, const Exec& ex) {
  std::vector<float> numbers;
  for (const Optimizer::Part part : kShardParts) {
    for (int64_t begin = 0; begin < optimizer.shard_size(); begin += kCheckpointPiece) {
      numbers.resize(static_cast<size_t>(std::min(kCheckpointPiece, optimizer.shard_size() - begin)));
      const size_t size = numbers.size() * sizeof(float);
      std::memcpy(numbers.data(), bytes.data(), size);
      bytes = bytes.subspan(size);
      optimizer.write_state(shard, part, begin, numbers, ex);
    }
  }
}

// Of all ranks.
struct Written {
  std::vector<ShardRecord> records;  // by shard
  double seconds = 0;                // of the slowest
};

Written gather_written(const std::vector<ShardRecord>& mine, double seconds, Comm& comm) {
  Json list = Json::array();
  for (const ShardRecord& record : mine) list.push_back({record.bytes, record.hash});
  const std::string text = dump_json({{"seconds", seconds}, {"shards", list}});
  Written all;
  for (const auto& bytes : comm.all_gather(std::as_bytes(std::span(text)), "checkpoint shards")) {
    const Json theirs = parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, "checkpoint shards");
    for (const Json& record : theirs["shards"]) all.records.push_back({record[0].get<uint64_t>(), record[1].get<std::string>()});
    all.seconds = std::max(all.seconds, theirs["seconds"].get<double>());
  }
  return all;
}

// No checkpoint from here on, all at once; retire_old finds it.
void retire(const fs::path& checkpoint) {
  const fs::path old = checkpoint.parent_path() / fmt::format("{}{}.old", kTemporaryPrefix, *step_of(checkpoint));
  fs::remove_all(old);  // of a process that was killed
  fs::rename(checkpoint, old);
}

// All but the newest `keep` are no checkpoints any more. Returns their folders, and what kills have left of others.
std::vector<fs::path> retire_old(const fs::path& checkpoints, int64_t keep) {
  const std::vector<fs::path> found = complete_checkpoints(checkpoints);
  for (size_t i = 0; keep > 0 && i + static_cast<size_t>(keep) < found.size(); ++i) retire(found[i]);
  std::vector<fs::path> left;
  for (const fs::directory_entry& entry : fs::directory_iterator(checkpoints))
    if (entry.path().filename().string().starts_with(kTemporaryPrefix)) left.push_back(entry.path());
  return left;
}

// Ranks that write elsewhere, as onto disks of their own hosts, have flushed their shards too.
void require_shards(const fs::path& folder, const std::vector<ShardRecord>& records) {
  for (size_t shard = 0; shard < records.size(); ++shard) {
    const fs::path file = shard_file(folder, static_cast<int>(shard));
    std::error_code error;
    const uint64_t bytes = fs::file_size(file, error);
    CHECK_USAGE(!error && bytes == records[shard].bytes,
                "{}: {} where a rank has written {} bytes: not all ranks write into the same folder. This is no checkpoint, and none was removed; run.dir must "
                "lie on a file system that all hosts share",
                file.string(), error ? error.message() : fmt::format("{} bytes", bytes), records[shard].bytes);
  }
}

void check_config(const Json& manifest, const fs::path& checkpoint, const Config& config) {
  const std::string where = (checkpoint / "manifest.json").string();
  const std::vector<std::string> differ = refused_differences(identity_differences(config, get_string(manifest, "config", where)), checkpoint, config);
  if (differ.empty()) return;
  std::vector<std::string> keys;
  for (const std::string& difference : differ) keys.push_back(key_of_difference(difference));
  const bool changeable = std::ranges::all_of(keys, [](const std::string& key) { return std::ranges::find(changeable_keys(), key) != changeable_keys().end(); });
  fail(ExitCode::kUsage, "{}: the config differs from the checkpoint's in {}; use another run.name, or run.resume: never to start anew{}", where,
       fmt::join(differ, ", "),
       changeable ? fmt::format("; or go on from it as another run: run.name=NEW run.resume={} run.allow_changes=[{}]", checkpoint.string(), fmt::join(keys, ", "))
                  : "");
}

void check_manifest(const Json& manifest, const fs::path& checkpoint, const RunIdentity& identity, const Config& config) {
  const std::string where = (checkpoint / "manifest.json").string();
  CHECK_INPUT(get_string(manifest, "model", where) == identity.model,
              "{}: the checkpoint is of another model: parameters, dtype, or the config, tokenizer or template files differ; put back the files "
              "that the run began with, or start anew with run.resume=never", where);
  check_config(manifest, checkpoint, config);
  CHECK_USAGE(get_string(manifest, "data", where) == identity.data,
              "{}: the training data differ from the checkpoint's; put back the file that the run began with, use another run.name, or run.resume: never to start anew",
              where);
  CHECK_INPUT(get_string_or(manifest, "rewards", where, "") == identity.rewards,
              "{}: a model among the rewards has other weights than when the checkpoint was written; put back the files that the run began with, or "
              "start anew with run.resume=never", where);
  const Json shards = manifest.contains("shards") ? manifest["shards"] : Json();
  CHECK_INPUT(shards.is_array() && static_cast<int64_t>(shards.size()) == config.trainer.logical_ranks,
              "{}: 'shards' must list {} files", where, config.trainer.logical_ranks);
  const int64_t step = get_int(manifest, "step", where, 1, INT64_MAX);
  const bool by_epochs = config.trainer.max_steps < 0;  // cohort sft, where they are part of the identity
  CHECK_USAGE(by_epochs || step <= config.trainer.max_steps,
              "{}: the checkpoint is of step {}, trainer.max_steps is {}; raise it, or resume from an earlier checkpoint", where,
              step, config.trainer.max_steps);
  CHECK_USAGE(!samples_ahead(config, step) || (manifest.contains("files") && manifest["files"].contains("batch")),
              "{}: the run ended with step {}, and with rollout.staleness 1 the completions of step {} are of the weights before it: they were not "
              "sampled; resume from an earlier checkpoint (run.resume: PATH), or begin another run with the model in final/",
              where, step, step + 1);
}

}  // namespace

CheckpointWriter::CheckpointWriter(fs::path checkpoints, const Optimizer& optimizer, Comm& comm)
    : checkpoints_(std::move(checkpoints)), optimizer_(optimizer), comm_(comm) {}

// The run is over, and other ranks wait for this one: not for long where the disk is slow.
CheckpointWriter::~CheckpointWriter() {
  constexpr auto kPatience = std::chrono::seconds(5);
  removes_until_ = (Clock::now() + kPatience).time_since_epoch().count();
  finish_removing();
}

void CheckpointWriter::finish_removing() {
  if (remover_.joinable()) remover_.join();
}

// Gigabytes take their time. What is not removed now is found again by the next commit.
void CheckpointWriter::remove_beside_the_run(std::vector<fs::path> folders) {
  finish_removing();
  if (folders.empty()) return;
  remover_ = std::thread([this, folders = std::move(folders)] {
    unpin_thread();
    try {
      for (const fs::path& folder : folders) {
        for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
          if (Clock::now().time_since_epoch().count() > removes_until_) return;
          fs::remove_all(entry.path());
        }
        fs::remove(folder);
      }
    } catch (...) {  // it is not what the run is for
    }
  });
}

fs::path CheckpointWriter::temporary() const { return checkpoints_ / fmt::format("{}{}", kTemporaryPrefix, state_.step); }

void CheckpointWriter::begin(const CheckpointState& state, const RunIdentity& identity, int64_t keep,
                             const std::function<Json(const fs::path&)>& more, std::optional<int64_t> free_bytes) {
  CHECK(!pending(), "the checkpoint of step {} while that of step {} is being written", state.step, state_.step);
  state_ = state;
  identity_ = identity;
  keep_ = keep;
  if (comm_.rank() == 0) {
    // Removal goes on beside the writing, which is slower and needs its room bit by bit; not of the same folder.
    if (fs::exists(temporary())) finish_removing();
    fs::remove_all(temporary());
    fs::create_directories(temporary());
    state_.files = more ? more(temporary()) : Json::object();
  }
  comm_.barrier("checkpoint folder");
  writer_.emplace(temporary(), optimizer_, free_bytes);
  if (optimizer_.on_gpu()) comm_.barrier("checkpoint begun");  // who has written already took as long as its disk
}

void CheckpointWriter::release_state(const Exec& ex, std::optional<int64_t> free_bytes) {
  if (writer_) writer_->release(ex, free_bytes);
}

void CheckpointWriter::wait_written() {
  if (writer_) writer_->finish();
}

bool CheckpointWriter::commit_if_written() {
  if (!pending()) return false;
  // A rank whose writing has failed says so at once: the others wait for it in the collective, and it ends them.
  const bool mine = writer_->done();
  if (mine) writer_->finish();
  if (comm_.any(!mine, "checkpoint written")) return false;
  commit();
  return true;
}

void CheckpointWriter::commit() {
  if (!pending()) return;
  const std::vector<ShardRecord> records = writer_->finish();
  const Written all = gather_written(records, writer_->seconds(), comm_);  // also: every rank has flushed its shards
  seconds_ = all.seconds;
  writer_.reset();
  if (comm_.rank() == 0) {
    finish_removing();  // of folders that may have had this one's name
    Json shards = Json::array();
    for (const ShardRecord& record : all.records) shards.push_back({{"bytes", record.bytes}, {"hash", record.hash}});
    Json manifest = {{"format_version", kCheckpointFormat},
                     {"step", state_.step},
                     {"optimizer_steps", state_.optimizer_steps},
                     {"num_tokens", state_.num_tokens},
                     {"model", identity_.model},
                     {"data", identity_.data},
                     {"reference", identity_.reference},
                     {"base", identity_.base},
                     {"teacher", identity_.teacher},
                     {"ranks", comm_.size()},
                     {"build", build_info()},
                     {"config", identity_.config},
                     {"extra", state_.extra},
                     {"lineage", state_.lineage},
                     {"shards", shards}};
    if (!state_.files.empty()) manifest["files"] = state_.files;
    if (!identity_.rewards.empty()) manifest["rewards"] = identity_.rewards;
    if (const std::vector<std::string> products = gpu_products(); !products.empty()) manifest["products"] = products;
    manifest["manifest_hash"] = manifest_hash(manifest);
    // What the run has told of its steps so far must not be lost where the checkpoint is not.
    if (const fs::path metrics = checkpoints_.parent_path() / "metrics.jsonl"; fs::exists(metrics)) fsync_path(metrics);
    const fs::path final_name = checkpoints_ / fmt::format("step_{}", state_.step);
    require_shards(temporary(), all.records);
    write_file_atomic(temporary() / "manifest.json", dump_json(manifest, 1) + "\n");
    if (fs::exists(final_name / "manifest.json")) retire(final_name);  // the same step again, after a resume from an earlier one
    if (fs::exists(final_name)) move_aside(final_name);               // it lost its manifest to somebody else
    fs::rename(temporary(), final_name);
    fsync_path(checkpoints_);
    remove_beside_the_run(retire_old(checkpoints_, keep_));
  }
  comm_.barrier("checkpoint complete");
}

void save_checkpoint(const fs::path& checkpoints, const CheckpointState& state, const RunIdentity& identity,
                     const Optimizer& optimizer, int64_t keep, Comm& comm) {
  CheckpointWriter writer(checkpoints, optimizer, comm);
  writer.begin(state, identity, keep);
  writer.commit();
}

Json read_manifest(const fs::path& checkpoint) {
  const fs::path file = checkpoint / "manifest.json";
  const std::string where = file.string();
  CHECK_INPUT(fs::exists(file), "{}: no complete checkpoint: manifest.json is missing", checkpoint.string());
  try {
    Json manifest = parse_json(read_file(file), where);
    const int64_t version = get_int(manifest, "format_version", where, 0, INT64_MAX);
    CHECK_INPUT(version == kCheckpointFormat, "{}: format version {}, this program reads {}", where, version, kCheckpointFormat);
    const std::string hash = get_string(manifest, "manifest_hash", where);
    manifest.erase("manifest_hash");
    CHECK_INPUT(manifest_hash(manifest) == hash, "{}: the content does not match its own hash: the file was changed", where);
    return manifest;
  } catch (const Error& error) {
    fail(error.code(), "{}; resume from another checkpoint with run.resume: PATH, or move this one away", error.what());
  }
}

std::string manifest_hash(const Json& manifest) { return fingerprint(dump_json(manifest)); }

void verify_checkpoint(const fs::path& checkpoint, const Json& manifest) {
  const std::string where = (checkpoint / "manifest.json").string();
  const auto verify = [](const fs::path& file, const std::string& hash) {
    CHECK_INPUT(fs::exists(file), "{}: the file is missing, which manifest.json lists", file.string());
    CHECK_INPUT(fingerprint(MappedFile(file).bytes()) == hash, "{}: the content does not match the hash in manifest.json: the file is corrupted", file.string());
  };
  int shard = 0;
  const Json shards = manifest.value("shards", Json::array()), files = manifest.value("files", Json::object());
  for (const Json& record : shards) verify(shard_file(checkpoint, shard++), get_string(record, "hash", where));
  for (const auto& [name, record] : files.items())
    verify(checkpoint / (name == "reference" ? "reference.bin" : name + ".json"), get_string(record, "hash", where));
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
  check_manifest(read_manifest(checkpoint), checkpoint, identity, config);
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
  check_manifest(manifest, checkpoint, identity, config);
  CHECK_INPUT(get_string(manifest, "reference", where) == identity.reference,
              "{}: the reference model of the KL term has other weights than when the checkpoint was written", where);

  CHECK_INPUT(get_string_or(manifest, "base", where, "") == identity.base,
              "{}: the base model under the adapter has other weights than when the checkpoint was written; put back the files that the run "
              "began with, or start anew with run.resume=never", where);

  CHECK_INPUT(get_string_or(manifest, "teacher", where, "") == identity.teacher,
              "{}: the teacher (algorithm.teacher) has other weights than when the checkpoint was written; put back the files that the run began with, or "
              "start anew with run.resume=never", where);

  for (int k = optimizer.owned_shards().first; k < optimizer.owned_shards().last; ++k) {
    const fs::path path = shard_file(checkpoint, k);
    const MappedFile mapped(path);
    const uint64_t expected = kShardParts.size() * static_cast<uint64_t>(optimizer.shard_size()) * sizeof(float);
    CHECK_INPUT(mapped.bytes().size() == expected, "{}: {} bytes, expected {}: the file is cut short or of another model",
                path.string(), mapped.bytes().size(), expected);
    CHECK_INPUT(fingerprint(mapped.bytes()) == get_string(manifest["shards"][static_cast<size_t>(k)], "hash", where),
                "{}: the content does not match the hash in manifest.json: the file is corrupted; resume from another "
                "checkpoint with run.resume: PATH, or move this one away",
                path.string());
    read_shard(mapped.bytes(), optimizer, k, ex);
  }
  // On the same device and library, which may choose otherwise by now.
  if (manifest.contains("products") && manifest.value("build", Json::object()).value("kernels", "") == build_info()["kernels"]) {
    std::vector<std::string> products;
    for (const Json& line : manifest["products"]) products.push_back(line.is_string() ? line.get<std::string>() : dump_json(line));
    restore_gpu_products(products);
  }
  CheckpointState state;
  state.step = get_int(manifest, "step", where, 1, INT64_MAX);
  state.optimizer_steps = get_int(manifest, "optimizer_steps", where, 0, INT64_MAX);
  state.num_tokens = get_int(manifest, "num_tokens", where, 0, INT64_MAX);
  if (manifest.contains("extra")) state.extra = manifest["extra"];
  if (manifest.contains("files")) state.files = manifest["files"];
  state.lineage = manifest.value("lineage", Json());
  comm.barrier("checkpoint loaded");  // a rank that refuses its shard must end the others before they go on
  optimizer.restore(state.optimizer_steps, ex);
  return state;
}

}  // namespace cohort
