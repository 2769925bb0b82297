// What `cohort inspect` says of a model folder, and of an adapter's.
#pragma once

#include <fmt/format.h>

#include <filesystem>

#include "core/text.h"

namespace cohort {

// A line of the table: a name and what it is.
template <typename... Args>
void inspect_row(std::string_view name, fmt::format_string<Args...> format, Args&&... args) {
  fmt::print("{:<18}{}\n", name, printable(fmt::format(format, std::forward<Args>(args)...)));
}

// Prints architecture, parameters, dtypes and files, vocabulary, special tokens, chat template, positions and memory of the
// model in `dir`, which has config.json. What is not there is named; what cohort cannot run is refused (exit code 3).
void inspect_model(const std::filesystem::path& dir);
// The same of a LoRA adapter (model/adapter_folder.h), then of its base, which `base` may name.
void inspect_adapter(const std::filesystem::path& dir, const std::filesystem::path& base);

}  // namespace cohort
