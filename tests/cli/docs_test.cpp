// The pages say what the program does: commands, options, keys and messages exist, links lead somewhere, tables are what the code is.
// What the commands do when they are run: tests/docs/check.sh.
#include <set>

#include "cli/app_tree.h"
#include "core/yaml.h"
#include "tests/cli/pages.h"
#include "trainer/config_convert.h"
#include "trainer/config_schema.h"
#include "trainer/config_value.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

bool is_program(const std::string& word) { return word == "cohort" || word.ends_with("/cohort") || word == "\"$cohort\""; }

std::set<std::string> option_names(const CommandInfo& command) {
  std::set<std::string> names = {"--help"};
  for (const OptionInfo& option : command.options) names.insert(option.names.begin(), option.names.end());
  return names;
}

// What a key is in "a.b=1"; "" for a word that is none.
std::string key_of(const std::string& word) {
  const size_t equals = word.find('=');
  const std::string path = word.substr(0, equals);
  const bool path_alone = path.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_.") == std::string::npos;
  return equals == std::string::npos || path.find('.') == std::string::npos || !path_alone ? "" : path;
}

void check_call(const std::vector<std::string>& words, size_t at, const std::string& where) {
  static const std::vector<CommandInfo> tree = command_tree();
  const std::string& name = words[at];
  const bool is_word = name.find_first_not_of("abcdefghijklmnopqrstuvwxyz-") == std::string::npos;
  if (!is_word || name.starts_with("-") || name == "help" || name == "version") return;  // COMMAND, --version
  const auto command = std::ranges::find(tree, name, &CommandInfo::name);
  ASSERT_NE(command, tree.end()) << where << ": cohort has no command '" << name << "'";
  const std::set<std::string> options = option_names(*command);
  for (size_t i = at + 1; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "|" || word == "&&" || word == "||" || word == ">" || word == "#") break;
    if (word.starts_with("--")) {
      EXPECT_TRUE(options.contains(word.substr(0, word.find('=')))) << where << ": cohort " << name << " has no option " << word;
    } else if (const std::string key = key_of(word); !key.empty() && command->takes_keys) {
      const size_t dot = key.find_last_of('.');
      EXPECT_NE(find_key(key.substr(0, dot), key.substr(dot + 1)), nullptr) << where << ": no key " << key;
    }
  }
}

TEST(Docs, CommandsOptionsAndKeysExist) {
  size_t calls = 0;
  for (const Page& page : pages()) {
    for (const CodeLine& line : page.code) {
      const std::vector<std::string> words = words_of(line.text);
      for (size_t i = 0; i + 1 < words.size(); ++i)
        if (is_program(words[i])) check_call(words, i + 1, line.where), ++calls;
    }
  }
  EXPECT_GT(calls, 100u);
}

// A block of commands is run by tests/docs/check.sh, or says why not; what a program prints behind a command is a console.
TEST(Docs, EveryBlockOfCommandsIsRunOrSaysWhyNot) {
  size_t run = 0;
  for (const Page& page : pages()) {
    for (const CodeLine& line : page.code) {
      if (line.block == "sh") ++run;
      if (line.block == "inline" || line.block == "sh" || line.block == "console") continue;
      if (line.block.starts_with("sh not run: ") && line.block.size() > 20) continue;
      for (const char* command : {"cohort ", "mpirun ", "sbatch ", "scripts/", "$ ", "cmake ", "docker "})
        EXPECT_FALSE(line.text.starts_with(command)) << line.where << ": mark the block ```sh, ```sh not run: WHY, or ```console: " << line.text;
    }
  }
  EXPECT_GT(run, 20u);
}

// As GitHub makes it of a heading.
std::string anchor_of(const std::string& heading) {
  std::string anchor;
  for (const char c : heading.substr(heading.find_first_not_of("# "))) {
    if (c == ' ') anchor += '-';
    else if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_') anchor += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return anchor;
}

TEST(Docs, LinksLeadSomewhere) {
  size_t links = 0;
  for (const Page& page : pages()) {
    for (size_t n = 1; n < page.lines.size(); ++n) {
      const std::string& line = page.lines[n];
      for (size_t at = 0; (at = line.find("](", at)) != std::string::npos;) {
        at += 2;
        const std::string link = line.substr(at, line.find(')', at) - at);
        if (link.starts_with("http")) continue;
        ++links;
        const std::string where = page.name + ":" + std::to_string(n) + ": " + link, path = link.substr(0, link.find('#'));
        const fs::path target = path.empty() ? page.file : (page.file.parent_path() / path).lexically_normal();
        ASSERT_TRUE(fs::exists(target)) << where;
        if (link.find('#') == std::string::npos) continue;
        const std::string anchor = link.substr(link.find('#') + 1);
        const std::vector<std::string> lines = read_page(target).lines;
        EXPECT_TRUE(std::ranges::any_of(lines, [&](const std::string& l) { return l.starts_with("#") && anchor_of(l) == anchor; })) << where;
      }
    }
  }
  EXPECT_GT(links, 80u);
}

// All of the program's source, with texts that stand on several lines as one, without the marks of code.
std::string program_text() {
  std::string all;
  for (const char* folder : {"cli", "comm", "core", "model", "pipeline", "reward", "rollout", "trainer"})
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(SOURCE_DIR) / folder))
      if (entry.path().extension() == ".cpp" || entry.path().extension() == ".h") all += read_all(entry.path().string());
  std::string text;
  for (size_t i = 0; i < all.size(); ++i) {
    if (all[i] == '`') continue;
    if (all[i] == '"') {
      const size_t next = all.find_first_not_of(" \n", i + 1);
      if (next != std::string::npos && next > i + 1 && all[next] == '"') {
        i = next;
        continue;
      }
    }
    text += all[i];
  }
  return text;
}

