// cohort import: a GGUF file, or a Hugging Face folder, to a clean Hugging Face folder.
#include <fmt/ranges.h>

#include <memory>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "core/text.h"
#include "model/formats/gguf.h"
#include "model/formats/safetensors.h"
#include "model/formats/unfinished_folder.h"
#include "trainer/model_setup.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string source, out_dir, base, dtype;
  uint64_t max_shard_bytes = kMaxShardBytes;
  int threads = 0;
};

void import_file(const Options& o, StatusLine& line) {
  CHECK_USAGE(o.base.empty(), "--base {}: a GGUF is a whole model", o.base);
  CHECK_USAGE(o.dtype.empty() || o.dtype == "bfloat16",
              "--dtype {}: a GGUF is imported as bfloat16; import the folder it makes once more for another dtype", o.dtype);
  CHECK_USAGE(o.max_shard_bytes == kMaxShardBytes, "--max-shard-size: a GGUF is imported as one file; import the folder it makes "
              "once more for shards");
  StageProgress progress(line);
  import_gguf(o.source, o.out_dir, [&](int done, int total) { progress.update("tensors", done, total); });
}

// Reads the folder as training does and writes it as training does, whole or not at all.
void import_folder(const Options& o, StatusLine& line) {
  UnfinishedFolder unfinished(o.out_dir);
  StageProgress progress(line);
  progress.update("reading", 0, 0);
  ModelArguments threads;
  threads.threads = o.threads;
  ExecOwner owner(threads.thread_count());
  const LoadedModel model = load_model(o.source, "auto", 1, owner.exec(), PolicyUse::inference, o.base);
  const SafetensorsFolder weights = SafetensorsFolder::open(model.source);
  for (const std::string& warning : weights.warnings()) line.print("warning: " + warning);
  ModelFiles files = read_model_files(model.source, model.policy->table);
  if (!model.adapter.empty()) take_text_files(files, model.adapter);
  progress.update("writing", 0, 0);
  save_model(*model.policy, files, unfinished.path(), {.dtype = stored_dtype_of(o.dtype), .max_shard_bytes = o.max_shard_bytes});
  progress.close();
  const std::vector<std::string> left_out = files_left_out(model.source);
  if (!left_out.empty()) line.print(fmt::format("left out: {}", fmt::join(left_out, ", ")));
  unfinished.finish();
}

int run(const Options& o) {
  StatusLine line;
  if (fs::is_directory(o.source)) {
    import_folder(o, line);
  } else {
    import_file(o, line);
  }
  line.print(printable(fmt::format("{} written", o.out_dir)));
  return 0;
}

}  // namespace

Action add_import(App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("SOURCE", o->source,
                 "a Hugging Face folder, that of a LoRA adapter, or a GGUF file (llama architecture; F32, F16, BF16, Q8_0, Q4_0, Q4_1 or Q6_K)")
      .required();
  app.add_option("OUT_DIR", o->out_dir, "a new or empty folder").required();
  app.add_option("--base", o->base, "the base model of an adapter (default: the one that its adapter_config.json names)").type_name("DIR");
  app.add_option("--dtype", o->dtype, "of all weights, rounded once; default: a folder's own, byte for byte; bfloat16 for a GGUF")
      .one_of({"float32", "bfloat16", "float16"});
  app.add_option("--max-shard-size", o->max_shard_bytes, "bytes of weights in one file; more are cut into shards with an index")
      .range(int64_t{1}, INT64_MAX)
      .show_default();
  app.add_option("--threads", o->threads, "0: all cores that this process may use").range(0, 4096).show_default();
  app.footer("A folder is read as training reads it and written as training writes it: safetensors, config.json, tokenizer and\n"
             "chat template. An adapter is merged into its base. What cohort cannot run exactly is refused by name.");
  return [o] { return run(*o); };
}

}  // namespace cohort
