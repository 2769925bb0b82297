// A model folder: one safetensors file, or the shards that its index names.
#include <algorithm>
#include <functional>

#include "core/check.h"
#include "core/json.h"
#include "model/formats/hub_cache.h"
#include "model/formats/in_quotes.h"
#include "model/formats/safetensors.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSingle = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";
constexpr size_t kMaxIndexBytes = size_t{64} << 20;

bool is_pickle(const fs::path& file) {
  const std::string extension = file.extension().string();
  return extension == ".bin" || extension == ".pt" || extension == ".pth" || extension == ".ckpt" ||
         extension == ".pkl";
}

[[noreturn]] void refuse_without_safetensors(const fs::path& dir) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(dir, error))
    if (is_pickle(entry.path()))
      fail(ExitCode::kInput,
           "{}: holds {} but no safetensors; such files can run code when they are read: convert "
           "to safetensors, e.g. in Python with transformers: "
           "AutoModelForCausalLM.from_pretrained(DIR, dtype='auto').save_pretrained(NEW_DIR)",
           dir.string(), in_quotes(entry.path().filename().string()));
  fail(ExitCode::kInput, "{}: neither {} nor {} is in it", dir.string(), kSingle, kIndex);
}

// The names come from a file that someone else wrote: a shard is a plain file of the folder, or a link
// of the hub's download cache.
fs::path shard_path(const fs::path& dir, const std::string& name, const std::string& where) {
  CHECK_INPUT(name.ends_with(".safetensors"),
              "{}: weight_map names the shard {}; a shard's name ends in .safetensors", where,
              in_quotes(name));
  const bool plain = std::none_of(
      name.begin(), name.end(), [](unsigned char c) { return c == '/' || c == '\\' || c < 0x20; });
  CHECK_INPUT(plain && !name.starts_with(".."),
              "{}: weight_map names the shard {}; allowed are plain names of files in the folder",
              where, in_quotes(name));
  const fs::path path = dir / name;
  std::error_code error;
  CHECK_INPUT(fs::exists(path, error), "{}: weight_map names the shard {}, which is missing", where,
              in_quotes(name));
  const fs::path home = fs::canonical(dir, error), target = fs::canonical(path, error);
  CHECK_INPUT(!error && (target.parent_path() == home || is_hub_link(path)),
              "{}: the shard {} is a link to {}, outside the folder", where, in_quotes(name),
              target.string());
  return path;
}

struct Index {
  std::map<std::string, std::vector<std::string>> shards;  // shard -> names of its tensors
  Json total_size;                                         // what it says of itself; null: nothing
};

Index read_index(const fs::path& file) {
  const std::string where = file.string();
  const Json json = parse_json(read_file(file, kMaxIndexBytes), where);
  CHECK_INPUT(json.is_object() && json.contains("weight_map") && json["weight_map"].is_object(),
              "{}: must be an object with weight_map, an object", where);
  Index index;
  if (json.contains("metadata") && json["metadata"].is_object() &&
      json["metadata"].contains("total_size"))
    index.total_size = json["metadata"]["total_size"];
  for (const auto& [tensor, shard] : json["weight_map"].items()) {
    CHECK_INPUT(shard.is_string(), "{}: weight_map: {} is no text; it must be the name of a shard",
                where, in_quotes(tensor));
    index.shards[shard.get<std::string>()].push_back(tensor);
  }
  CHECK_INPUT(!index.shards.empty(), "{}: weight_map is empty", where);
  return index;
}

}  // namespace

const fs::path& SafetensorsFolder::file_of(const StoredTensor& tensor) const {
  const auto holds = [&](const MappedFile& file) {  // an empty tensor may stand at the end
    const std::byte* begin = file.bytes().data();
    return std::less_equal()(begin, tensor.data.data()) && std::less_equal()(tensor.data.data(), begin + file.bytes().size());
  };
  const auto found = std::ranges::find_if(files_, holds);
  CHECK(found != files_.end(), "a tensor of another folder");
  return found->path();
}

SafetensorsFolder SafetensorsFolder::open_file(const fs::path& file) {
  SafetensorsFolder folder;
  folder.files_.emplace_back(file);
  folder.tensors_ = parse_safetensors(folder.files_.back().bytes(), file.string());
  return folder;
}

SafetensorsFolder SafetensorsFolder::open(const fs::path& model_dir) {
  std::error_code error;
  CHECK_INPUT(fs::is_directory(model_dir, error), "{}: is no folder; a model is a folder with {}",
              model_dir.string(), kSingle);
  const bool single = fs::exists(model_dir / kSingle, error);
  bool sharded = fs::exists(model_dir / kIndex, error);
  if (single && sharded) {
    // Some tools write an index of one file.
    const Index index = read_index(model_dir / kIndex);
    sharded = index.shards.size() != 1 || !index.shards.contains(kSingle);
  }
  CHECK_INPUT(!single || !sharded,
              "{}: both {} and {} are in it; which holds the model? Remove the other",
              model_dir.string(), kSingle, kIndex);
  if (single) return open_file(model_dir / kSingle);
  if (!sharded) refuse_without_safetensors(model_dir);

  const std::string index = (model_dir / kIndex).string();
  const auto [shards, total_size] = read_index(model_dir / kIndex);
  SafetensorsFolder folder;
  for (const auto& [name, listed] : shards) {
    const fs::path path = shard_path(model_dir, name, index);
    folder.files_.emplace_back(path);
    std::map<std::string, StoredTensor> tensors =
        parse_safetensors(folder.files_.back().bytes(), path.string());
    for (const std::string& tensor : listed) {
      auto node = tensors.extract(tensor);
      CHECK_INPUT(!node.empty(), "{}: weight_map: tensor {} is not in its shard {}", index,
                  in_quotes(tensor), in_quotes(name));
      folder.tensors_.insert(std::move(node));
    }
    CHECK_INPUT(tensors.empty(), "{}: tensor {}: {} gives it to another shard, or to none",
                path.string(), in_quotes(tensors.begin()->first), index);
  }
  // Published indices get the sum wrong, and nothing is read by it: said, not refused.
  uint64_t bytes = 0;
  for (const auto& [name, tensor] : folder.tensors_) bytes += tensor.data.size();
  if (!total_size.is_null() && total_size != Json(bytes))
    folder.warnings_.push_back(
        fmt::format("{}: metadata.total_size is {}, but the tensors of the shards take {} bytes", index,
                    dump_json(total_size), bytes));
  return folder;
}

}  // namespace cohort
