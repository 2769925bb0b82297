// `cohort import`: the files of the new folder.
#include "model/formats/gguf.h"

#include <unistd.h>

#include "core/check.h"
#include "core/files.h"
#include "model/formats/gguf_file.h"
#include "model/formats/gguf_llama.h"
#include "model/formats/gguf_tokenizer.h"
#include "model/formats/safetensors_writer.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

// A new folder beside `target` that disappears unless it becomes `target`.
class UnfinishedFolder {
 public:
  explicit UnfinishedFolder(const fs::path& target) : target_(target) {
    std::error_code error;
    fs::create_directories(target.parent_path(), error);
    CHECK_INPUT(!error, "{}: cannot be created: {}", target.parent_path().string(),
                error.message());
    path_ =
        target.parent_path() / fmt::format(".{}.import-{}", target.filename().string(), ::getpid());
    const bool fresh = fs::create_directory(path_, error);
    CHECK_INPUT(!error, "{}: cannot be created: {}", path_.string(), error.message());
    CHECK_INPUT(fresh, "{}: is left from an import that was killed; remove it", path_.string());
  }
  ~UnfinishedFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  UnfinishedFolder(const UnfinishedFolder&) = delete;
  UnfinishedFolder& operator=(const UnfinishedFolder&) = delete;

  const fs::path& path() const { return path_; }
  // An empty folder at the target is replaced; anything else there stops it.
  void finish() {
    std::error_code error;
    fsync_path(path_);
    fs::rename(path_, target_, error);
    CHECK_INPUT(!error, "{}: cannot be made from {}: {}", target_.string(), path_.string(),
                error.message());
    path_.clear();
    fsync_path(target_.parent_path());
  }

 private:
  fs::path target_, path_;
};

// Absolute, links resolved, without a slash at the end.
fs::path target_folder(const fs::path& out_dir) {
  std::error_code error;
  fs::path target = fs::weakly_canonical(fs::absolute(out_dir), error);
  CHECK_INPUT(!error, "{}: {}", out_dir.string(), error.message());
  if (!target.has_filename()) target = target.parent_path();
  CHECK_INPUT(target.has_filename(), "{}: is no place for a new folder", out_dir.string());
  if (!fs::exists(target)) return target;
  CHECK_INPUT(fs::is_directory(target), "{}: exists and is no folder; give a new or empty one",
              out_dir.string());
  const bool empty = fs::is_empty(target, error);
  CHECK_INPUT(!error && empty, "{}: is not empty; give a new or empty folder", out_dir.string());
  return target;
}

void write_weights(const fs::path& file, const std::vector<LlamaWeight>& weights,
                   const std::string& where, const std::function<void(int, int)>& progress) {
  std::vector<SafetensorsWriter::Entry> entries;
  for (const LlamaWeight& weight : weights)
    entries.push_back({weight.name, "BF16", weight.tensor->shape});
  SafetensorsWriter writer(file, entries);
  const int total = static_cast<int>(weights.size());
  for (int done = 0; done < total; ++done) {
    if (progress) progress(done, total);
    decode_weight(weights[done], where,
                  [&](std::span<const bf16> piece) { writer.append(std::as_bytes(piece)); });
  }
  writer.finish();
  if (progress) progress(total, total);
}

}  // namespace

void import_gguf(const fs::path& gguf, const fs::path& out_dir,
                 const std::function<void(int, int)>& progress) {
  const MappedFile mapped(gguf);
  const GgufFile file = parse_gguf(mapped.bytes(), gguf.string());
  const GgufTokenizer tokenizer = convert_gguf_tokenizer(file);
  const LlamaImport import = plan_llama_import(file, tokenizer);

  UnfinishedFolder folder(target_folder(out_dir));
  write_weights(folder.path() / "model.safetensors", import.weights, file.where, progress);
  write_file_atomic(folder.path() / "config.json", dump_json(import.config, 2) + "\n");
  write_file_atomic(folder.path() / "generation_config.json",
                    dump_json(import.generation_config, 2) + "\n");
  write_file_atomic(folder.path() / "tokenizer.json", tokenizer.tokenizer_json);
  write_file_atomic(folder.path() / "tokenizer_config.json", tokenizer.tokenizer_config_json);
  folder.finish();
}

}  // namespace cohort
