#include "trainer/run_dir.h"

#include <fcntl.h>
#include <stdio.h>  // renameat2
#include <sys/stat.h>
#include <unistd.h>

#include "core/check.h"
#include "core/clock.h"
#include "core/files.h"
#include "core/folder_lock.h"
#include "core/text.h"
#include "reward/score_json.h"
#include "trainer/adapter.h"
#include "trainer/checkpoint.h"
#include "trainer/checkpoint_layout.h"
#include "trainer/lineage.h"
#include "trainer/reward_reasons.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

// The earlier config of this directory, where it determines the same bits.
std::optional<Config> same_run(const fs::path& run, const Config& config) {
  try {
    Config earlier = load_config(run / "config.yaml", {}, ConfigUse::recorded);
    if (identity_differences(config, config_identity(earlier)).empty()) return earlier;
  } catch (const Error&) {  // unreadable, or of another version: another run
  }
  return std::nullopt;
}

// Complete or absent, as long as the machine lasts. A step does not wait for a disk because of what people look at.
void write_beside_and_rename(const fs::path& path, const std::string& text) {
  fs::path temporary = path;
  temporary += ".tmp";
  fs::remove(temporary);  // of a process that was killed
  append_file(temporary, text);
  fs::rename(temporary, path);
}

// `made` stands where `target` was, which is gone: at no moment is there neither, where the file system can exchange names.
void exchange_folders(const fs::path& made, const fs::path& target) {
  if (renameat2(AT_FDCWD, made.c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE) == 0) {
    fs::remove_all(made);
    return;
  }
  fs::remove_all(target);
  fs::rename(made, target);
}

constexpr const char* kWhereRunsLie = "the run directory is run.dir/run.name, a folder that this user may write into, or make";

void make_run_dir(const fs::path& path) {
  try {
    make_writable_dir(path);
  } catch (const Error& error) {
    fail(error.code(), "{}; {}", error.what(), kWhereRunsLie);
  }
}

// What stands in run.resume where no checkpoint does: a slip in one of its words, another program's word, or a run directory.
std::string meant_by(const std::string& how) {
  for (const fs::path& folder : {fs::path(how), fs::path(how) / "checkpoints"})
    if (const auto newest = newest_checkpoint(folder)) return fmt::format("; did you mean '{}', the newest complete checkpoint there?", newest->string());
  std::string word = how;
  for (char& c : word)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  constexpr std::string_view kNewest[] = {"latest", "last", "newest", "true", "yes", "resume"}, kNone[] = {"false", "no", "none", "off", "scratch"};
  const std::string near = std::ranges::find(kNewest, word) != std::end(kNewest) ? "auto"
                           : std::ranges::find(kNone, word) != std::end(kNone)   ? "never"
                                                                                 : nearest_name(word, std::vector<std::string>{"auto", "never"});
  return near.empty() ? ";" : fmt::format("; did you mean '{}'?", near);
}

void broadcast(std::string& text, Comm& comm) {
  uint64_t size = text.size();
  comm.broadcast(std::as_writable_bytes(std::span(&size, 1)), 0, "run directory");
  text.resize(size);
  comm.broadcast(std::as_writable_bytes(std::span(text)), 0, "run directory");
}

}  // namespace

RunDir::RunDir(const Config& config, Comm& comm) : path_(config.run_dir()), writes_(comm.rank() == 0) {
  std::error_code error;
  if (writes_) static_cast<void>(fs::status(path_ / "config.yaml", error));
  CHECK_USAGE(error != std::errc::permission_denied && error != std::errc::filename_too_long, "{}: {}; {}", path_.string(), error.message(), kWhereRunsLie);
  take(writes_ ? decide(config) : Decision{}, comm);
}

RunDir::Decision RunDir::decide(const Config& config) const {
  Decision decision;
  const std::string& how = config.run.resume;
  if (how != "auto" && how != "never") {
    if (const auto newest = newest_descendant(checkpoints(), how)) {
      decision.resume = newest->string();
      decision.came_of = fmt::format(", which has come of run.resume {} (to begin there once more, give another run.name, or move what came of it away)", how);
    } else {
      CHECK_USAGE(fs::exists(fs::path(how) / "manifest.json"),
                  "run.resume: {} is no complete checkpoint (no manifest.json), and none in {} has come of it{} allowed: auto, never, or a folder "
                  "runs/NAME/checkpoints/step_N",
                  how, checkpoints().string(), meant_by(how));
      const fs::path real = fs::canonical(how);  // however it is written
      decision.resume = (real.parent_path() == fs::weakly_canonical(checkpoints()) ? checkpoints() / real.filename() : real).string();
      decision.begins_at_path = true;
    }
  } else if (how == "auto") {
    if (const auto newest = newest_checkpoint(checkpoints())) decision.resume = newest->string();
    const std::optional<Config> earlier = decision.resume.empty() ? same_run(path_, config) : std::nullopt;
    CHECK_USAGE(!earlier || earlier->run.resume == "auto" || earlier->run.resume == "never",
                "{} was told to go on from {} and has written no checkpoint since: with run.resume auto it would begin at step 1 instead; allowed: "
                "run.resume={} to go on from there, or run.resume=never to begin at step 1",
                path_.string(), earlier->run.resume, earlier->run.resume);
  }
  // A checkpoint of this very run continues it; anything else must not be mixed with what lies here.
  const bool own = !decision.resume.empty() && fs::weakly_canonical(decision.resume).parent_path() == fs::weakly_canonical(checkpoints());
  decision.moves_aside = fs::exists(path_ / "config.yaml") && !own && !begun_by_this_command(config);
  return decision;
}

