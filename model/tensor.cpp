#include "model/tensor.h"

namespace cohort {

std::string Tensor::to_string() const {
  std::string text = std::string(dtype_name(dtype)) + " (";
  for (int i = 0; i < rank; ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return text + ")";
}

}  // namespace cohort
