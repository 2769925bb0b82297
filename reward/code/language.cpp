#include "reward/code/language.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>

#include "core/check.h"
#include "core/text.h"
#include "reward/code/file_view.h"
#include "reward/options.h"

namespace cohort {
namespace {

std::vector<Language> shipped_languages() {
  return {{.name = "python",
           .fences = {"python", "py", "python3"},
           .source = "main.py",
           .run = {"/usr/bin/python3", "-s", "-B", "/box/main.py"},  // not -I: it would ignore the environment
           .environment = {"PYTHONHASHSEED=0"}},                     // sets in one order on every run
          {.name = "cpp",
           .fences = {"cpp", "c++", "cxx", "cc"},
           .source = "main.cpp",
           .compile = {"/usr/bin/g++", "-std=c++20", "-O2", "-o", "/box/program", "/box/main.cpp"},
           .artifact = "program",
           .run = {"/box/program"}}};
}

std::vector<std::string> texts(const Json& value, const std::string& where) {
  std::vector<std::string> result;
  bool good = value.is_array();
  if (good)
    for (const Json& item : value) {
      good = good && item.is_string() && item.get_ref<const std::string&>().find('\0') == std::string::npos;
      if (good) result.push_back(item);
    }
  CHECK_USAGE(good, "{} is a list of texts, found {}", where, value.dump());
  return result;
}

Language read_language(const std::string& name, const Json& entry, const std::string& where) {
  CHECK_USAGE(entry.is_object(), "{} is a map with source, run and more, found {}", where, entry.dump());
  static const std::vector<std::string> kKeys = {"source",   "run",   "fences",      "compile",
                                                 "artifact", "binds", "environment", "address_space_mb"};
  Language language{.name = name, .fences = {name}};
  for (const auto& [key, value] : entry.items()) {
    const std::string place = fmt::format("{}.{}", where, key);
    if (key == "source" || key == "artifact") {
      CHECK_USAGE(value.is_string() && is_plain_name(value), "{} is a plain file name, found {}", place, value.dump());
      (key == "source" ? language.source : language.artifact) = value;
    } else if (key == "address_space_mb") {
      CHECK_USAGE(value.is_number_integer() && value >= 0 && value <= (1 << 24),
                  "{} is a whole number of MB from 0 to 16777216, found {}", place, value.dump());
      language.address_space_mb = value;
    } else if (key == "run") {
      language.run = texts(value, place);
    } else if (key == "compile") {
      language.compile = texts(value, place);
    } else if (key == "fences") {
      language.fences = texts(value, place);
    } else if (key == "binds") {
      language.binds = texts(value, place);
    } else if (key == "environment") {
      language.environment = texts(value, place);
    } else {
      const std::string nearest = nearest_name(key, kKeys);
      fail(ExitCode::kUsage, "{}: unknown key '{}';{} allowed are {}", where, key,
           nearest.empty() ? "" : fmt::format(" did you mean '{}'?", nearest), fmt::join(kKeys, ", "));
    }
  }
  CHECK_USAGE(!language.source.empty() && !language.run.empty(), "{} needs 'source' and 'run'", where);
  CHECK_USAGE(language.compile.empty() == language.artifact.empty(), "{}: 'compile' and 'artifact' go together", where);
  return language;
}

void require_path(const std::vector<std::string>& command, const Language& language) {
  CHECK_USAGE(command.empty() || command[0].starts_with('/'),
              "language '{}': the program is {}; allowed is a whole path, as the sandbox looks nowhere else", language.name,
              command[0]);
}

// A fence that opens or closes a block: its character and length, and what stands behind it.
struct Fence {
  char mark = 0;
  size_t length = 0;
  std::string tag;    // lower case, the first word
  size_t indent = 0;  // the columns before it: as many are no part of the block's lines
};

// White space at the begin of a line, up to so many columns.
struct Indent {
  size_t columns = 0, bytes = 0;
};
Indent read_indent(std::string_view line, size_t most = std::string_view::npos) {
  Indent indent;
  for (; indent.bytes < line.size() && (line[indent.bytes] == ' ' || line[indent.bytes] == '\t'); ++indent.bytes) {
    const size_t next = line[indent.bytes] == ' ' ? indent.columns + 1 : indent.columns / 4 * 4 + 4;
    if (next > most) break;
    indent.columns = next;
  }
  return indent;
}

// The column at which the text of a list's item begins, for the line that begins the item; else 0.
size_t item_column(std::string_view line) {
  const Indent indent = read_indent(line);
  std::string_view rest = line.substr(indent.bytes);
  size_t marker = std::min(rest.find_first_not_of("0123456789"), rest.size());
  const std::string_view ends = marker == 0 ? "-*+" : ".)";
  if (marker > 9 || marker == rest.size() || ends.find(rest[marker]) == std::string_view::npos) return 0;
  rest.remove_prefix(++marker);
  const size_t gap = read_indent(rest).columns;
  if (gap == 0) return 0;
  return indent.columns + marker + (gap > 4 ? 1 : gap);
}

// In a list's item whose text begins at the column `base`.
Fence read_fence(std::string_view line, size_t base) {
  Fence fence;
  const Indent indent = read_indent(line);
  const size_t start = indent.bytes;
  if (start == line.size() || indent.columns > base + 3 || (line[start] != '`' && line[start] != '~')) return fence;
  fence.indent = indent.columns;
  const size_t end = std::min(line.find_first_not_of(line[start], start), line.size());
  if (end - start < 3) return fence;
  // A line such as ```x``` is code within a text.
  if (line[start] == '`' && line.find('`', end) != std::string_view::npos) return fence;
  fence.mark = line[start], fence.length = end - start;
  const std::string_view rest = trim(line.substr(end));
  for (const char c : rest.substr(0, rest.find_first_of(" \t{,")))
    fence.tag += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return fence;
}

}  // namespace

Language find_language(const RewardSpec& spec) {
  std::vector<Language> known = shipped_languages();
  if (const auto map = spec.options.find("languages"); map != spec.options.end()) {
    CHECK_USAGE(map->is_object(), "reward '{}': 'languages' is a map from names to languages, found {}", spec.name,
                map->dump());
    for (const auto& [name, entry] : map->items()) {
      std::erase_if(known, [&, &replaced = name](const Language& language) { return language.name == replaced; });
      known.push_back(read_language(name, entry, fmt::format("reward '{}': languages.{}", spec.name, name)));
    }
  }
  std::string name = "python";
  if (const auto option = spec.options.find("language"); option != spec.options.end()) {
    CHECK_USAGE(option->is_string(), "reward '{}': 'language' is a name, found {}", spec.name, option->dump());
    name = *option;
  }
  std::vector<std::string> names;
  for (const Language& language : known) names.push_back(language.name);
  const auto found = std::ranges::find(known, name, &Language::name);
  if (found == known.end()) {
    const std::string nearest = nearest_name(name, names);
    fail(ExitCode::kUsage, "reward '{}': unknown language '{}';{} allowed are {}, and others by 'languages'", spec.name,
         name, nearest.empty() ? "" : fmt::format(" did you mean '{}'?", nearest), fmt::join(names, ", "));
  }
  require_path(found->compile, *found);
  require_path(found->run, *found);
  return *found;
}

void require_installed(const Language& language) {
  for (const auto& command : {language.compile, language.run}) {
    if (command.empty() || command[0].starts_with("/box/")) continue;  // what /box holds is not there yet
    CHECK_USAGE(access(command[0].c_str(), X_OK) == 0,
                "language '{}': there is no program {} on this host; install it, or set languages.{}", language.name, command[0],
                language.name);
  }
}

std::optional<std::string> last_code_block(std::string_view completion, const Language& language) {
  constexpr std::string_view kThought = "</think>";
  if (const size_t thought = completion.rfind(kThought); thought != std::string_view::npos)
    completion.remove_prefix(thought + kThought.size());
  std::optional<std::string> tagged, untagged;
  Fence open;
  std::string block;
  size_t base = 0;
  while (!completion.empty()) {
    const size_t end = std::min(completion.find('\n'), completion.size());
    std::string_view line = completion.substr(0, end);
    completion.remove_prefix(std::min(end + 1, completion.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (open.mark == 0 && !trim(line).empty()) {
      base = std::min(base, read_indent(line).columns);  // further left: no longer in that item
      if (const size_t column = item_column(line); column > 0) base = column;
    }
    Fence fence = read_fence(line, base);
    if (open.mark == 0) {
      if (fence.mark != 0) open = std::move(fence), block.clear();
    } else if (fence.mark == open.mark && fence.length >= open.length && fence.tag.empty()) {
      if (open.tag.empty())
        untagged = std::move(block);
      else if (std::ranges::find(language.fences, open.tag) != language.fences.end())
        tagged = std::move(block);
      open = {}, block.clear();
    } else {
      block.append(line.substr(read_indent(line, open.indent).bytes)), block += '\n';
    }
  }
  return tagged ? tagged : untagged;
}

}  // namespace cohort
