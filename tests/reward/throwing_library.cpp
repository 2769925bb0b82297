// A library for the reward `library` that lets C++ exceptions through the border.
#include <new>
#include <stdexcept>

#include "reward/outside/abi.h"

uint32_t cohort_reward_abi() { return COHORT_REWARD_ABI; }
void* cohort_reward_open(cohort_text, char*) {
  static int state = 0;
  return &state;
}
void cohort_reward_close(void*) {}
int cohort_reward_score(void*, const cohort_reward_input* input, cohort_reward_output* output) {
  if (input->completion.size == 0) throw 5;
  if (input->completion.size == 1) throw std::out_of_range("no such word\x1b");
  output->score = 1;
  return COHORT_REWARD_SCORED;
}
