#include "trainer/report_completions.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <map>
#include <numeric>
#include <optional>
#include <vector>

#include "core/check.h"
#include "core/files.h"
#include "core/text.h"
#include "model/text/tokenizer.h"
#include "trainer/config.h"
#include "trainer/model_setup.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

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

// Where the run's model has its tokenizer: in the run, or where the config says.
std::optional<Tokenizer> find_tokenizer(const fs::path& run) {
  for (const char* folder : {"final", "initial", "warm_start"})
    if (fs::exists(run / folder / "tokenizer.json")) return Tokenizer::load(run / folder);
  try {
    return tokenizer_of(load_config(run / "config.yaml").model);
  } catch (const Error&) {  // the model is elsewhere: texts are shown without it
    return std::nullopt;
  }
}

// Up to `count` of `size` places, evenly, the first and the last among them.
std::vector<size_t> evenly(size_t size, size_t count) {
  std::vector<size_t> places;
  if (count == 0 || size == 0) return places;
  if (count >= size) {
    places.resize(size);
    std::iota(places.begin(), places.end(), size_t{0});
    return places;
  }
  if (count == 1) return {size - 1};
  for (size_t i = 0; i < count; ++i) places.push_back(i * (size - 1) / (count - 1));
  return places;
}

double reward_of(const Json& row) {
  const auto reward = row.find("reward");
  return reward != row.end() && reward->is_number() ? reward->get<double>() : -INFINITY;
}

// Log-probs of tokens beside their texts, which joined are the completion.
void add_pieces(Json& shown, const Json& row, const std::optional<Tokenizer>& tokenizer, int64_t longest_text) {
  Json pieces = Json::array(), logprobs = Json::array();
  const auto ids = row.find("ids"), from = row.find("logprobs");
  const bool both = tokenizer && ids != row.end() && from != row.end() && ids->is_array() && from->is_array() && ids->size() == from->size();
  int64_t size = 0;
  if (both) {
    TextStream stream(*tokenizer);
    for (size_t i = 0; i < ids->size() && size <= longest_text; ++i) {
      std::string piece = stream.add((*ids)[i].get<int32_t>());
      if (i + 1 == ids->size()) piece += stream.finish();
      size += static_cast<int64_t>(piece.size());
      pieces.push_back(std::move(piece));
      logprobs.push_back(std::round((*from)[i].get<double>() * 100) / 100);
    }
    shown["logprobs"] = std::move(logprobs);
  } else {
    std::string text = to_valid_utf8(row.value("completion", ""));
    size = static_cast<int64_t>(text.size());
    if (size > longest_text) text = to_valid_utf8(text.substr(0, static_cast<size_t>(longest_text)));
    pieces.push_back(std::move(text));
  }
  shown["pieces"] = std::move(pieces);
  if (size > longest_text) shown["cut"] = true;
}

Json shown_row(const Json& row, const std::optional<Tokenizer>& tokenizer, int64_t longest_text) {
  Json shown = Json::object();
  for (const char* key : {"step", "problem", "sample", "reward", "rewards", "advantage", "finish_reason"})
    if (const auto value = row.find(key); value != row.end()) shown[key] = *value;
  add_pieces(shown, row, tokenizer, longest_text);
  return shown;
}

}  // namespace

Json report_completions(const fs::path& run, int64_t most, int64_t bytes, int64_t longest_text) {
  const std::map<int64_t, fs::path> files = completion_files(run);
  const std::optional<Tokenizer> tokenizer = files.empty() ? std::nullopt : find_tokenizer(run);
  // Two of a step at least, its best and its worst; fewer steps where that is too much.
  const std::vector<size_t> chosen = evenly(files.size(), static_cast<size_t>(std::max<int64_t>(1, most / 2)));
  const size_t of_step = chosen.empty() ? 0 : static_cast<size_t>(most) / chosen.size();
  const int64_t bytes_of_step = chosen.empty() ? 0 : bytes / static_cast<int64_t>(chosen.size());
  int64_t found = 0;
  Json rows = Json::array();
  size_t number = 0, next = 0;
  for (const auto& [step, file] : files) {
    const std::vector<std::string> lines = read_whole_lines(file);
    found += static_cast<int64_t>(lines.size());
    if (next == chosen.size() || chosen[next] != number++) continue;
    ++next;
    std::vector<Json> parsed;
    for (const std::string& line : lines) parsed.push_back(parse_json(line, fmt::format("{}:{}", file.string(), parsed.size() + 1)));
    std::ranges::stable_sort(parsed, std::greater<>(), reward_of);
    int64_t left = bytes_of_step;
    std::vector<size_t> places = evenly(parsed.size(), of_step);
    if (places.size() > 2) std::rotate(places.begin() + 1, places.end() - 1, places.end());  // the best and the worst before others
    for (const size_t place : places) {
      Json row = shown_row(parsed[place], tokenizer, longest_text);
      left -= static_cast<int64_t>(dump_json(row).size());
      if (left < 0) break;
      rows.push_back(std::move(row));
    }
  }
  std::string note;
  if (found == 0) note = "The run has written no completions (log.completions_steps).";
  if (static_cast<int64_t>(rows.size()) < found)
    note = fmt::format("{} of the {} completions that the run has written: of each step shown the best, the worst and some in between.", rows.size(), found);
  if (found > 0 && !tokenizer) note += " Without log-probs, as the model's tokenizer is not found.";
  return {{"found", found}, {"note", note}, {"rows", rows}};
}

}  // namespace cohort