// Of rank 0, on every rank.
void RunDir::take(const Decision& decision, Comm& comm) {
  std::string resume = decision.resume;
  broadcast(resume, comm);
  resume_from_ = resume.empty() ? std::nullopt : std::optional<fs::path>(resume);
  begins_at_path_ = decision.begins_at_path;
  comm.broadcast(std::as_writable_bytes(std::span(&begins_at_path_, 1)), 0, "run directory");
  message_ = resume.empty() || !writes_ ? "" : fmt::format("resuming from {}{}", resume, decision.came_of);
}

// The same run, which has come to no checkpoint yet: it begins again in its place.
bool RunDir::begun_by_this_command(const Config& config) const {
  if (config.run.resume == "never") return false;
  const std::optional<Config> earlier = same_run(path_, config);
  return earlier && (config.run.resume == "auto" || (earlier->run.resume == config.run.resume && complete_checkpoints(checkpoints()).empty()));
}

std::string RunDir::missing_metrics(int64_t step, const Json& lineage) const {
  const fs::path file = path_ / "metrics.jsonl";
  const std::string missing = writes_ ? missing_steps(file, first_step_of(lineage), step) : "";
  return missing.empty() ? "" : fmt::format("{}: {}: the file was cut or changed since. The run goes on with all of its state; what reads that file "
                                            "(report, compare, replay, watch) lacks them", file.string(), missing);
}

void RunDir::lock() {
  const char* busy = "another process is training in this run directory; wait for it, or use another run.name";
  lock_.reset();  // of the folder as it was
  lock_ = lock_folder(path_, busy);
  // Who held it may have moved the folder aside just now.
  struct stat held {}, there {};
  CHECK_USAGE(fstat(lock_.get(), &held) == 0 && stat((path_ / ".lock").c_str(), &there) == 0 && held.st_ino == there.st_ino && held.st_dev == there.st_dev,
              "{}: {}", path_.string(), busy);
}

// Who goes on from an earlier checkpoint, as where a later one is damaged, leaves those behind it: they would be the newest to the next
// resume, and of a limited number of checkpoints those that stay.
void RunDir::set_later_aside() {
  for (const fs::path& path : incomplete_checkpoints(checkpoints()))
    message_ += fmt::format("{}{} has no manifest.json: passed over", message_.empty() ? "" : "; ", path.filename().string());
  if (!resume_from_) return;
  const fs::path resumed = fs::canonical(*resume_from_);
  if (resumed.parent_path() != fs::canonical(checkpoints())) return;
  for (const fs::path& path : complete_checkpoints(checkpoints()))
    if (*step_of(path) > step_of(resumed).value_or(INT64_MAX))
      message_ += fmt::format("; {} is later: set aside as {}", path.filename().string(), move_aside(path).filename().string());
}

// A folder on a disk of rank 0's host is another one elsewhere, or none: told before hours have gone into a run that cannot be saved.
void RunDir::require_shared(Comm& comm) const {
  if (comm.size() == 1) return;
  constexpr const char* kPrefix = ".shared.";
  std::string name = fmt::format("{}{}.{}", kPrefix, getpid(), Clock::now().time_since_epoch().count());
  broadcast(name, comm);
  const fs::path file = path_ / name;
  if (writes_) {
    std::vector<fs::path> left;  // by processes that were killed
    for (const fs::directory_entry& entry : fs::directory_iterator(path_))
      if (entry.path().filename().string().starts_with(kPrefix)) left.push_back(entry.path());
    for (const fs::path& path : left) fs::remove(path);
    write_file_atomic(file, "");
  }
  comm.barrier("run directory");
  const bool sees_it = fs::exists(file);
  comm.barrier("run directory");  // all have looked
  if (writes_) fs::remove(file);
  CHECK_USAGE(sees_it, "{}: this host does not see what rank 0 has written there; run.dir must lie on a file system that all hosts share, by the same path (docs/cluster.md)",
              fs::absolute(path_).string());
}

