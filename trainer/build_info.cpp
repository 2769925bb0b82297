#include "trainer/build_info.h"

#include <fmt/ranges.h>
#include <gnu/libc-version.h>

#include <vector>

#include "model/device.h"
#include "model/ops/instruction_sets.h"

namespace cohort {

std::string compiler_name() {
#ifdef __clang__
  return "Clang " __clang_version__;
#else
  return "GCC " __VERSION__;
#endif
}

std::string kernel_sets() {
  const InstructionSets& sets = kKernelInstructionSets;
  std::vector<std::string> names;
  const auto add = [&](bool present, const char* name) {
    if (present) names.emplace_back(name);
  };
  add(sets.avx2, "avx2"), add(sets.fma, "fma"), add(sets.avx512f, "avx512f"), add(sets.avx512bw, "avx512bw");
  add(sets.avx512dq, "avx512dq"), add(sets.avx512vl, "avx512vl"), add(sets.avx512bf16, "avx512bf16");
  add(sets.amx_bf16 || sets.emulated_amx_bf16, "amx_bf16");  // the bits are the same
  return names.empty() ? "baseline" : fmt::format("{}", fmt::join(names, " "));
}

Json build_info() {
  const bool on_gpu = gpu_memory().has_value();
  return {{"version", COHORT_VERSION},
          {"numerics", kNumericsVersion},
          {"device", on_gpu ? "cuda" : "cpu"},
          {"kernels", on_gpu ? gpu_description() : kernel_sets()},
          {"compiler", compiler_name()},
          {"libc", std::string("glibc ") + gnu_get_libc_version()}};
}

std::string resume_note(const Json& then, int64_t ranks_then, const Json& now, int64_t ranks_now) {
  const std::string ranks = ranks_then == ranks_now ? "" : fmt::format("ranks {}, was {}", ranks_now, ranks_then);
  if (!then.is_object())
    return fmt::format("the checkpoint does not say which build wrote it{}: the run goes on from the same state, but its bits from here "
                       "on need not be those of the run unbroken",
                       ranks.empty() ? "" : " (" + ranks + ")");
  std::vector<std::string> differences;
  if (!ranks.empty()) differences.push_back(ranks);
  bool other_bits = false, maybe_other_bits = false;
  for (const auto& [key, value] : now.items()) {
    const Json was = then.value(key, Json());
    if (was == value) continue;
    const auto text = [](const Json& v) { return v.is_string() ? v.get<std::string>() : dump_json(v); };
    differences.push_back(fmt::format("{} {}, was {}", key, text(value), text(was)));
    other_bits = other_bits || key == "numerics" || key == "device" || key == "kernels";
    maybe_other_bits = maybe_other_bits || key == "compiler" || key == "libc";
  }
  if (differences.empty()) return "";
  const char* promise = other_bits         ? "the run goes on from the same state, but its bits from here on are not those of the run unbroken"
                        : maybe_other_bits ? "the run goes on from the same state; its bits from here on may differ from those of the run unbroken"
                                           : "the run goes on with the same bits";
  return fmt::format("resuming with {}: {}", fmt::join(differences, "; "), promise);
}

}  // namespace cohort
