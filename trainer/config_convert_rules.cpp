// What a key becomes when its value is said otherwise, or by several keys at once. What maps word by word stands in
// config_peers.cpp. Meanings and defaults of TRL 1.16, verl and OpenRLHF: docs/algorithms.md has them side by side.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "core/yaml.h"
#include "trainer/config_names.h"
#include "trainer/config_translator.h"
#include "trainer/config_value.h"

namespace cohort {

std::string quoted(const std::string& text) { return yaml_of(Json(text)); }

std::string word_of(const PeerEntry& entry) {
  const std::string text = entry.text();
  return text == "True" ? "true" : text == "False" ? "false" : text;
}

bool is_true(const PeerEntry* entry) { return entry != nullptr && word_of(*entry) == "true"; }

namespace {

std::string whole(double value) { return fmt::format("{}", static_cast<int64_t>(value)); }
bool is_whole(double value) { return value == std::trunc(value) && std::abs(value) < 1e15; }

// The values of a key that is a word, in ours. "": nothing to be said here, the default is the same.
struct WordRule {
  const char* name;
  const char* ours;
  std::vector<std::pair<const char*, const char*>> words;
};

const std::vector<WordRule>& word_rules() {
  static const std::vector<std::pair<const char*, const char*>> kl = {
      {"kl", "k1"}, {"mse", "k2"}, {"low_var_kl", "k3"}, {"k1", "k1"}, {"k2", "k2"}, {"k3", "k3"}};
  static const std::vector<std::pair<const char*, const char*>> advantages = {
      {"grpo", "group"}, {"group_norm", "group"}, {"rloo", "rloo"}, {"reinforce_plus_plus", "reinforce_plus_plus"},
      {"reinforce_plus_plus_baseline", "reinforce_plus_plus_baseline"}, {"reinforce", "reinforce_plus_plus"},
      {"reinforce_baseline", "reinforce_plus_plus_baseline"}};
  static const std::vector<WordRule> rules = {
      {"kl_loss_type", "algorithm.kl_estimator", kl},
      {"kl_penalty", "algorithm.kl_estimator", kl},
      {"kl_estimator", "algorithm.kl_estimator", kl},
      {"reference_policy_kl_type", "algorithm.kl_estimator", kl},
      {"adv_estimator", "algorithm.advantage", advantages},
      {"advantage_estimator", "algorithm.advantage", advantages},
      {"loss_mode", "algorithm.loss_type", {{"vanilla", "dapo"}, {"gspo", "gspo"}, {"sapo", "sapo"}}},
      {"scale_rewards", "algorithm.scale_rewards", {{"true", "group"}, {"false", "none"}, {"group", "group"}, {"batch", "batch"}, {"none", "none"}}},
      {"norm_adv_by_std_in_grpo", "algorithm.scale_rewards", {{"true", "group"}, {"false", "none"}}},
      {"token_level_loss", "algorithm.loss_agg_mode", {{"true", "token-mean"}, {"false", "seq-mean-token-mean"}}},
      {"sequence_level_importance_ratios", "algorithm.importance_sampling_level", {{"true", "sequence"}, {"false", "token"}}},
      {"bf16", "model.dtype", {{"true", "bfloat16"}, {"false", ""}}},
      {"torch_dtype", "model.dtype", {{"bfloat16", "bfloat16"}, {"float32", "float32"}, {"auto", "auto"}}},
      {"eval_strategy", "trainer.eval_steps", {{"no", "0"}, {"steps", ""}}},
      {"save_strategy", "trainer.save_steps", {{"no", "0"}, {"steps", ""}}},
      {"resume_mode", "run.resume", {{"auto", "auto"}, {"disable", "never"}, {"resume_path", ""}}},
      {"resume_from_checkpoint", "run.resume", {{"true", "auto"}, {"false", "never"}}},
      {"lr_scheduler_type", "optim.lr_scheduler_type",
       {{"constant", "constant"}, {"constant_with_warmup", "constant"}, {"linear", "linear"}, {"cosine", "cosine"}}},
      {"full_determinism", "run.numerics", {{"true", "strict"}, {"false", ""}}},
      {"log_completions", "log.completions_steps", {{"false", "0"}, {"true", ""}}},
  };
  return rules;
}

// Numbers below 0 are "off" there, and 0 here.
const std::set<std::string> kOffBelowZero = {"save_freq", "test_freq", "save_steps", "eval_steps", "top_k", "val_max_samples", "save_interval", "eval_interval"};

std::string last_name(const std::string& path) { return path.substr(path.find_last_of('.') + 1); }

bool translate_word(Translator& t, const PeerEntry& entry) {
  for (const WordRule& rule : word_rules()) {
    if (last_name(entry.path) != rule.name) continue;
    for (const auto& [theirs, ours] : rule.words) {
      if (word_of(entry) != theirs) continue;
      if (*ours != '\0') t.put(rule.ours, ours, entry);
      return true;
    }
    if (rule.ours == std::string("run.resume")) return t.put(rule.ours, quoted(entry.text()), entry), true;
    t.note(entry, fmt::format("found {}, which has no translation; look at {}", describe(entry.value), rule.ours));
    return true;
  }
  return false;
}

// Names that mean something else in other sections: they count only in a section of the same name, or where there are no sections.
const std::set<std::string> kCommon = {"name", "path", "dir", "device", "train", "eval", "seed", "progress", "trace", "threads", "interface",
                                       "dtype", "shuffle", "stop", "resume", "steps", "delta", "now"};

// Keys that say what runs on this machine and where files go: a name that happens to be the same there does not set them.
bool is_ours_alone(const KeyRow& key) {
  return key.section == "log" || key.section == "comm" || (key.section == "run" && key.name != "seed");
}

// A key of ours by its own name, as TRL spells it.
const KeyRow* own_key(const std::string& path) {
  const KeyRow* found = nullptr;
  for (const KeyRow& key : config_keys()) {
    if (key.name != last_name(path) || key.section.find('.') != std::string::npos) continue;
    if (path == key.path() || path.ends_with(fmt::format(".{}", key.path()))) return &key;
    if (path.find('.') != std::string::npos && kCommon.contains(key.name)) continue;
    if (found != nullptr) return nullptr;  // in several sections: which is meant is not known
    found = &key;
  }
  return found;
}

std::string yaml_text_of(const PeerEntry& entry, const KeyRow& key) {
  Config config = full_config();
  const ValuePointer value = key.value(config);
  const bool texts = std::holds_alternative<std::vector<std::string>*>(value), numbers = std::holds_alternative<std::vector<int64_t>*>(value);
  if (texts || numbers || !entry.value.IsScalar()) {
    Json list = Json::array();
    for (const std::string& text : entry.list()) {
      const auto number = PeerEntry{.path = "", .value = YAML::Node(text), .where = ""}.number();
      if (numbers && number && is_whole(*number)) list.push_back(static_cast<int64_t>(*number));
      else list.push_back(text);
    }
    return yaml_of(list);
  }
  if (std::holds_alternative<std::string*>(value) || std::holds_alternative<DataFiles*>(value)) return quoted(entry.text());
  if (kOffBelowZero.contains(last_name(entry.path)) && entry.number().value_or(0) < 0) return "0";
  const auto number = entry.number();
  const bool integer = std::holds_alternative<int64_t*>(value);
  if (integer && number && is_whole(*number)) return whole(*number);  // 1e3
  return word_of(entry);
}

// SFT counts examples where the others count the completions of a step.
void translate_examples(Translator& t, const PeerEntry& from, double examples) {
  if (!is_whole(examples) || examples < 1) return t.note(from, "set sft.examples_per_step");
  t.put("sft.examples_per_step", whole(examples), from);
}

}  // namespace

// Parts of the peer's program that have no counterpart, said once each.
void drop_parts(Translator& t) {
  static const std::vector<std::pair<const char*, const char*>> parts = {
      {"critic.", "GRPO has no critic"},
      {"actor_rollout_ref.ref.", "the reference model is run as the policy is"},
      {"reward_model.", "a reward model is an entry of reward here: {name: model, path: FOLDER}, docs/reward-models.md"},
      {"vllm.", "sampling and training are one engine here"},
      {"ds.", "DeepSpeed is not used"}};
  for (const auto& [prefix, why] : parts) {
    bool said = false;
    for (PeerEntry& entry : t.entries) {
      if (entry.used || !entry.path.starts_with(prefix)) continue;
      if (!said) t.note(entry, why);
      entry.used = said = true;
    }
  }
}

// Rows that do not fit are cut there, and refused here unless they are to be left out.
void translate_sft(Translator& t) {
  if (!t.sft) {  // and of cohort rm, but that is another trainer's config
    if (PeerEntry* length = t.take({"max_length"})) t.note(*length, "sft.max_length is a key of `cohort sft`");
    return;
  }
  if (PeerEntry* length = t.take({"max_length", "max_seq_length"})) {
    t.put("sft.max_length", length->text(), *length);
    t.note(*length, "examples are never cut: a longer one is refused, or left out with sft.filter_overlong");
  }
  if (PeerEntry* packing = t.take({"packing"}); is_true(packing))
    t.note(*packing, "a row is one example here, not a pack of several: sft.examples_per_step may have to be larger");
}

// Prompts of a step, and updates in it. TRL counts completions per device, verl and OpenRLHF prompts of all.
void translate_batches(Translator& t) {
  if (PeerEntry* n = t.take({"rollout.n", "n_samples_per_prompt", "num_generations"})) t.put("rollout.num_generations", n->text(), *n);
  const double group = t.number_of("rollout.num_generations").value_or(8);
  if (t.peer == Peer::trl) {
    PeerEntry* batch = t.take({"per_device_train_batch_size"});
    PeerEntry* accumulate = t.take({"gradient_accumulation_steps"});
    PeerEntry* generation = t.take({"generation_batch_size"});
    PeerEntry* steps = t.take({"steps_per_generation"});
    const double accumulated = accumulate != nullptr ? accumulate->number().value_or(1) : 1;
    const double per_generation = steps != nullptr ? steps->number().value_or(accumulated) : accumulated;
    const double device = batch != nullptr ? batch->number().value_or(8) : 8;
    const double completions = generation != nullptr ? generation->number().value_or(0) : device * per_generation * static_cast<double>(t.processes);
    const PeerEntry* from = generation != nullptr ? generation : batch != nullptr ? batch : accumulate != nullptr ? accumulate : steps;
    if (from == nullptr && !t.sft)
      t.result.notes.push_back(fmt::format("no batch size is named: TRL's own is {} completions a step and device, trainer.prompts_per_step is {} here", device,
                                           TrainerSection{}.prompts_per_step));
    if (from == nullptr) return;
    if (t.sft) return translate_examples(t, *from, completions);
    const double updates = generation != nullptr ? completions / (device * accumulated * static_cast<double>(t.processes)) : per_generation / accumulated;
    t.updates_in_a_pass = is_whole(updates) && updates >= 1 ? updates : 0;
    if (!is_whole(completions / group) || completions < group)
      return t.note(*from, fmt::format("{} completions a step on {} process(es) are no multiple of num_generations {}; set trainer.prompts_per_step",
                                       completions, t.processes, group));
    t.put("trainer.prompts_per_step", whole(completions / group), *from);
    if (generation == nullptr)
      t.note(*from, fmt::format("{} a device x {} x {} process(es) / num_generations {} = {} prompts a step; --processes N says how many", device,
                                per_generation, t.processes, group, completions / group));
    if (steps == nullptr && generation == nullptr) return;
    if (t.updates_in_a_pass > 0) return t.put("algorithm.steps_per_generation", whole(updates), steps != nullptr ? *steps : *generation);
    return t.note(*from, "set algorithm.steps_per_generation: updates in a pass over a step's completions");
  }
  PeerEntry* prompts = t.take({"rollout_batch_size"});
  PeerEntry* train = t.take({"train_batch_size"});
  PeerEntry* mini = t.take({"ppo_mini_batch_size"});
  if (prompts == nullptr) prompts = train;
  if (prompts == nullptr) return;
  t.put("trainer.prompts_per_step", prompts->text(), *prompts);
  double updates = 1;
  const double all = prompts->number().value_or(0);
  if (mini != nullptr) updates = all / mini->number().value_or(all);
  if (mini == nullptr && train != nullptr && train != prompts) updates = all * group / train->number().value_or(all * group), mini = train;
  if (mini == nullptr) return;
  if (is_whole(updates) && updates >= 1) return t.put("algorithm.steps_per_generation", whole(updates), *mini);
  t.note(*mini, fmt::format("does not divide the {} prompts of a step; set algorithm.steps_per_generation", all));
}

void translate_optimizer(Translator& t) {
  const auto pair = [&](std::initializer_list<const char*> names, const char* first, const char* second) {
    PeerEntry* entry = t.take(names);
    if (entry == nullptr) return;
    const std::vector<std::string> values = entry->list();
    if (values.size() != 2) return t.note(*entry, fmt::format("a list of two numbers is meant; set {} and {}", first, second));
    t.put(first, values[0], *entry);
    t.put(second, values[1], *entry);
  };
  pair({"betas", "adam_betas"}, "optim.adam_beta1", "optim.adam_beta2");
  pair({"eps_clip_low_high"}, "algorithm.epsilon", "algorithm.epsilon_high");
  if (PeerEntry* low = t.take({"clip_ratio_low"})) {  // of both it is the one that counts
    t.take({"clip_ratio"});
    t.put("algorithm.epsilon", low->text(), *low);
  }
  if (PeerEntry* steps = t.take({"max_steps", "total_training_steps", "max_num_steps"})) {
    if (steps->number().value_or(-1) >= 0) t.put("trainer.max_steps", steps->text(), *steps);
  }
  if (PeerEntry* epochs = t.take({"num_train_epochs", "total_epochs", "num_episodes"}); epochs != nullptr && !t.number_of("trainer.max_steps")) {
    if (t.sft) t.put("sft.num_train_epochs", epochs->text(), *epochs);
    else t.note(*epochs, "cohort counts steps: set trainer.max_steps to epochs * problems / prompts_per_step");
  }
  if (PeerEntry* warmup = t.take({"warmup_steps", "lr_warmup_steps"}); warmup != nullptr && warmup->number().value_or(-1) > 0) {
    if (const auto steps = t.number_of("trainer.max_steps"); steps && *steps > 0)
      t.put("optim.warmup_ratio", fmt::format("{}", std::min(1.0, *warmup->number() / *steps)), *warmup);
    else
      t.note(*warmup, "optim.warmup_ratio is a fraction of trainer.max_steps");
  }
}

// Functions that are known by name; others are written anew, or asked from outside.
void translate_rewards(Translator& t) {
  static const std::vector<std::pair<const char*, const char*>> known = {
      {"accuracy_reward", "name: math"}, {"accuracy", "name: math"}, {"format_reward", "name: format"}, {"format", "name: format"},
      {"think_format_reward", "name: format, tags: think"}, {"tag_count", "name: format, score: share"},
      {"repetition_penalty", "name: repetition"}};
  PeerEntry* functions = t.take({"reward_funcs"});
  PeerEntry* weights = t.take({"reward_weights"});
  if (functions == nullptr) return;
  const std::vector<std::string> names = functions->list(), scales = weights != nullptr ? weights->list() : std::vector<std::string>();
  std::set<std::string> listed;
  for (size_t i = 0; i < names.size(); ++i) {
    const auto found = std::ranges::find_if(known, [&](const auto& row) { return names[i] == row.first; });
    if (found == known.end()) {
      t.note(*functions, fmt::format("'{}' has no translation; docs/rewards.md lists what there is, and `command` asks a program of your own", excerpt(names[i])));
    } else if (listed.insert(found->second).second) {
      const bool weighed = i < scales.size() && PeerEntry{.path = "", .value = YAML::Node(scales[i]), .where = ""}.number();
      if (i < scales.size() && !weighed) t.note(*weights, fmt::format("'{}' is no number; the weight of '{}' is 1", excerpt(scales[i]), excerpt(names[i])));
      t.add_reward(fmt::format("{{{}{}}}", found->second, weighed ? fmt::format(", weight: {}", scales[i]) : ""), *functions);
    }
  }
}

void translate_the_rest(Translator& t) {
  for (PeerEntry& entry : t.entries) {
    if (entry.used || entry.is_null()) continue;
    entry.used = true;
    if (translate_word(t, entry)) continue;
    const PeerName* peer = find_peer_name(entry.path);
    const bool same = peer != nullptr && !peer->ours.empty() && (peer->note.empty() || kOffBelowZero.contains(last_name(entry.path)));
    if (peer != nullptr && peer->ours.starts_with("model.lora.") && peer->note.empty()) {
      t.note(entry, "another key of the config says it already");  // or that LoRA is off, and this would switch it on
    } else if (same) {
      const size_t dot = peer->ours.find_last_of('.');
      t.put(peer->ours, yaml_text_of(entry, *find_key(peer->ours.substr(0, dot), peer->ours.substr(dot + 1))), entry);
    } else if (peer != nullptr) {
      t.note(entry, peer->ours.empty() ? peer->note : fmt::format("cohort calls it {} ({})", peer->ours, peer->note));
    } else if (const KeyRow* key = own_key(entry.path); key != nullptr && is_ours_alone(*key)) {
      t.note(entry, fmt::format("{} is not taken over from a config of another program; set it by hand if it is meant", key->path()));
    } else if (key != nullptr) {
      t.put(key->path(), yaml_text_of(entry, *key), entry);
    } else {
      t.note(entry, "cohort has no such key");
    }
  }
}

}  // namespace cohort
