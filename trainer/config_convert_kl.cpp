// The KL term and its reference in a peer's config, and what counts steps there: where the same number would be another experiment.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "trainer/config_translator.h"

namespace cohort {
namespace {

// Of TRL: updates of the weights in a step of ours; 0: not known.
double updates_in_a_step(Translator& t) {
  const PeerEntry* iterations = t.find({"num_iterations"});
  return t.updates_in_a_pass * (iterations != nullptr ? iterations->number().value_or(1) : 1);
}

double in_our_steps(double optimizer_steps, double updates) { return std::max(1.0, std::ceil(optimizer_steps / updates)); }

// TRL 1.16 multiplies the KL term by the ratio unless told otherwise.
void translate_bias_correction(Translator& t) {
  const PeerEntry* beta = t.find({"beta"});
  const bool on = beta != nullptr && beta->number().value_or(0) > 0;
  if (PeerEntry* given = t.find({"use_bias_correction_kl"})) {
    if (on) return;
    given->used = true;
    if (is_true(given)) t.note(*given, "beta is 0, so there is no KL term to correct");
    return;
  }
  if (!on) return;
  t.put("algorithm.use_bias_correction_kl", "true", {.path = "TRL's default of use_bias_correction_kl", .value = {}, .where = beta->where});
  t.note(*beta, "algorithm.use_bias_correction_kl is true, the default of TRL 1.16; older ones had false");
}

// Where both have a term, each with an estimator of its own.
void leave_loss_term_out(Translator& t, const PeerEntry& in_loss, const PeerEntry* coefficient, const PeerEntry* estimator) {
  t.note(coefficient != nullptr ? *coefficient : in_loss,
         "the KL term of the loss, left out: the reward has one as well (use_kl_in_reward), and cohort has one KL term, algorithm.beta with its kl_estimator");
  if (estimator != nullptr) t.note(*estimator, "the estimator of the KL term of the loss, which is left out");
}

}  // namespace

void translate_step_counts(Translator& t) {
  if (t.peer != Peer::trl || t.sft) return;
  const double updates = updates_in_a_step(t);
  if (updates == 1) return;
  for (const char* name : {"max_steps", "save_steps", "eval_steps", "ref_model_sync_steps", "warmup_steps"}) {
    PeerEntry* entry = t.find({name});
    const double steps = entry != nullptr ? entry->number().value_or(0) : 0;
    if (steps < 1) continue;  // off, or a share of the run
    if (updates < 1) {
      t.note(*entry, "counts optimizer steps there, and steps of new completions here: divide it by the updates that a step has");
      continue;
    }
    const bool exact = name == std::string_view("warmup_steps");  // becomes a fraction
    const std::string ours = fmt::format("{}", exact ? steps / updates : in_our_steps(steps, updates));
    if (!exact) t.note(*entry, fmt::format("{} optimizer steps there are {} steps here, of {} updates each (steps_per_generation, num_iterations)", entry->text(), ours, updates));
    entry->value = YAML::Node(ours);
  }
}

// Coefficients count only where their switch is on, which is off in verl unless it is said. The estimator that counts is left to the rule for
// words; the other would overrule it.
void translate_kl(Translator& t) {
  if (t.sft) return;
  if (t.peer == Peer::trl) return translate_bias_correction(t);
  PeerEntry* in_loss = t.take({"use_kl_loss", "kl.use_loss"});
  PeerEntry* in_reward = t.take({"use_kl_in_reward"});
  PeerEntry* loss_coef = t.take({"kl_loss_coef"});
  PeerEntry* reward_coef = t.take({"kl_coef", "init_kl_coef", "init_coef"});
  const bool asks_reward = is_true(in_reward) || (t.peer == Peer::openrlhf && reward_coef != nullptr && !is_true(in_loss));
  const bool of_reward = asks_reward && (reward_coef == nullptr || reward_coef->number().value_or(0) > 0);
  bool of_loss = is_true(in_loss) && !of_reward;
  if (of_loss) {
    if (t.peer == Peer::openrlhf && loss_coef == nullptr) loss_coef = reward_coef;
    t.put("algorithm.beta", loss_coef != nullptr ? loss_coef->text() : "0.001", loss_coef != nullptr ? *loss_coef : *in_loss);
    of_loss = t.number_of("algorithm.beta").value_or(0) > 0;
  } else if (asks_reward) {
    t.put("algorithm.beta", reward_coef != nullptr ? reward_coef->text() : "0.001", reward_coef != nullptr ? *reward_coef : *in_reward);
    if (of_reward) t.put("algorithm.use_kl_in_reward", "true", in_reward != nullptr ? *in_reward : *reward_coef);
    if (is_true(in_loss)) leave_loss_term_out(t, *in_loss, loss_coef, t.find({"kl_loss_type"}));
  } else if (loss_coef != nullptr) {
    t.note(*loss_coef, "use_kl_loss is off, so there is no KL term; algorithm.beta is its weight");
  }
  if (!of_loss) t.take({"kl_loss_type"});
  if (!of_reward) t.take({"kl_penalty"});
  // Their default, which is not ours.
  const bool k1 = t.peer == Peer::verl ? of_reward && t.find({"kl_penalty"}) == nullptr : (of_reward || of_loss) && t.find({"kl_estimator"}) == nullptr;
  if (k1) t.put("algorithm.kl_estimator", "k1", reward_coef != nullptr ? *reward_coef : in_reward != nullptr ? *in_reward : *in_loss);
}

void translate_reference(Translator& t) {
  PeerEntry* sync = t.take({"sync_ref_model"});
  PeerEntry* steps = t.take({"ref_model_sync_steps"});
  PeerEntry* alpha = t.take({"ref_model_mixup_alpha"});
  if (!is_true(sync)) return;
  const double updates = updates_in_a_step(t);
  const std::string standard = fmt::format("{}", updates >= 1 ? in_our_steps(512, updates) : 512);
  t.put("algorithm.ref_model_sync_steps", steps != nullptr ? steps->text() : standard, steps != nullptr ? *steps : *sync);
  if (alpha != nullptr) t.put("algorithm.ref_model_mixup_alpha", alpha->text(), *alpha);
}

}  // namespace cohort
