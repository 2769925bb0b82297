// LoRA in a peer's config. Its keys stand there also where it is off, while model.lora, once written, is on.
#include <fmt/format.h>

#include <cmath>

#include "trainer/config_translator.h"
#include "trainer/config_value.h"

namespace cohort {
namespace {

struct LoraEntries {
  PeerEntry *on, *rank, *alpha, *dropout, *modules, *rslora;
};

LoraEntries take_lora(Translator& t) {
  return {.on = t.take({"use_peft", "use_lora"}),
          .rank = t.take({"lora.rank", "lora.r", "lora_rank", "lora_r", "peft_config.r"}),
          .alpha = t.take({"lora.alpha", "lora_alpha"}),
          .dropout = t.take({"lora.dropout", "lora_dropout"}),
          .modules = t.take({"lora_target_modules", "target_modules"}),
          .rslora = t.take({"use_rslora"})};
}

std::string list_of(const PeerEntry& entry) {
  Json list = Json::array();
  for (const std::string& text : entry.list()) list.push_back(text);
  return yaml_of(list);
}

// Without it TRL has 32, as cohort, and verl and OpenRLHF have 16.
void translate_alpha(Translator& t, const LoraEntries& l, const PeerEntry& rank) {
  const bool root = is_true(l.rslora);
  if (l.alpha == nullptr && t.peer == Peer::trl && !root) return;
  const PeerEntry& from = l.alpha != nullptr ? *l.alpha : root ? *l.rslora : rank;
  const std::string standard = t.peer == Peer::trl ? "32" : "16";
  const std::string text = l.alpha != nullptr ? l.alpha->text() : standard;
  const auto alpha = PeerEntry{.path = "", .value = YAML::Node(text), .where = ""}.number();
  if (!root || !alpha) return t.put("model.lora.alpha", text, from);
  t.put("model.lora.alpha", fmt::format("{}", *alpha * std::sqrt(t.number_of("model.lora.rank").value_or(16))), from);
  t.note(*l.rslora, "the adapter counts alpha / sqrt(rank) times there: model.lora.alpha is that times rank");
}

}  // namespace

void translate_lora(Translator& t) {
  const LoraEntries l = take_lora(t);
  const bool ranked = l.rank != nullptr && l.rank->number().value_or(1) > 0;
  if (l.on != nullptr ? !is_true(l.on) : !ranked) {
    for (const PeerEntry* entry : {l.rank, l.alpha, l.dropout, l.modules, l.rslora})
      if (entry != nullptr)
        return t.note(*entry, l.on != nullptr ? fmt::format("{} is off, so that all weights are trained; model.lora is left out", l.on->shown())
                                              : "without a rank above 0 LoRA is off, and all weights are trained; model.lora is left out");
    return;
  }
  const PeerEntry& from = ranked ? *l.rank : *l.on;
  t.put("model.lora.rank", ranked ? l.rank->text() : "16", from);
  if (!ranked && l.rank != nullptr) t.note(*l.rank, "LoRA is on with a rank that is not above 0; model.lora.rank is TRL's default");
  if (l.on == nullptr && t.peer == Peer::trl) t.note(from, "taken as on, as use_peft is not said; TRL trains all weights without it");
  translate_alpha(t, l, from);
  if (l.modules != nullptr) t.put("model.lora.target_modules", list_of(*l.modules), *l.modules);
  else if (t.peer == Peer::trl) t.note(from, "model.lora.target_modules is all-linear; PEFT's own choice is [q_proj, v_proj] for most models");
  if (l.dropout != nullptr && l.dropout->number().value_or(0) != 0)
    t.note(*l.dropout, "left out: a forward pass with dropout is not the one that sampled, and model.lora.dropout is always 0");
  else if (l.dropout != nullptr)
    t.put("model.lora.dropout", l.dropout->text(), *l.dropout);
}

}  // namespace cohort
