#include "pipeline/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "core/check.h"
#include "core/files.h"
#include "core/text.h"
#include "core/yaml.h"
#include "trainer/config_value.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

struct KindName {
  StageKind kind;
  const char* name;
};
constexpr KindName kKinds[] = {{StageKind::sft, "sft"},       {StageKind::train, "train"},   {StageKind::eval, "eval"},
                               {StageKind::sample, "sample"}, {StageKind::score, "score"},   {StageKind::filter, "filter"},
                               {StageKind::merge, "merge"}};
constexpr size_t kMostStages = 256;

// A map whose keys are taken one by one; finish() refuses those that are left.
class MapReader {
 public:
  MapReader(const YAML::Node& node, std::string what, const ConfigSource& source) : node_(node), what_(std::move(what)), source_(source) {
    CHECK_USAGE(node.IsMap(), "{}: {} must be a map of keys and values, found {}", source.at(node), what_, describe(node));
  }

  std::string at() const { return source_.at(node_); }
  std::optional<YAML::Node> take(const std::string& key) {
    known_.push_back(key);
    for (const auto& entry : node_)
      if (entry.first.Scalar() == key) return entry.second;
    return {};
  }
  YAML::Node need(const std::string& key) {
    const std::optional<YAML::Node> value = take(key);
    CHECK_USAGE(value, "{}: {} has no '{}'", at(), what_, key);
    return *value;
  }
  std::string text(const std::string& key, const YAML::Node& node) const {
    CHECK_USAGE(node.IsScalar() && !node.Scalar().empty(), "{}: '{}' of {} must be a text, found {}", source_.at(node), key, what_,
                describe(node));
    return node.Scalar();
  }
  std::string need_text(const std::string& key) { return text(key, need(key)); }
  bool flag(const std::string& key) {
    const std::optional<YAML::Node> node = take(key);
    if (!node) return false;
    const Json value = yaml_to_json(*node, source_);
    CHECK_USAGE(value.is_boolean(), "{}: '{}' of {} is {}; allowed are true and false", source_.at(*node), key, what_, describe(*node));
    return value.get<bool>();
  }
  std::optional<double> number(const std::string& key) {
    const std::optional<YAML::Node> node = take(key);
    if (!node) return {};
    const Json value = yaml_to_json(*node, source_);
    CHECK_USAGE(value.is_number(), "{}: '{}' of {} must be a number, found {}", source_.at(*node), key, what_, describe(*node));
    return value.get<double>();
  }
  std::optional<int64_t> count(const std::string& key, int64_t low) {
    const std::optional<YAML::Node> node = take(key);
    if (!node) return {};
    const Json value = yaml_to_json(*node, source_);
    CHECK_USAGE(value.is_number_integer() && value.get<int64_t>() >= low && value.get<int64_t>() <= int64_t{1} << 40,
                "{}: '{}' of {} must be an integer from {} on, found {}", source_.at(*node), key, what_, low, describe(*node));
    return value.get<int64_t>();
  }
  void finish() const {
    for (const auto& entry : node_) {
      const std::string& key = entry.first.Scalar();
      if (std::ranges::find(known_, key) != known_.end()) continue;
      const std::string near = nearest_name(key, known_);
      fail(ExitCode::kUsage, "{}: unknown key '{}' of {}{}", source_.at(entry.first), key, what_,
           near.empty() ? fmt::format("; allowed are {}", fmt::join(known_, ", ")) : fmt::format("; did you mean '{}'?", near));
    }
  }

 private:
  YAML::Node node_;
  std::string what_;
  const ConfigSource& source_;
  std::vector<std::string> known_;
};

