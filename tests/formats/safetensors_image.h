// Builds safetensors images by hand, right and wrong ones.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace cohort {

inline std::string safetensors_image(std::string_view header, std::string_view data,
                                     uint64_t length) {
  std::string image(sizeof length, '\0');
  std::memcpy(image.data(), &length, sizeof length);
  return image.append(header).append(data);
}

inline std::string safetensors_image(std::string_view header, std::string_view data = "") {
  return safetensors_image(header, data, header.size());
}

// One tensor of two float32 numbers, 1 and -2.
inline const std::string kTwoFloats("\0\0\x80\x3F\0\0\0\xC0", 8);
inline std::string one_tensor_image(std::string_view name) {
  return safetensors_image(
      "{\"" + std::string(name) + "\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
      kTwoFloats);
}

}  // namespace cohort
