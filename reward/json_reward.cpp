// The reward `json`: is the completion JSON, of the wanted shape?
#include <string>

#include "core/check.h"
#include "reward/json_schema.h"
#include "reward/options.h"
#include "reward/rewards.h"

namespace cohort {
namespace {

// The text without a fence ```json ... ``` around all of it.
std::string_view without_fence(std::string_view text) {
  if (!text.starts_with("```") || !text.ends_with("```") || text.size() < 6) return text;
  const size_t line = text.find('\n');
  if (line == std::string_view::npos) return text;
  const std::string_view kind = trim(text.substr(3, line - 3));
  if (!kind.empty() && kind != "json" && kind != "JSON") return text;
  return trim(text.substr(line, text.size() - 3 - line));
}

class JsonShape : public Reward {
 public:
  explicit JsonShape(const OptionReader& options)
      : schema_(options.given("schema") ? *options.value("schema") : Json(true), "reward '" + options.reward() + "': schema") {}

  std::optional<double> score(const RewardInput& input) const override { return explain(input).score; }

  Verdict explain(const RewardInput& input) const override {
    std::string_view text = input.completion;
    const size_t think = text.rfind("</think>");
    if (think != std::string_view::npos) text.remove_prefix(think + 8);
    try {
      const Json value = parse_json(without_fence(trim(text)), "the completion");
      return schema_.fits(value) ? Verdict{1.0, "JSON that fits the schema"}
                                         : Verdict{0.0, "JSON that does not fit the schema"};
    } catch (const Error& error) {
      return {0.0, error.what()};
    }
  }

 private:
  JsonSchema schema_;
};

}  // namespace

const OptionTable& json_options() {
  static const OptionTable table = {
      {.name = "schema", .type = OptionType::value, .help = "what the value must fit; without it any JSON will do",
       .form = "a JSON Schema of the keywords in docs/rewards.md, true or false"},
  };
  return table;
}

std::unique_ptr<Reward> make_json(const RewardSpec& spec) { return std::make_unique<JsonShape>(OptionReader(spec, json_options())); }

}  // namespace cohort