// A name of a folder: letters, digits, '-' and '_'.
bool is_name(const std::string& name) {
  return !name.empty() && name.size() <= 100 &&
         std::ranges::all_of(name, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_'; });
}

void check_name(const std::string& name, const std::string& where) {
  CHECK_USAGE(is_name(name), "{}: '{}' is no name; allowed are letters, digits, '-' and '_', at most 100", where, excerpt(name));
}

void read_set(Stage& stage, const YAML::Node& node, const ConfigSource& source) {
  CHECK_USAGE(node.IsMap(), "{}: 'set' of stage '{}' must be a map of keys (section.key) and values, found {}", source.at(node), stage.name,
              describe(node));
  for (const auto& entry : node) {
    const std::string& key = entry.first.Scalar();
    CHECK_USAGE(key == "reward" || key.find('.') != std::string::npos,
                "{}: 'set' takes keys of the config with their section, as model.path, or reward; found '{}'", source.at(entry.first), excerpt(key));
    for (const char* owned : {"run.dir", "run.name", "run.resume"})
      CHECK_USAGE(key != owned, "{}: '{}' is the pipeline's own to set", source.at(entry.first), key);
    stage.set.emplace_back(key, entry.second.IsNull() ? Json(nullptr) : yaml_to_json(entry.second, source));
  }
}

void read_filter(Stage& stage, const YAML::Node& node, const ConfigSource& source) {
  MapReader map(node, fmt::format("the filter '{}'", stage.name), source);
  FilterRules& rules = stage.filter;
  rules.input = map.need_text("input");
  rules.finished = map.flag("finished");
  rules.min_reward = map.number("min_reward");
  rules.mixed = map.flag("mixed");
  rules.dedupe = map.flag("dedupe");
  rules.per_prompt = map.count("per_prompt", 1).value_or(0);
  map.finish();
  CHECK_USAGE(rules.finished || rules.min_reward || rules.mixed || rules.dedupe || rules.per_prompt > 0,
              "{}: the filter '{}' has no rule; allowed are finished, min_reward, mixed, dedupe, per_prompt", stage.where, stage.name);
}

void read_merge(Stage& stage, const YAML::Node& node, const ConfigSource& source) {
  MapReader map(node, fmt::format("the merge '{}'", stage.name), source);
  const YAML::Node inputs = map.need("inputs");
  CHECK_USAGE(inputs.IsSequence() && inputs.size() > 0, "{}: 'inputs' of the merge '{}' must be a list of files, found {}", source.at(inputs),
              stage.name, describe(inputs));
  for (const YAML::Node& input : inputs) stage.merge.inputs.push_back(map.text("inputs", input));
  if (const auto seed = map.count("shuffle", 0)) stage.merge.shuffle = static_cast<uint64_t>(*seed);
  stage.merge.max_rows = map.count("max_rows", 1).value_or(0);
  map.finish();
}

Stage read_stage(const YAML::Node& node, const ConfigSource& source, const fs::path& folder) {
  MapReader map(node, "a stage", source);
  Stage stage;
  stage.where = map.at();
  stage.name = map.need_text("name");
  check_name(stage.name, stage.where);
  std::vector<std::string> kinds;
  YAML::Node value;
  for (const KindName& kind : kKinds)
    if (const std::optional<YAML::Node> found = map.take(kind.name)) {
      kinds.emplace_back(kind.name);
      stage.kind = kind.kind, value = *found;
    }
  const std::optional<YAML::Node> set = map.take("set"), input = map.take("input");
  map.finish();
  CHECK_USAGE(kinds.size() == 1, "{}: the stage '{}' {}; one of sft, train, eval, sample, score, filter, merge says what it does", stage.where,
              stage.name, kinds.empty() ? "has no kind" : fmt::format("has {} kinds ({})", kinds.size(), fmt::join(kinds, ", ")));
  if (stage.kind == StageKind::filter) read_filter(stage, value, source);
  if (stage.kind == StageKind::merge) read_merge(stage, value, source);
  CHECK_USAGE(stage.has_config() || !set, "{}: the {} '{}' has no config to 'set' keys of", stage.where, kinds.front(), stage.name);
  CHECK_USAGE((stage.kind == StageKind::score) == input.has_value(), "{}: {}", stage.where,
              input ? fmt::format("'input' belongs to stages that score, '{}' is a {}", stage.name, kinds.front())
                    : fmt::format("the score '{}' has no 'input', a file of completions", stage.name));
  if (input) stage.input = map.text("input", *input);
  if (stage.has_config()) stage.config = folder / map.text(kinds.front(), value);
  if (set) read_set(stage, *set, source);
  return stage;
}

void add_texts(const Json& value, std::vector<std::string>& texts) {
  if (value.is_string()) texts.push_back(value.get<std::string>());
  if (value.is_structured())
    for (const Json& part : value) add_texts(part, texts);
}

// Where ${STAGE} may stand.
std::vector<std::string> texts_of(const Stage& stage) {
  std::vector<std::string> texts = stage.merge.inputs;
  for (const auto& [key, value] : stage.set) add_texts(value, texts);
  texts.push_back(stage.input), texts.push_back(stage.filter.input);
  return texts;
}

Json substitute_in(const Json& value, const Outputs& outputs) {
  if (value.is_string()) return substitute(value.get<std::string>(), outputs);
  Json out = value;
  if (out.is_structured())
    for (Json& part : out) part = substitute_in(part, outputs);
  return out;
}

// Rows are read where rows are, and models where models are.
void check_kinds(const Stage& stage, const std::vector<Stage>& earlier) {
  const auto check = [&](const std::string& text, bool model, const char* wanted) {
    for (const std::string& name : references(text, stage.where)) {
      const auto found = std::ranges::find(earlier, name, &Stage::name);
      const bool fits = leaves_model(found->kind) == model && (model || found->kind != StageKind::eval);
      CHECK_USAGE(fits, "{}: stage '{}': '${{{}}}' is what a {} leaves; {}", stage.where, stage.name, name, stage_kind_name(found->kind), wanted);
    }
  };
  constexpr const char *kRows = "rows are wanted here, of sample, score, filter or merge", *kModel = "a model is wanted here, of sft or train";
  for (const std::string& input : stage.merge.inputs) check(input, false, kRows);
  check(stage.filter.input, false, kRows), check(stage.input, false, kRows);
  for (const auto& [key, value] : stage.set) {
    if (!value.is_string()) continue;
    if (key == "model.path" || key == "algorithm.teacher") check(value.get<std::string>(), true, kModel);
    if (key == "data.train" || key == "data.eval") check(value.get<std::string>(), false, kRows);
  }
}

void check_references(const Stage& stage, const std::vector<std::string>& earlier) {
  for (const std::string& text : texts_of(stage))
    for (const std::string& name : references(text, stage.where)) {
      const std::string near = nearest_name(name, earlier);
      CHECK_USAGE(std::ranges::find(earlier, name) != earlier.end(), "{}: '${{{}}}' in stage '{}' is no stage before it{}", stage.where,
                  excerpt(name), stage.name, near.empty() ? "" : fmt::format("; did you mean '{}'?", near));
    }
}

}  // namespace

