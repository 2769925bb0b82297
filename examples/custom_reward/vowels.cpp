// A reward of your own: the share of the completion's letters that are vowels, for words of the length that the config's options allow.
// Built as a shared library and named in the config: reward: [{name: library, path: ./libvowels.so, options: {most: 12}}].
#include <cohort/reward/outside/abi.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace {

std::string_view text_of(cohort_text text) { return {text.data, text.size}; }

}  // namespace

uint32_t cohort_reward_abi(void) { return COHORT_REWARD_ABI; }

// Options come as JSON. This takes one, {"most":N}; anything else is refused, which ends the run before it begins.
void* cohort_reward_open(cohort_text options, char* error) {
  const std::string text(text_of(options));
  size_t most = 16;
  if (text != "{}" && std::sscanf(text.c_str(), "{\"most\":%zu}", &most) != 1) {
    std::snprintf(error, COHORT_REWARD_ERROR_SIZE, "options: found %s; allowed: {\"most\": how many letters}", text.c_str());
    return nullptr;
  }
  return new size_t(most);
}

void cohort_reward_close(void* reward) { delete static_cast<size_t*>(reward); }

int cohort_reward_score(void* reward, const cohort_reward_input* input, cohort_reward_output* output) {
  const std::string_view completion = text_of(input->completion);
  size_t vowels = 0;
  for (const char c : completion) vowels += std::strchr("aeiou", c) != nullptr ? 1 : 0;
  // COHORT_REWARD_NONE in place of a score: what cannot be judged is left out of its group, and is no 0.
  const bool too_long = completion.size() > *static_cast<size_t*>(reward);
  output->score = too_long || vowels == 0 ? 0 : static_cast<double>(vowels) / static_cast<double>(completion.size());
  std::snprintf(output->reason, sizeof output->reason, "%zu of %zu letters are vowels%s", vowels, completion.size(), too_long ? ", too long" : "");
  return COHORT_REWARD_SCORED;
}
