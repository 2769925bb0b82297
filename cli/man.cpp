// cohort man: the manual page, from the commands' options and the table of config keys.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string_view>

#include "cli/app_tree.h"
#include "cli/command.h"
#include "reward/reward.h"
#include "trainer/config_describe.h"
#include "trainer/config_rewards.h"

namespace cohort {
namespace {

// Text for roff: what it would take for a request or an escape is escaped.
std::string roff(std::string_view text) {
  std::string out;
  bool line_start = true;
  for (const char c : text) {
    if (line_start && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
    line_start = c == '\n';
  }
  return out;
}

// A term and its text.
std::string entry(const std::string& term, const std::string& text) { return fmt::format(".TP\n\\fB{}\\fR\n{}\n", roff(term), roff(text)); }

std::string option_term(const OptionInfo& option) {
  std::string term;
  for (const std::string& name : option.names) term += fmt::format("{}{}", term.empty() ? "" : ", ", name);
  if (option.takes_value && !option.argument) term += " VALUE";
  return term;
}

std::string option_help(const OptionInfo& option) {
  std::string help = option.help;
  if (!option.words.empty()) help += fmt::format("; one of {}", fmt::join(option.words, ", "));
  if (!option.standard.empty()) help += fmt::format(" (default {})", option.standard);
  return help;
}

std::string synopsis(const CommandInfo& command) {
  std::string text = "cohort " + command.name;
  for (const OptionInfo& option : command.options)
    if (option.argument) 
      text += fmt::format(" {}{}{}{}", option.required ? "" : "[", option.names.front(), option.repeated ? " ..." : "", option.required ? "" : "]");
  return text + " [OPTIONS]";
}

std::string command_text(const CommandInfo& command) {
  std::string text = fmt::format(".SS {}\n{}\n.PP\n\\fB{}\\fR\n", roff(command.name), roff(command.summary), roff(synopsis(command)));
  for (const OptionInfo& option : command.options) text += entry(option_term(option), option_help(option));
  if (!command.footer.empty()) text += fmt::format(".PP\n.nf\n{}\n.fi\n", roff(command.footer));
  return text;
}

std::string rewards_text() {
  std::string text = ".PP\nA list of maps of name, weight (1.0), label, and the reward's own options:\n";
  for (const std::string& name : reward_names()) {
    text += entry("reward." + name, reward_summary(name));
    for (const OptionRow& row : reward_options(name)) {
      const std::string standard = option_default(row);
      text += entry(fmt::format("reward.{}.{}", name, row.name), fmt::format("{}\n({}; default {})", row.help, row.allowed(), standard.empty() ? "none" : standard));
    }
  }
  return text;
}

std::string config_text() {
  std::string text =
      ".SH CONFIG\nA run is one YAML file of sections with keys; each has a default, and can be replaced on the command line:\n.PP\n"
      "cohort train CONFIG trainer.max_steps=20\n.PP\n`cohort explain KEY` says more about each.\n";
  for (const SectionRow& section : config_sections()) {
    text += fmt::format(".SS {}\n{}\n", roff(section.name), roff(section.help));
    if (section.name == "reward") text += rewards_text();
    for (const KeyRow* key : keys_of(section.name)) {
      const std::string standard = key_default(*key);
      text += entry(key->path(), fmt::format("{}\n({}; default {})", key->help, key->allowed(), standard.empty() ? "none" : standard));
    }
  }
  return text;
}

constexpr const char* kEnd = R"(.SH FILES
.TP
\fBruns/NAME/\fR
The run directory: config.yaml (resolved), metrics.jsonl (a line a step), events.out.tfevents.* (for TensorBoard), completions/step_N.jsonl,
eval/step_N.jsonl (the completions of evaluations), checkpoints/step_N/, and final/, a Hugging Face folder or, with model.lora, an adapter's.
.TP
\fBruns/NAME/best/\fR
The model of the best evaluation, with trainer.metric_for_best_model.
.TP
\fBruns/NAME/final_merged/\fR
With model.lora.save_merged: base and adapter as one model.
.TP
\fBruns/NAME/report.html\fR
The page that cohort report makes.
.TP
\fBPREFIX/share/doc/cohort/docs/\fR
Where cohort is installed: the pages that messages name as docs/..., with examples/ beside them.
.TP
\fBPREFIX/share/cohort/\fR
Configs that run, the job script for SLURM, and a checker in Python to be copied.
.SH EXIT STATUS
.TP
\fB0\fR
done
.TP
\fB1\fR
internal error
.TP
\fB2\fR
bad command line or config
.TP
\fB3\fR
bad input file: model, data, checkpoint, a record
.TP
\fB4\fR
a rank failed or a deadline passed
.TP
\fB5\fR
numbers that are not finite
.TP
\fB6\fR
out of memory or disk
.TP
\fB75\fR
saved and stopped on request
.SH SIGNALS
.TP
\fBSIGUSR1, SIGTERM\fR
a checkpoint is saved at the end of the step, and the run stops with exit status 75; the same command goes on from it
.TP
\fBSIGUSR2\fR
each rank tells where it is
.SH SEE ALSO
.BR mpirun (1)
)";

}  // namespace

std::string manual_page() {
  std::string text = fmt::format(
      ".TH COHORT 1 \"\" \"cohort {}\"\n.SH NAME\ncohort \\- reinforcement learning post\\-training of language models\n"
      ".SH SYNOPSIS\n.B cohort\n.I COMMAND\n[options]\n.PP\n.B mpirun \\-n\n.I N\n.B cohort train\n.I CONFIG\n"
      ".SH DESCRIPTION\nFor each prompt cohort samples a group of completions, scores them with rewards that the config names, and moves the model "
      "towards the better ones (GRPO, DAPO, Dr. GRPO, GSPO, RLOO, ...). Weights, samples, rewards and metrics are the same bits for any number of "
      "ranks and threads, and across stop and resume.\n.SH COMMANDS\n",
      COHORT_VERSION);
  for (const CommandInfo& command : command_tree()) text += command_text(command);
  return text + config_text() + kEnd;
}

Action add_man(App& app) {
  app.footer("The manual page, as roff: cohort man | man -l -   or   cohort man > /usr/local/share/man/man1/cohort.1");
  return [] {
    fmt::print("{}", manual_page());
    return 0;
  };
}

}  // namespace cohort
