// Fingerprints for integrity (not security): xxh3, 128 bits, as 32 hexadecimal digits.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace cohort {

// Of bytes that come in parts; the same as of all of them at once.
class Fingerprint {
 public:
  Fingerprint();
  void add(std::span<const std::byte> bytes);
  std::string text() const;

 private:
  struct State;
  struct Free {
    void operator()(State* state) const;
  };
  std::unique_ptr<State, Free> state_;
};

std::string fingerprint(std::span<const std::byte> bytes);
std::string fingerprint(std::string_view text);

}  // namespace cohort