void RunDir::begin(const Config& config, Comm& comm, const CheckResume& check) {
  Decision decision;
  std::string moved;
  if (writes_) {
    make_run_dir(path_);
    lock();  // from here on nobody else changes what is decided on
    decision = decide(config);
    if (check && !decision.resume.empty()) check(decision.resume, decision.begins_at_path);
    if (decision.moves_aside) {
      moved = fmt::format("{} holds another run: moved to {}", path_.string(), move_aside(path_).string());
      make_run_dir(path_);
      lock();
    }
  }
  take(decision, comm);
  if (writes_) {
    if (!moved.empty()) message_ += (message_.empty() ? "" : "; ") + moved;
    fs::create_directories(checkpoints());
    set_later_aside();
    const std::string lineage = resume_from_ ? lineage_text(*resume_from_, begins_at_path_, config) : "";
    write_file_atomic(path_ / "config.yaml", lineage + config_to_yaml(config));
  }
  comm.barrier("run directory");
  require_shared(comm);
}

std::string RunDir::drop_metrics_after(int64_t step) const { return writes_ ? truncate_metrics(path_ / "metrics.jsonl", step) : ""; }

void RunDir::append_metrics(const Metrics& metrics) const {
  if (!writes_) return;
  const Clock::time_point start = Clock::now();
  metrics.append_to(path_ / "metrics.jsonl");
  log_seconds_ += seconds_since(start);
}

void RunDir::write_completions(int64_t step, std::span<const Group> groups, std::span<const std::string> names,
                               const std::vector<RewardSpec>& rewards, const Tokenizer& tokenizer) const {
  if (!writes_) return;
  const Clock::time_point start = Clock::now();
  std::string text;
  for (size_t g = 0; g < groups.size(); ++g) {
    for (size_t i = 0; i < groups[g].rollouts.size(); ++i) {
      const Rollout& rollout = groups[g].rollouts[i];
      Json line = Json::object();  // key by key: a list of pairs would allocate each of them once more, and a step waits for all completions
      line.get_ref<Json::object_t&>().reserve(13);
      line["step"] = step;
      line["problem"] = names[g];
      line["sample"] = i;
      line["completion"] = groups[g].texts[i];
      line["ids"] = rollout.tokens;
      line["logprobs"] = rollout.logprobs;
      line["finish_reason"] = finish_reason_name(rollout.finish_reason);
      line["reward"] = or_null(groups[g].scores[i].total);
      line["rewards"] = scores_by_name(groups[g].scores[i], rewards);
      line["advantage"] = groups[g].advantages[i];
      if (i < groups[g].reasons.size()) line["explain"] = reasons_by_name(groups[g].reasons[i], rewards);
      if (i == 0) line["prompt"] = tokenizer.decode(groups[g].prompt, /*skip_special_tokens=*/false);
      if (!groups[g].selected.empty()) line["selected"] = is_selected(groups[g], i);
      text += dump_json(line) + "\n";
    }
  }
  fs::create_directories(path_ / "completions");
  write_beside_and_rename(path_ / "completions" / fmt::format("step_{}.jsonl", step), text);
  log_seconds_ += seconds_since(start);
}

void RunDir::write_evaluation(const std::string& name, const std::string& lines) const {
  if (!writes_) return;
  fs::create_directories(path_ / "eval");
  write_file_atomic(path_ / "eval" / (name + ".jsonl"), lines);
}

void RunDir::write_model(const Policy& policy, const ModelFiles& files, const fs::path& target,
                         std::span<const float> masters) const {
  write_folder(target, [&](const fs::path& dir) { save_model(policy, files, dir, {.masters = masters}); });
}

void RunDir::write_adapter(const LoraAdapter& lora, const ModelFiles& files, const std::string& base, const fs::path& target) const {
  write_folder(target, [&](const fs::path& dir) { save_adapter(lora, files, base, dir); });
}

void RunDir::write_folder(const fs::path& target, const std::function<void(const fs::path&)>& write) const {
  if (!writes_) return;
  fs::path temporary = target;
  temporary += ".tmp";
  fs::remove_all(temporary);
  write(temporary);
  exchange_folders(temporary, target);
  fsync_path(path_);
}

void RunDir::copy_model(const fs::path& source, const fs::path& target) const {
  write_folder(target, [&](const fs::path& dir) {
    fs::copy(source, dir, fs::copy_options::recursive);
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(dir)) fsync_path(entry.path());
  });
}

}  // namespace cohort
