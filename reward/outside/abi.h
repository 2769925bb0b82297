/* A reward in a shared library (cohort's reward `library`): what the library exports and what it gets. For C99 and C++; copy
 * this file, it needs no other one. docs/outside-rewards.md has an example.
 *
 *     cc -O2 -shared -fPIC -o my_reward.so my_reward.c
 *
 * The library runs inside the trainer: if it crashes or never returns, so does the run. It must not throw. */
#ifndef COHORT_REWARD_ABI_H
#define COHORT_REWARD_ABI_H

#include <stddef.h>
#include <stdint.h>

#define COHORT_REWARD_ABI 1 /* the version of this file; it grows with every change of what stands below */

/* Bytes, without a zero at the end; of the model's text they need not be valid UTF-8. They live as long as the call. */
struct cohort_text {
  const char* data;
  size_t size;
};

struct cohort_reward_input {
  struct cohort_text prompt, completion;
  struct cohort_text finish_reason; /* "stop" or "length" */
  struct cohort_text columns;       /* the data row's other columns, as a JSON object */
  struct cohort_text messages;      /* the prompt where it is a list of messages, as JSON, and `prompt` is then empty; else empty */
  const int32_t* ids;               /* the completion's tokens, num_ids of them; none where they are not known */
  size_t num_ids;
  int32_t opens_thinking; /* not 0: the prompt ended with <think>, which the completion then lacks */
};

#define COHORT_REWARD_REASON_SIZE 512
#define COHORT_REWARD_ERROR_SIZE 512

struct cohort_reward_output {
  double score; /* a finite number in [-1e6, 1e6] */
  /* For people, ended by a zero byte: what was found and why that gives the score. It comes empty and may stay so. */
  char reason[COHORT_REWARD_REASON_SIZE];
};

enum cohort_reward_result {
  COHORT_REWARD_SCORED = 0,
  COHORT_REWARD_NONE = 1,  /* the row cannot be judged; `score` is not read */
  COHORT_REWARD_FAILED = 2 /* something went wrong; the same, and counted as an error */
};

#ifdef __cplusplus
extern "C" {
#endif

/* Returns COHORT_REWARD_ABI. Called first, and nothing else if it is another version than the trainer's. */
uint32_t cohort_reward_abi(void);

/* Called once before all scores. `options`: the config's `options`, as a JSON object. Returns what the other functions get as
 * `reward`; or null, with the reason in `error` (COHORT_REWARD_ERROR_SIZE bytes, ended by a zero byte). */
void* cohort_reward_open(struct cohort_text options, char* error);

/* Fills `output`; returns a cohort_reward_result. The score is a function of `input` and the options alone. Called by one
 * thread at a time, unless the config says `threads: many`. */
int cohort_reward_score(void* reward, const struct cohort_reward_input* input, struct cohort_reward_output* output);

/* Called once, after all scores. */
void cohort_reward_close(void* reward);

#ifdef __cplusplus
}
#endif

#endif
