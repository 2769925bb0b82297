#include "trainer/run_dir.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/check.h"
#include "core/files.h"
#include "trainer/adapter.h"
#include "trainer/checkpoint.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

// The earlier config of this directory determines the same bits.
bool same_run(const fs::path& run, const Config& config) {
  const fs::path file = run / "config.yaml";
  try {
    return identity_differences(config, config_identity(load_config(file, {}, ConfigUse::recorded))).empty();
  } catch (const Error&) {  // unreadable, or of another version: another run
    return false;
  }
}

fs::path move_aside(const fs::path& run) {
  for (int i = 1;; ++i) {
    fs::path target = run;
    target += fmt::format(".{}", i);
    if (fs::exists(target)) continue;
    fs::rename(run, target);
    return target;
  }
}

void broadcast(std::string& text, Comm& comm) {
  uint64_t size = text.size();
  comm.broadcast(std::as_writable_bytes(std::span(&size, 1)), 0, "run directory");
  text.resize(size);
  comm.broadcast(std::as_writable_bytes(std::span(text)), 0, "run directory");
}

}  // namespace

RunDir::RunDir(const Config& config, Comm& comm) : path_(config.run_dir()), writes_(comm.rank() == 0) {
  std::string resume;
  if (writes_) {
    const std::string& how = config.run.resume;
    if (how != "auto" && how != "never") {
      CHECK_USAGE(fs::exists(fs::path(how) / "manifest.json"),
                  "run.resume: {} is no complete checkpoint (no manifest.json); allowed: auto, never, or a folder "
                  "runs/NAME/checkpoints/step_N",
                  how);
      resume = how;
    } else if (how == "auto") {
      if (const auto newest = newest_checkpoint(checkpoints())) resume = newest->string();
    }
    // A checkpoint of this very run continues it; anything else must not be mixed with what lies here.
    const bool own = !resume.empty() && fs::weakly_canonical(resume).parent_path() == fs::weakly_canonical(checkpoints());
    const bool earlier = fs::exists(path_ / "config.yaml");
    moves_aside_ = earlier && !own && (how != "auto" || !same_run(path_, config));
    if (!resume.empty()) message_ = fmt::format("resuming from {}", resume);
  }
  broadcast(resume, comm);
  if (!resume.empty()) resume_from_ = resume;
}

RunDir::~RunDir() {
  if (lock_ >= 0) close(lock_);
}

void RunDir::lock() {
  if (lock_ >= 0) close(lock_);
  const fs::path file = path_ / ".lock";
  lock_ = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_ < 0) {
    const int error = errno;
    fail(error == ENOSPC || error == EDQUOT ? ExitCode::kResources : ExitCode::kUsage, "{}: cannot be opened: {}", file.string(), std::strerror(error));
  }
  // Other failures mean a file system without locks: the run goes on without one.
  CHECK_USAGE(flock(lock_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK,
              "{}: another process is training in this run directory; wait for it, or use another run.name", path_.string());
}

void RunDir::begin(const Config& config, Comm& comm) {
  if (writes_) {
    make_writable_dir(path_.has_parent_path() ? path_.parent_path() : fs::path("."));
    if (moves_aside_) {
      lock();  // not from under a run in progress
      message_ += fmt::format("{}{} holds another run: moved to {}", message_.empty() ? "" : "; ", path_.string(),
                              move_aside(path_).string());
    }
    make_writable_dir(path_);
    lock();
    fs::create_directories(checkpoints());
    write_file_atomic(path_ / "config.yaml", config_to_yaml(config));
  }
  comm.barrier("run directory");
}

void RunDir::drop_metrics_after(int64_t step) const {
  if (writes_) truncate_metrics(path_ / "metrics.jsonl", step);
}

void RunDir::append_metrics(const Metrics& metrics) const {
  if (writes_) metrics.append_to(path_ / "metrics.jsonl");
}

void RunDir::write_completions(int64_t step, std::span<const Group> groups, std::span<const std::string> names,
                               const std::vector<RewardSpec>& rewards) const {
  if (!writes_) return;
  const auto or_null = [](const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); };
  std::string text;
  for (size_t g = 0; g < groups.size(); ++g) {
    for (size_t i = 0; i < groups[g].rollouts.size(); ++i) {
      const Rollout& rollout = groups[g].rollouts[i];
      Json scores = Json::object();
      for (size_t r = 0; r < rewards.size(); ++r) scores[rewards[r].name] = or_null(groups[g].scores[i].scores[r]);
      Json line = {{"step", step},
                   {"problem", names[g]},
                   {"sample", i},
                   {"completion", groups[g].texts[i]},
                   {"ids", rollout.tokens},
                   {"logprobs", rollout.logprobs},
                   {"finish_reason", finish_reason_name(rollout.finish_reason)},
                   {"reward", or_null(groups[g].scores[i].total)},
                   {"rewards", scores},
                   {"advantage", groups[g].advantages[i]}};
      if (!groups[g].selected.empty()) line["selected"] = is_selected(groups[g], i);
      text += dump_json(line) + "\n";
    }
  }
  fs::create_directories(path_ / "completions");
  write_file_atomic(path_ / "completions" / fmt::format("step_{}.jsonl", step), text);
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
  fs::remove_all(target);
  fs::rename(temporary, target);
  fsync_path(path_);
}

}  // namespace cohort
