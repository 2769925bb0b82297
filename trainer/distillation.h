// On-policy distillation: the student samples, and a teacher tells of each sampled token how likely it finds it. What comes of it is the
// reverse KL, token by token: the student learns where it goes by itself, and puts its probability where the teacher's is.
//
//   A_t += teacher_coef (log pi_T(y_t | y_<t) - log mu(y_t | y_<t))      mu: who sampled, as recorded
//
// The prefix is taken as given (a token's advantage says nothing of later ones), so that the mean gradient of a policy that samples for
// itself is minus that of  teacher_coef sum_t KL(pi(. | y_<t) || pi_T(. | y_<t)).  Agarwal et al. 2024 (GKD, arXiv:2306.13649, on-policy
// with reverse KL, there over all of the vocabulary); Lu and Thinking Machines Lab 2025, "On-Policy Distillation" (this estimate).
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "comm/comm.h"
#include "trainer/config.h"
#include "trainer/model_setup.h"
#include "trainer/packs.h"

namespace cohort {

// Adds the teacher's part to the advantages of the groups, which become those of tokens; `logprobs`: the teacher's, of each token of each
// completion of each group. What is not selected stays out of it. Returns the mean of log mu - log pi_T over tokens.
double add_teacher_advantages(std::span<Group> groups, std::span<const std::vector<std::vector<float>>> logprobs, const AlgorithmSection& algorithm);

// Exit code 3, naming the first token that differs: a teacher's log-probs are of the student's tokens.
void check_same_vocabulary(const LoadedModel& student, const LoadedModel& teacher);

class Teacher {
 public:
  // Loads algorithm.teacher, in the dtype of model.dtype.
  Teacher(const Config& config, const LoadedModel& student, const Exec& ex);
  const Policy& policy() const { return *model_.policy; }

  // Log-probs of each token of each completion of each group, at rollout.temperature, equal on every rank; each rank runs the packs of its
  // logical ranks. Exit code 5, naming prompt and completion, when one is not finite.
  std::vector<std::vector<std::vector<float>>> logprobs(std::span<const Group> groups, std::span<const std::string> names, int64_t step,
                                                        Comm& comm, const Exec& ex);

 private:
  const Config& config_;
  LoadedModel model_;
  std::unique_ptr<TrainState> state_;  // grows to what the packs seen needed
};

}  // namespace cohort
