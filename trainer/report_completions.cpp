#include "trainer/report_completions.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "core/check.h"
#include "core/files.h"
#include "core/text.h"
#include "model/text/tokenizer.h"
#include "trainer/config.h"
#include "trainer/model_setup.h"
#include "trainer/report_bytes.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

constexpr size_t kBestAndWorst = 2;
constexpr int64_t kPromptShare = 4;  // a prompt may have this part of the bytes that a completion may

std::map<int64_t, fs::path> completion_files(const fs::path& run) {
  std::map<int64_t, fs::path> files;
  const fs::path folder = run / "completions";
  if (!fs::is_directory(folder)) return files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("step_") || !name.ends_with(".jsonl")) continue;
    if (const int64_t step = std::strtoll(name.c_str() + 5, nullptr, 10); step > 0) files[step] = entry.path();
  }
  return files;
}

// Where the run's model has its tokenizer: in the run, or where the config says. Texts are shown without one that is elsewhere or damaged.
std::optional<Tokenizer> find_tokenizer(const fs::path& run) {
  for (const char* folder : {"final", "initial", "warm_start"}) {
    if (!fs::exists(run / folder / "tokenizer.json")) continue;
    try {
      return Tokenizer::load(run / folder);
    } catch (const Error&) {  // the next one may be whole
    }
  }
  try {
    return tokenizer_of(load_config(run / "config.yaml").model);
  } catch (const Error&) {
    return std::nullopt;
  }
}

double reward_of(const Json& row) {
  const auto reward = row.find("reward");
  return reward != row.end() && reward->is_number() ? reward->get<double>() : -INFINITY;
}

bool is_number_or_null(const Json& value) { return value.is_number() || value.is_null(); }
bool is_token_id(const Json& value) { return value.is_number_integer() && value.get<int64_t>() >= 0 && value.get<int64_t>() <= INT32_MAX; }

// What is absent is not shown; what is there must be of the type that the page expects of it.
void check_row(const Json& row, const std::string& where) {
  CHECK_INPUT(row.is_object(), "{}: a completion is an object, found {}", where, row.type_name());
  const auto check = [&](const char* key, const char* allowed, const auto& holds) {
    if (const auto value = row.find(key); value != row.end())
      CHECK_INPUT(holds(*value), "{}: '{}' must be {}, found {}", where, key, allowed, to_valid_utf8(dump_json(*value).substr(0, 80)));
  };
  const auto text = [](const Json& value) { return value.is_string(); };
  check("completion", "a text", text);
  check("prompt", "a text", text);
  check("finish_reason", "a text", text);
  check("problem", "a text or a number", [](const Json& value) { return value.is_string() || value.is_number(); });
  check("sample", "a number", [](const Json& value) { return value.is_number(); });
  check("reward", "a number or null", is_number_or_null);
  check("advantage", "a number or null", is_number_or_null);
  check("rewards", "an object of numbers", [](const Json& value) { return value.is_object() && std::ranges::all_of(value, is_number_or_null); });
  check("explain", "an object of texts", [&](const Json& value) { return value.is_object() && std::ranges::all_of(value, text); });
  check("ids", "a list of token ids", [](const Json& value) { return value.is_array() && std::ranges::all_of(value, is_token_id); });
  check("logprobs", "a list of numbers", [](const Json& value) { return value.is_null() || (value.is_array() && std::ranges::all_of(value, is_number_or_null)); });
}

// Completions of one step, the best first, each with the prompt that stands in the first row of its group.
std::vector<Json> read_step(const fs::path& file) {
  std::vector<Json> rows;
  Json prompt, problem;
  for (const std::string& line : read_whole_lines(file)) {
    const std::string where = fmt::format("{}:{}", file.string(), rows.size() + 1);
    rows.push_back(parse_json(line, where));
    Json& row = rows.back();
    check_row(row, where);
    if (row.contains("prompt")) prompt = row["prompt"], problem = row.value("problem", Json());
    else if (!prompt.is_null() && row.value("problem", Json()) == problem) row["prompt"] = prompt;
  }
  std::ranges::stable_sort(rows, std::greater<>(), reward_of);
  return rows;
}

