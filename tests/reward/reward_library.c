/* A reward as a user writes one, in C, for the tests of the reward `library`. Completions say what it does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reward/outside/abi.h"

#ifdef LIBRARY_NEWER
uint32_t cohort_reward_abi(void) { return COHORT_REWARD_ABI + 1; }
#else
uint32_t cohort_reward_abi(void) { return COHORT_REWARD_ABI; }
#endif

struct state {
  double scale;
  int inside; /* calls that run now */
};

static int is(struct cohort_text text, const char* word) {
  return text.size == strlen(word) && memcmp(text.data, word, text.size) == 0;
}

void* cohort_reward_open(struct cohort_text options, char* error) {
  if (is(options, "{\"silent\":true}")) return NULL;
  if (!is(options, "{}") && !is(options, "{\"scale\":2}")) {
    snprintf(error, COHORT_REWARD_ERROR_SIZE, "unknown options %.*s", (int)options.size, options.data);
    return NULL;
  }
  struct state* state = calloc(1, sizeof *state);
  if (state != NULL) state->scale = options.size > 2 ? 2 : 1;
  return state;
}

void cohort_reward_close(void* reward) { free(reward); }

#ifndef LIBRARY_PARTIAL
int cohort_reward_score(void* reward, const struct cohort_reward_input* input, struct cohort_reward_output* output) {
  struct state* state = reward;
  const struct cohort_text text = input->completion;
  if (is(text, "none")) return snprintf(output->reason, sizeof output->reason, "no gold answer"), COHORT_REWARD_NONE;
  if (is(text, "failed")) return snprintf(output->reason, sizeof output->reason, "no luck"), COHORT_REWARD_FAILED;
  if (is(text, "failed silently")) return COHORT_REWARD_FAILED;
  if (is(text, "seven")) return 7;
  if (is(text, "nan")) return output->score = 0.0 / 0.0, COHORT_REWARD_SCORED;
  if (is(text, "large")) return output->score = -1e7, COHORT_REWARD_SCORED;
  if (is(text, "endless")) return memset(output->reason, 'x', sizeof output->reason), COHORT_REWARD_SCORED;
  if (is(text, "alone")) { /* 1 when no other call runs meanwhile */
    output->score = __atomic_add_fetch(&state->inside, 1, __ATOMIC_SEQ_CST) == 1;
    for (volatile int i = 0; i < 100000; ++i) continue;
    __atomic_sub_fetch(&state->inside, 1, __ATOMIC_SEQ_CST);
    return COHORT_REWARD_SCORED;
  }
  if (is(text, "messages"))
    return snprintf(output->reason, sizeof output->reason, "%.*s", (int)input->messages.size, input->messages.data), COHORT_REWARD_SCORED;
  output->score = state->scale * (double)text.size;
  snprintf(output->reason, sizeof output->reason, "%.*s|%.*s|%.*s|%zu:%d|%d", (int)input->prompt.size, input->prompt.data,
           (int)input->finish_reason.size, input->finish_reason.data, (int)input->columns.size, input->columns.data,
           input->num_ids, input->num_ids > 0 ? (int)input->ids[input->num_ids - 1] : -1, (int)input->opens_thinking);
  return COHORT_REWARD_SCORED;
}
#endif
