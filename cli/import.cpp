// cohort import: a GGUF file to a Hugging Face folder.
#include <fmt/format.h>

#include <memory>

#include "cli/command.h"
#include "cli/progress.h"
#include "model/formats/gguf.h"

namespace cohort {
namespace {

struct Options {
  std::string gguf, out_dir;
};

int run(const Options& o) {
  StatusLine line;
  StageProgress progress(line);
  import_gguf(o.gguf, o.out_dir,
              [&](int done, int total) { progress.update("tensors", done, total); });
  line.print(fmt::format("{} written", o.out_dir));
  return 0;
}

}  // namespace

Action add_import(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("FILE.gguf", o->gguf,
                 "llama architecture; F32, F16, BF16, Q8_0, Q4_0, Q4_1 or Q6_K tensors")
      ->required();
  app.add_option("OUT_DIR", o->out_dir, "a new or empty folder; weights are written as bfloat16")
      ->required();
  return [o] { return run(*o); };
}

}  // namespace cohort