// Log-probs of tokens beside their texts, which joined are the completion.
void add_pieces(Json& shown, const Json& row, const std::optional<Tokenizer>& tokenizer) {
  Json pieces = Json::array(), logprobs = Json::array();
  const auto ids = row.find("ids"), from = row.find("logprobs");
  const bool both = tokenizer && ids != row.end() && from != row.end() && !ids->empty() && ids->size() == from->size() &&
                    std::ranges::all_of(*from, [](const Json& value) { return value.is_number(); });
  if (both) {
    TextStream stream(*tokenizer);
    for (size_t i = 0; i < ids->size(); ++i) {
      std::string piece = stream.add((*ids)[i].get<int32_t>());
      if (i + 1 == ids->size()) piece += stream.finish();
      pieces.push_back(std::move(piece));
      logprobs.push_back(std::round((*from)[i].get<double>() * 100) / 100);
    }
    shown["logprobs"] = std::move(logprobs);
  } else {
    pieces.push_back(to_valid_utf8(row.value("completion", "")));
  }
  shown["pieces"] = std::move(pieces);
}

// The end of a prompt, where the question stands.
void shorten_prompt(std::string& prompt, int64_t longest_text) {
  const auto most = static_cast<size_t>(longest_text / kPromptShare);
  if (prompt.size() <= most) return;
  size_t from = prompt.size() - most;
  while (from < prompt.size() && (static_cast<unsigned char>(prompt[from]) & 0xC0) == 0x80) ++from;  // inside a character
  prompt = "… " + prompt.substr(from);
}

// Whole tokens, up to the one that reaches the length; a text without tokens ends there.
void shorten(Json& shown, int64_t longest_text) {
  if (const auto prompt = shown.find("prompt"); prompt != shown.end()) shorten_prompt(prompt->get_ref<std::string&>(), longest_text);
  Json& pieces = shown["pieces"];
  const auto limit = static_cast<size_t>(longest_text);
  if (!shown.contains("logprobs")) {
    auto& text = pieces[0].get_ref<std::string&>();
    if (text.size() <= limit) return;
    text = to_valid_utf8(text.substr(0, limit));
    shown["cut"] = true;
    return;
  }
  size_t size = 0, kept = 0;
  while (kept < pieces.size() && size <= limit) size += pieces[kept++].get_ref<const std::string&>().size();
  if (kept == pieces.size()) return;
  for (Json* list : {&pieces, &shown["logprobs"]}) list->erase(list->begin() + static_cast<int64_t>(kept), list->end());
  shown["cut"] = true;
}

Json shown_row(const Json& row, const std::optional<Tokenizer>& tokenizer, int64_t step) {
  Json shown = {{"step", step}};
  for (const char* key : {"problem", "sample", "reward", "rewards", "advantage", "finish_reason"})
    if (const auto value = row.find(key); value != row.end()) shown[key] = *value;
  if (const auto reasons = row.find("explain"); reasons != row.end())
    for (const auto& [name, reason] : reasons->items()) shown["explain"][name] = to_valid_utf8(reason.get_ref<const std::string&>());
  if (const auto prompt = row.find("prompt"); prompt != row.end()) shown["prompt"] = to_valid_utf8(prompt->get_ref<const std::string&>());
  add_pieces(shown, row, tokenizer);
  return shown;
}

constexpr size_t kFewSteps = 10;       // with fewer than these, shorter texts of more steps say more
constexpr int64_t kShortestCut = 300;  // bytes; shorter texts say nothing

struct Step {
  int64_t step = 0;
  fs::path file;
  std::vector<int64_t> bytes;  // of its best and its worst, for each length that texts may be cut to
};

struct Choice {
  std::vector<size_t> steps;
  int64_t longest_text = 0;
  int64_t bytes = 0;  // of the best and the worst of these steps
};

int64_t bytes_of(const std::vector<Step>& steps, const std::vector<size_t>& chosen, size_t length) {
  int64_t sum = 0;
  for (const size_t i : chosen) sum += steps[i].bytes[length];
  return sum;
}

// As many steps as fit, evenly. One remains, whether it fits or not.
std::vector<size_t> steps_that_fit(const std::vector<Step>& steps, size_t length, int64_t bytes) {
  for (size_t count = steps.size(); count > 1;) {
    std::vector<size_t> chosen = evenly(steps.size(), count);
    const int64_t sum = bytes_of(steps, chosen, length);
    if (sum <= bytes) return chosen;
    const auto fitting = static_cast<size_t>(static_cast<double>(count) * static_cast<double>(bytes) / static_cast<double>(sum));
    count = std::clamp<size_t>(fitting, 1, count - 1);
  }
  return evenly(steps.size(), 1);
}