TEST(Docs, MessagesOfTroubleshootingStandInTheSource) {
  const std::string source = program_text();
  const Page page = read_page(fs::path(SOURCE_DIR) / "docs/troubleshooting.md");
  size_t messages = 0;
  std::set<std::string> codes;
  for (size_t n = 1; n < page.lines.size(); ++n) {
    const std::string& line = page.lines[n];
    if (line.starts_with("| ") && std::isdigit(static_cast<unsigned char>(line[2])) != 0) codes.insert(line.substr(2, line.find(' ', 2) - 2));
    if (!line.starts_with("| `")) continue;
    ++messages;
    const std::string message = line.substr(3, line.find('`', 3) - 3);
    for (size_t at = 0; at <= message.size();) {
      const size_t end = std::min(message.find("...", at), message.size());
      std::string part = message.substr(at, end - at);
      while (part.ends_with(' ')) part.pop_back();
      while (part.starts_with(' ')) part.erase(0, 1);
      if (part.size() > 5) {
        EXPECT_NE(source.find(part), std::string::npos) << "line " << n << ": no message has: " << part;
      }
      at = end + 3;
    }
  }
  EXPECT_GT(messages, 20u);
  EXPECT_EQ(codes, (std::set<std::string>{"1", "2", "3", "4", "5", "6", "75"}));
}

// "a: 1, b: [2, 3]" as a YAML file of theirs.
std::string yaml_file(const std::string& keys) {
  std::string yaml;
  int depth = 0;
  for (size_t i = 0; i < keys.size(); ++i) {
    depth += keys[i] == '[' || keys[i] == '{' ? 1 : keys[i] == ']' || keys[i] == '}' ? -1 : 0;
    if (keys[i] == ',' && depth == 0) yaml += '\n', ++i;
    else yaml += keys[i];
  }
  return yaml + "\n";
}

std::string value_at(YAML::Node node, const std::string& path) {
  std::istringstream names(path);
  for (std::string name; std::getline(names, name, '.');) {
    if (!node.IsMap() || !node[name]) return "(absent)";
    node.reset(node[name]);
  }
  return node.IsScalar() ? node.Scalar() : yaml_of(yaml_to_json(node, {"page", false}));
}

TEST(Docs, TablesOfOtherProgramsAreWhatConvertConfigDoes) {
  const Page page = read_page(fs::path(SOURCE_DIR) / "docs/coming-from.md");
  std::string program;
  size_t rows = 0;
  for (size_t n = 1; n < page.lines.size(); ++n) {
    const std::string& line = page.lines[n];
    if (line.starts_with("## From ")) program = line.substr(8, line.find(' ', 8) - 8);
    if (!line.starts_with("| `")) continue;
    const size_t middle = line.find("` | `");
    ASSERT_NE(middle, std::string::npos) << line;
    const std::string theirs = line.substr(3, middle - 3), ours = line.substr(middle + 5, line.rfind('`') - middle - 5);
    const std::string path = ours.substr(0, ours.find(": ")), value = ours.substr(ours.find(": ") + 2);
    const ConvertedConfig converted = convert_config(yaml_file(theirs), "row");
    EXPECT_NE(converted.yaml.find("# Converted from a config of " + program + ";"), std::string::npos) << theirs;
    EXPECT_EQ(value_at(parse_yaml(converted.yaml, "converted"), path), value) << theirs << "\n" << converted.yaml;
    ++rows;
  }
  EXPECT_GT(rows, 40u);
}

TEST(Docs, TheChangelogBeginsWithTheVersion) {
  const std::string version = run_cohort({"--version"}).out;
  const std::string changelog = read_all(std::string(SOURCE_DIR) + "/CHANGELOG.md");
  const std::string heading = "\n## " + version.substr(7, version.find('\n') - 7);
  EXPECT_EQ(changelog.find(heading), changelog.find("\n## ")) << heading;
}

}  // namespace
}  // namespace cohort
