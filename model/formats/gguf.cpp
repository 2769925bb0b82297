// `cohort import`: the files of the new folder.
#include "model/formats/gguf.h"

#include "core/files.h"
#include "model/formats/gguf_file.h"
#include "model/formats/gguf_llama.h"
#include "model/formats/gguf_tokenizer.h"
#include "model/formats/safetensors_writer.h"
#include "model/formats/unfinished_folder.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

void write_decoded(const fs::path& file, const std::vector<LlamaWeight>& weights,
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

  UnfinishedFolder folder(out_dir);
  write_decoded(folder.path() / "model.safetensors", import.weights, file.where, progress);
  write_file_atomic(folder.path() / "config.json", dump_json(import.config, 2) + "\n");
  write_file_atomic(folder.path() / "generation_config.json",
                    dump_json(import.generation_config, 2) + "\n");
  write_file_atomic(folder.path() / "tokenizer.json", tokenizer.tokenizer_json);
  write_file_atomic(folder.path() / "tokenizer_config.json", tokenizer.tokenizer_config_json);
  folder.finish();
}

}  // namespace cohort