Choice choose(std::vector<Step>& steps, const std::optional<Tokenizer>& tokenizer, int64_t bytes, int64_t longest_text) {
  std::vector<int64_t> lengths = {longest_text};
  while (lengths.back() / 2 >= kShortestCut) lengths.push_back(lengths.back() / 2);
  for (Step& step : steps) {  // measured file by file: all the texts of a long run need not fit into memory
    step.bytes.assign(lengths.size(), 0);
    const std::vector<Json> rows = read_step(step.file);
    for (const size_t place : evenly(rows.size(), kBestAndWorst)) {
      Json row = shown_row(rows[place], tokenizer, step.step);
      for (size_t i = 0; i < lengths.size(); ++i) {
        shorten(row, lengths[i]);
        step.bytes[i] += bytes_in_page(row) + 1;
      }
    }
  }
  Choice choice;
  for (size_t i = 0; i < lengths.size(); ++i) {
    choice = {.steps = steps_that_fit(steps, i, bytes), .longest_text = lengths[i]};
    choice.bytes = bytes_of(steps, choice.steps, i);
    if (choice.steps.size() >= std::min(kFewSteps, steps.size())) break;
  }
  return choice;
}

}  // namespace

Json report_completions(const fs::path& run, int64_t most, int64_t bytes, int64_t longest_text) {
  const std::map<int64_t, fs::path> files = completion_files(run);
  const std::optional<Tokenizer> tokenizer = files.empty() ? std::nullopt : find_tokenizer(run);
  int64_t found = 0;
  std::vector<Step> steps;
  for (const auto& [step, file] : files) {
    const auto lines = static_cast<int64_t>(read_whole_lines(file).size());
    found += lines;
    if (lines > 0) steps.push_back({step, file, {}});
  }
  const size_t written = steps.size(), most_rows = static_cast<size_t>(std::max<int64_t>(most, kBestAndWorst));
  std::vector<Step> candidates;
  for (const size_t i : evenly(written, most_rows / kBestAndWorst)) candidates.push_back(std::move(steps[i]));
  const Choice choice = choose(candidates, tokenizer, bytes, longest_text);
  int64_t left = bytes, others = bytes - choice.bytes;  // others: for completions in between
  auto steps_left = static_cast<int64_t>(choice.steps.size());
  bool between = false, cut = false, whole = true;
  Json rows = Json::array();
  for (const size_t i : choice.steps) {
    const Step& step = candidates[i];
    const std::vector<Json> of_step = read_step(step.file);
    std::vector<size_t> places = evenly(of_step.size(), most_rows / choice.steps.size());
    if (places.size() > kBestAndWorst) std::rotate(places.begin() + 1, places.end() - 1, places.end());  // the best and the worst before others
    int64_t share = others / steps_left--;
    for (size_t n = 0; n < places.size(); ++n) {
      Json row = shown_row(of_step[places[n]], tokenizer, step.step);
      shorten(row, choice.longest_text);
      const int64_t size = bytes_in_page(row) + 1;
      const bool extra = n >= kBestAndWorst;
      if (extra && size > share) break;
      if (size > left) {
        whole = false;
        break;
      }
      left -= size;
      if (extra) share -= size, others -= size, between = true;
      cut = cut || row.contains("cut");
      rows.push_back(std::move(row));
    }
  }
  std::string note;
  if (found == 0) note = "The run has written no completions (log.completions_steps).";
  if (static_cast<int64_t>(rows.size()) < found) {
    note = fmt::format("{} of the {} completions that the run has written: ", rows.size(), found);
    if (!whole) note += "the others are too long for this page.";
    else if (choice.steps.size() == written) note += "of each step ";
    else if (choice.steps.size() == 1) note += fmt::format("of the last of {} steps ", written);
    else note += fmt::format("of {} of {} steps, evenly from the first to the last, ", choice.steps.size(), written);
    if (whole) note += between ? "the best, the worst and some in between." : "the best and the worst.";
  }
  if (cut) note += fmt::format("{}Texts are cut after about {} bytes.", note.empty() ? "" : " ", choice.longest_text);
  if (found > 0 && !tokenizer) note += fmt::format("{}Without log-probs, as the model's tokenizer is not found or cannot be read.", note.empty() ? "" : " ");
  return {{"found", found}, {"note", note}, {"rows", rows}};
}

}  // namespace cohort
