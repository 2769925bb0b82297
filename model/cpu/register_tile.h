// Tiles of rows and vectors whose sums stay in registers: up to 6 x 4 of the 32 of AVX-512. Private to model/cpu.
#pragma once

#include <cstdint>

namespace cohort::attention {

constexpr int64_t kRegisterRows = 6, kRegisterVectors = 4;

template <int R, typename Body>
void with_vectors(int64_t vectors, const Body& body) {
  if (vectors == 1) return body.template operator()<R, 1>();
  if (vectors == 2) return body.template operator()<R, 2>();
  if (vectors == 3) return body.template operator()<R, 3>();
  body.template operator()<R, 4>();
}

// Calls body.operator()<R, V>() for run-time rows in [1, kRegisterRows] and vectors in [1, kRegisterVectors].
template <typename Body>
void with_tile(int64_t rows, int64_t vectors, const Body& body) {
  if (rows == 1) return with_vectors<1>(vectors, body);
  if (rows == 2) return with_vectors<2>(vectors, body);
  if (rows == 3) return with_vectors<3>(vectors, body);
  if (rows == 4) return with_vectors<4>(vectors, body);
  if (rows == 5) return with_vectors<5>(vectors, body);
  with_vectors<6>(vectors, body);
}

}  // namespace cohort::attention
