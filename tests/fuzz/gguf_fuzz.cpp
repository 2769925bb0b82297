// Any bytes are either refused with exit code 3 or make a model: container, tokenizer, names and
// every weight.
#include <cstdlib>

#include "core/check.h"
#include "model/formats/gguf_file.h"
#include "model/formats/gguf_llama.h"
#include "model/formats/gguf_tokenizer.h"
#include "tests/formats/gguf_builder.h"
#include "tests/fuzz/seeds.h"

using namespace cohort;

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  GgufBuilder small;  // a container that is no model
  small.set("general.alignment", u32_value(8))
      .set("k", texts_value({"a", "b"}))
      .set("n", i32s_value({1, 2}));
  small.alignment = 8;
  small.tensors = {{"w", {32}, kTQ4_1, std::string(20, 'x'), {}},
                   {"v", {2, 2}, kTF32, std::string(16, 'x'), {}}};
  write_seeds({GgufBuilder().image(), small.image(), tiny_llama().image(),
               tiny_llama()
                   .set("tokenizer.ggml.add_bos_token", bool_value(1))
                   .remove_tensor("output.weight")
                   .image()});
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const GgufFile file = parse_gguf(std::as_bytes(std::span(data, size)), "fuzz");
    for (const auto& [name, tensor] : file.tensors)  // also of files that are no llama
      if (tensor.shape.size() == 1) decode_weight({"", name, &tensor, 0}, "fuzz", [](auto) {});
    const GgufTokenizer tokenizer = convert_gguf_tokenizer(file);
    for (const LlamaWeight& weight : plan_llama_import(file, tokenizer).weights)
      decode_weight(weight, "fuzz", [](auto) {});
  } catch (const Error& error) {
    if (error.code() != ExitCode::kInput) std::abort();
  }
  return 0;
}
