#include "reward/model_options.h"

#include "core/check.h"
#include "reward/options.h"

namespace cohort {
namespace {

std::string path_option(const RewardSpec& spec) {
  const auto it = spec.options.find("path");
  CHECK_USAGE(it != spec.options.end(), "reward '{}': 'path' is missing, the folder of the model", spec.name);
  CHECK_USAGE(it->is_string() && !it->get_ref<const std::string&>().empty(), "reward '{}': 'path' is the folder of a model, found {}", spec.name,
              it->dump());
  return it->get<std::string>();
}

constexpr int64_t kLongest = int64_t{1} << 24;  // tokens: beyond any model's positions

}  // namespace

ModelRewardOptions read_model_reward(const RewardSpec& spec) {
  check_options(spec, {"path", "dtype", "max_length", "prompt"});
  return {.path = path_option(spec),
          .dtype = word_option(spec, "dtype", {"auto", "float32", "bfloat16"}),
          .max_length = whole_option(spec, "max_length", 0, kLongest, 0),
          .user_message = word_option(spec, "prompt", {"as_given", "user_message"}) == "user_message"};
}

void check_model_reward(const RewardSpec& spec) { read_model_reward(spec); }

}  // namespace cohort