const char* stage_kind_name(StageKind kind) {
  return std::ranges::find(kKinds, kind, &KindName::kind)->name;
}

std::vector<std::string> references(const std::string& text, const std::string& where) {
  std::vector<std::string> names;
  for (size_t at = text.find("${"); at != std::string::npos; at = text.find("${", at)) {
    const size_t end = text.find('}', at);
    CHECK_USAGE(end != std::string::npos, "{}: '{}' has a '${{' without its '}}'", where, excerpt(text));
    names.push_back(text.substr(at + 2, end - at - 2));
    at = end;
  }
  return names;
}

std::string substitute(const std::string& text, const Outputs& outputs) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = text.find("${", at), end = begin == std::string::npos ? begin : text.find('}', begin);
    out += text.substr(at, begin - at);
    if (begin == std::string::npos) break;
    CHECK(end != std::string::npos, "'{}' was not checked", text);
    const auto found = std::ranges::find(outputs, text.substr(begin + 2, end - begin - 2), &Outputs::value_type::first);
    CHECK(found != outputs.end(), "'{}' was not checked", text);
    out += found->second.string();
    at = end + 1;
  }
  return out;
}

std::vector<std::string> overrides_of(const Stage& stage, const Outputs& outputs) {
  std::vector<std::string> overrides;
  for (const auto& [key, value] : stage.set)
    overrides.push_back(fmt::format("{}={}", key, value.is_null() ? "null" : yaml_of(substitute_in(value, outputs))));
  return overrides;
}

std::vector<std::string> inputs_of(const Stage& stage) {
  std::set<std::string> names;
  for (const std::string& text : texts_of(stage))
    for (std::string& name : references(text, stage.where)) names.insert(std::move(name));
  return {names.begin(), names.end()};
}

Pipeline parse_pipeline(const std::string& yaml, const fs::path& file) {
  const ConfigSource source{file.string()};
  const YAML::Node root = parse_yaml(yaml, file.string());
  CHECK_USAGE(!root.IsNull(), "{}: the pipeline is empty", file.string());
  MapReader map(root, "a pipeline", source);
  Pipeline pipeline;
  pipeline.name = map.need_text("name");
  check_name(pipeline.name, map.at());
  if (const auto dir = map.take("dir")) pipeline.dir = map.text("dir", *dir);
  const YAML::Node stages = map.need("stages");
  map.finish();
  CHECK_USAGE(stages.IsSequence() && stages.size() > 0 && stages.size() <= kMostStages, "{}: 'stages' must be a list of 1 to {} stages, found {}",
              source.at(stages), kMostStages, describe(stages));
  std::vector<std::string> names;
  for (const YAML::Node& node : stages) {
    Stage stage = read_stage(node, source, file.parent_path());
    CHECK_USAGE(std::ranges::find(names, stage.name) == names.end(), "{}: a second stage '{}'", stage.where, stage.name);
    check_references(stage, names);
    check_kinds(stage, pipeline.stages);
    names.push_back(stage.name);
    pipeline.stages.push_back(std::move(stage));
  }
  return pipeline;
}

Pipeline read_pipeline(const fs::path& file) { return parse_pipeline(read_file(file, kMaxYamlBytes), file); }

}  // namespace cohort
