// The strict readers behind tokenizer_steps.h.
#include "model/text/tokenizer_steps.h"

#include "core/text.h"

namespace cohort {
namespace {

constexpr size_t kMaxSteps = 64;
constexpr size_t kMaxAddedBytes = 64;  // that Prepend or a replacement brings in at each place
constexpr int64_t kMaxStrip = 1024;

std::string short_text(const TokenizerPart& part, std::string_view key) {
  std::string text = part.text(key);
  CHECK_INPUT(text.size() <= kMaxAddedBytes, "{}: '{}' has {} bytes; allowed are {}", part.path,
              key, text.size(), kMaxAddedBytes);
  return text;
}

// A text of exactly one character.
std::string character(const TokenizerPart& part, std::string_view key) {
  std::string text = part.text(key);
  size_t at = 0;
  if (!text.empty()) next_code_point(text, at);
  CHECK_INPUT(!text.empty() && at == text.size(), "{}: '{}' is '{}'; allowed is one character",
              part.path, key, text);
  return text;
}

// {"String": ..} or {"Regex": ..}
std::shared_ptr<const SplitPattern> read_pattern(const TokenizerPart& part) {
  CHECK_INPUT(part.json.contains("pattern") && part.json["pattern"].is_object(),
              "{}: 'pattern' must be {{\"String\": ..}} or {{\"Regex\": ..}}", part.path);
  const TokenizerPart pattern = part.at("pattern");
  pattern.allow({"String", "Regex"});
  CHECK_INPUT(pattern.json.size() == 1, "{}: must have one of String and Regex", pattern.path);
  return std::make_shared<const SplitPattern>(
      pattern.json.contains("String")
          ? SplitPattern::of_text(pattern.text("String"), pattern.path)
          : SplitPattern::of_regex(pattern.text("Regex"), pattern.path));
}

SplitBehavior read_behavior(const TokenizerPart& part) {
  const std::string name = part.text("behavior");
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  fail(ExitCode::kInput,
       "{}: behavior '{}' is not supported; supported are Isolated, Removed, MergedWithPrevious, "
       "MergedWithNext, Contiguous",
       part.path, name);
}

// prepend_scheme, or the add_prefix_space of older files.
PreTokenizerStep::Scheme read_scheme(const TokenizerPart& part) {
  using Scheme = PreTokenizerStep::Scheme;
  const std::string name = get_string_or(part.json, "prepend_scheme", part.path, "always");
  CHECK_INPUT(name == "always" || name == "first" || name == "never",
              "{}: prepend_scheme '{}' is not supported; supported are always, first, never",
              part.path, name);
  CHECK_INPUT(part.flag("add_prefix_space", true) || name == "never",
              "{}: add_prefix_space is false, but prepend_scheme is '{}'", part.path, name);
  return name == "always" ? Scheme::kAlways : name == "first" ? Scheme::kFirst : Scheme::kNever;
}

void append_normalizer(const TokenizerPart& part, std::vector<NormalizerStep>& steps) {
  const std::string type = part.type();
  NormalizerStep step;
  if (type == "Sequence") {
    part.allow({"type", "normalizers"});
    for (const TokenizerPart& inner : part.list("normalizers")) append_normalizer(inner, steps);
    return;
  }
  if (type == "NFC" || type == "NFD" || type == "NFKC" || type == "NFKD") {
    part.allow({"type"});
    step.kind = NormalizerStep::Kind::kForm;
    step.form = type == "NFC"    ? NormalForm::kNfc
                : type == "NFD"  ? NormalForm::kNfd
                : type == "NFKC" ? NormalForm::kNfkc
                                 : NormalForm::kNfkd;
  } else if (type == "Prepend") {
    part.allow({"type", "prepend"});
    step.kind = NormalizerStep::Kind::kPrepend;
    step.text = short_text(part, "prepend");
  } else if (type == "Replace") {
    part.allow({"type", "pattern", "content"});
    step.kind = NormalizerStep::Kind::kReplace;
    step.pattern = read_pattern(part);
    step.text = short_text(part, "content");
  } else if (type == "Strip") {
    part.allow({"type", "strip_left", "strip_right"});
    step.kind = NormalizerStep::Kind::kStrip;
    step.left = part.flag("strip_left", true);
    step.right = part.flag("strip_right", true);
  } else if (type == "Lowercase") {
    part.allow({"type"});
    step.kind = NormalizerStep::Kind::kLowercase;
  } else {
    part.refuse_type("NFC, NFD, NFKC, NFKD, Prepend, Replace, Strip, Lowercase, Sequence, or null");
  }
  CHECK_INPUT(steps.size() < kMaxSteps, "{}: more than {} steps", part.path, kMaxSteps);
  steps.push_back(std::move(step));
}

void append_pre_tokenizer(const TokenizerPart& part, PreTokenizer& how) {
  using Kind = PreTokenizerStep::Kind;
  const std::string type = part.type();
  if (type == "Sequence") {
    part.allow({"type", "pretokenizers"});
    for (const TokenizerPart& inner : part.list("pretokenizers")) append_pre_tokenizer(inner, how);
    return;
  }
  CHECK_INPUT(!how.byte_level, "{}: a step behind ByteLevel is not supported", part.path);
  PreTokenizerStep step;
  if (type == "ByteLevel") {
    part.allow({"type", "add_prefix_space", "trim_offsets", "use_regex"});
    step.kind = Kind::kByteLevel;
    step.prefix_space = part.flag("add_prefix_space", true);
    if (part.flag("use_regex", true))
      step.pattern =
          std::make_shared<const SplitPattern>(SplitPattern::of_regex(kGpt2Pattern, part.path));
    how.byte_level = true;
  } else if (type == "Digits") {
    part.allow({"type", "individual_digits"});
    step.kind = Kind::kDigits;
    step.behavior = part.flag("individual_digits", false) ? SplitBehavior::kIsolated
                                                          : SplitBehavior::kContiguous;
  } else if (type == "Split") {
    part.allow({"type", "pattern", "behavior", "invert"});
    step.kind = Kind::kSplit;
    step.pattern = read_pattern(part);
    step.behavior = read_behavior(part);
    step.invert = part.flag("invert", false);
  } else if (type == "Metaspace") {
    part.allow({"type", "replacement", "prepend_scheme", "split", "add_prefix_space", "str_rep"});
    step.kind = Kind::kMetaspace;
    step.replacement = character(part, "replacement");
    step.scheme = read_scheme(part);
    step.split = part.flag("split", true);
  } else if (type == "Whitespace" || type == "WhitespaceSplit") {
    part.allow({"type"});
    step.kind = type == "Whitespace" ? Kind::kWhitespace : Kind::kWhitespaceSplit;
  } else {
    part.refuse_type(
        "ByteLevel, Digits, Split, Metaspace, Whitespace, WhitespaceSplit, Sequence, or null");
  }
  CHECK_INPUT(how.steps.size() < kMaxSteps, "{}: more than {} steps", part.path, kMaxSteps);
  how.steps.push_back(std::move(step));
}

void append_decoder(const TokenizerPart& part, std::vector<DecoderStep>& steps) {
  using Kind = DecoderStep::Kind;
  const std::string type = part.type();
  if (type == "Sequence") {
    part.allow({"type", "decoders"});
    for (const TokenizerPart& inner : part.list("decoders")) append_decoder(inner, steps);
    return;
  }
  DecoderStep step;
  if (type == "ByteLevel") {
    part.allow({"type", "add_prefix_space", "trim_offsets", "use_regex"});
    step.kind = Kind::kByteLevel;
  } else if (type == "ByteFallback" || type == "Fuse") {
    part.allow({"type"});
    step.kind = type == "Fuse" ? Kind::kFuse : Kind::kByteFallback;
  } else if (type == "Replace") {
    part.allow({"type", "pattern", "content"});
    step.kind = Kind::kReplace;
    step.pattern = read_pattern(part);
    step.text = short_text(part, "content");
  } else if (type == "Strip") {
    part.allow({"type", "content", "start", "stop"});
    step.kind = Kind::kStrip;
    step.text = character(part, "content");
    step.start = static_cast<size_t>(get_int(part.json, "start", part.path, 0, kMaxStrip));
    step.stop = static_cast<size_t>(get_int(part.json, "stop", part.path, 0, kMaxStrip));
  } else if (type == "Metaspace") {
    part.allow({"type", "replacement", "prepend_scheme", "split", "add_prefix_space", "str_rep"});
    step.kind = Kind::kMetaspace;
    step.text = character(part, "replacement");
    step.drop_first = read_scheme(part) != PreTokenizerStep::Scheme::kNever;
  } else {
    part.refuse_type("ByteLevel, ByteFallback, Fuse, Replace, Strip, Metaspace, Sequence, or null");
  }
  CHECK_INPUT(steps.size() < kMaxSteps, "{}: more than {} steps", part.path, kMaxSteps);
  steps.push_back(std::move(step));
}

}  // namespace

std::vector<NormalizerStep> read_normalizer(const TokenizerPart& part) {
  std::vector<NormalizerStep> steps;
  append_normalizer(part, steps);
  return steps;
}

PreTokenizer read_pre_tokenizer(const TokenizerPart& part) {
  PreTokenizer how;
  append_pre_tokenizer(part, how);
  return how;
}

DecoderSteps read_decoder(const TokenizerPart& part) {
  DecoderSteps how;
  append_decoder(part, how.steps);
  return how;
}

}  // namespace cohort
