#include "reward/language_id.h"

#include <cstdio>  // the next header needs it

#include <cld2/public/compact_lang_det.h>
#include <cld2/public/encodings.h>

#include <map>
#include <span>

#include "core/text.h"
#include "reward/script.h"

namespace cohort {
namespace {

// Those of CLD2's tables in the package libcld2-0.
std::string_view code_of(CLD2::Language language) {
  if (language == CLD2::UNKNOWN_LANGUAGE || language == CLD2::TG_UNKNOWN_LANGUAGE) return "";
  const std::string_view code = CLD2::LanguageCode(language);
  if (code == "zh-Hant") return "zh";
  if (code == "iw") return "he";
  if (code == "nn" || code == "nb") return "no";
  return code;
}

// To ask takes up to 12 microseconds. What is left of a text after so many runs is one.
constexpr size_t kMaxRuns = 2048;

// Brackets and quotation marks, behind which the language may be another as well as behind a sentence. (At colons and commas it rarely is, and
// the pieces would become too short to tell.)
constexpr std::u32string_view kAside = U"()[]\"\u00AB\u00BB\u201C\u201D\u201E\u300C\u300D\uFF08\uFF09";

// Of the sentences of a text: the words that stand in one and are of one script.
class Runs {
 public:
  Runs(std::string_view prose, std::span<const Word> words) : prose_(prose), words_(words) {}

  // The words [first, end) and their script; moves behind them.
  struct Run {
    size_t first, end;
    std::string_view script;
  };
  bool next(Run& run) {
    if (run.end == words_.size()) return false;
    if (count_++ == kMaxRuns) {
      run = {run.end, words_.size(), ""};
      return true;
    }
    run = {run.end, run.end + 1, script(run.end)};
    while (run.end < words_.size() && !ends_sentence(words_[run.end - 1].end, words_[run.end].begin) && script(run.end) == run.script) ++run.end;
    return true;
  }

 private:
  std::string_view script(size_t word) const {
    size_t at = words_[word].begin;
    const std::string_view script = script_of(next_code_point(prose_, at));
    return script == "kana" ? "han" : script;  // of Japanese, which has both
  }

  bool ends_sentence(size_t begin, size_t end) const {
    for (size_t at = begin; at < end;) {
      const char32_t c = next_code_point(prose_, at);
      if (kAside.find(c) != kAside.npos) return true;
      if (c == '\n' || c == 0x3002 || c == 0xFF01 || c == 0xFF1F || c == 0x061F || c == 0x0964) return true;
      if ((c == '.' || c == '!' || c == '?') && at < end && (prose_[at] == ' ' || prose_[at] == '\n')) return true;
    }
    return false;
  }

  std::string_view prose_;
  std::span<const Word> words_;
  size_t count_ = 0;
};

void tell_run(std::string_view text, size_t begin, std::span<const Word> words, std::span<std::string_view> languages) {
  const CLD2::CLDHints no_hints = {nullptr, nullptr, CLD2::UNKNOWN_ENCODING, CLD2::UNKNOWN_LANGUAGE};
  CLD2::Language top[3] = {CLD2::UNKNOWN_LANGUAGE, CLD2::UNKNOWN_LANGUAGE, CLD2::UNKNOWN_LANGUAGE};  // stays so where it looks at nothing
  int percent[3], letters = 0, valid = 0;
  double score[3];
  bool reliable = false;
  CLD2::ResultChunkVector chunks;
  CLD2::ExtDetectLanguageSummaryCheckUTF8(text.data(), static_cast<int>(text.size()), true, &no_hints, CLD2::kCLDFlagBestEffort, top, percent,
                                          score, &chunks, &letters, &reliable, &valid);
  size_t chunk = 0;
  for (size_t i = 0; i < words.size(); ++i) {
    const size_t place = words[i].begin - begin;
    while (chunk + 1 < chunks.size() && static_cast<size_t>(chunks[chunk + 1].offset) <= place) ++chunk;
    if (chunk < chunks.size()) languages[i] = code_of(static_cast<CLD2::Language>(chunks[chunk].lang1));
    if (languages[i].empty()) languages[i] = code_of(top[0]);
  }
}

void fill_gaps(std::span<const Runs::Run> runs, std::span<std::string_view> languages) {
  std::map<std::string_view, std::string_view> last;  // of each script
  const auto visit = [&](const Runs::Run& run, size_t word) {
    if (languages[word].empty()) languages[word] = last[run.script];
    else last[run.script] = languages[word];
  };
  for (const Runs::Run& run : runs)
    for (size_t word = run.first; word < run.end; ++word) visit(run, word);
  last.clear();
  for (size_t i = runs.size(); i-- > 0;)
    for (size_t word = runs[i].end; word-- > runs[i].first;) visit(runs[i], word);
}

}  // namespace

const std::vector<std::string>& known_languages() {
  static const std::vector<std::string> kCodes = {
      "af", "ar", "az", "be", "bg", "bn", "ca", "cs", "cy", "da", "de", "el", "en", "es", "et", "eu", "fa", "fi", "fr", "ga", "gl", "gu", "he", "hi",
      "hr", "ht", "hu", "hy", "id", "is", "it", "ja", "ka", "km", "kn", "ko", "lo", "lt", "lv", "mk", "ml", "mr", "ms", "mt", "ne", "nl", "no", "pa",
      "pl", "pt", "ro", "ru", "si", "sk", "sl", "sq", "sr", "sv", "sw", "ta", "te", "th", "tl", "tr", "uk", "ur", "vi", "yi", "zh"};
  return kCodes;
}

std::vector<std::string_view> languages_of(std::string_view prose, const std::vector<Word>& words) {
  std::vector<std::string_view> languages(words.size());
  std::vector<Runs::Run> runs;
  Runs source(prose, words);
  for (Runs::Run run{}; source.next(run);) {
    runs.push_back(run);
    const size_t begin = words[run.first].begin, count = run.end - run.first;
    tell_run(prose.substr(begin, words[run.end - 1].end - begin), begin, std::span(words).subspan(run.first, count),
             std::span(languages).subspan(run.first, count));
  }
  fill_gaps(runs, languages);
  return languages;
}

}  // namespace cohort
