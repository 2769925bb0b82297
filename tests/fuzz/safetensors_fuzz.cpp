// Any bytes are either refused with exit code 3 or give tensors that lie inside them.
#include <cstdlib>
#include <vector>

#include "core/check.h"
#include "model/formats/safetensors.h"
#include "tests/formats/plain_formats.h"
#include "tests/formats/safetensors_image.h"
#include "tests/fuzz/seeds.h"

using namespace cohort;

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  write_seeds({safetensors_image("{}"), one_tensor_image("model.norm.weight"),
               safetensors_image(R"({"__metadata__":{"format":"pt"},)"
                                 R"("b":{"dtype":"BF16","shape":[2,1],"data_offsets":[8,12]},)"
                                 R"("a":{"dtype":"F16","shape":[4],"data_offsets":[0,8]},)"
                                 R"("c":{"dtype":"F4","shape":[],"data_offsets":[12,12]}} )",
                                 "123456789012")});
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto image = std::as_bytes(std::span(data, size));
  try {
    std::vector<float> numbers;
    for (const auto& [name, tensor] : parse_safetensors(image, "fuzz")) {
      if (!tensor.data.empty() && (tensor.data.data() < image.data() ||
                                   tensor.data.data() + tensor.data.size() > image.data() + size))
        std::abort();
      if (tensor.dtype != "F32" && tensor.dtype != "F16" && tensor.dtype != "BF16") continue;
      size_t count = 1;
      for (int64_t dim : tensor.shape) count *= static_cast<size_t>(dim);
      numbers.resize(count);  // what a caller allocates by the shape
      convert_stored(tensor, name, false, numbers.data());
      convert_stored(tensor, name, true, numbers.data());
    }
  } catch (const Error& error) {
    if (error.code() != ExitCode::kInput) std::abort();
  }
  return 0;
}
