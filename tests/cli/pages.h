// The pages of the documentation as tests read them.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/cli/run_cohort.h"

namespace cohort {

struct CodeLine {
  std::string where;  // "docs/data.md:12"
  std::string text;
  std::string block;  // the mark of its block ("sh"), "" for one without; of code within a line: "inline"
};

struct Page {
  std::filesystem::path file;
  std::string name;                // from the source folder
  std::vector<std::string> lines;  // from 1 on
  std::vector<CodeLine> code;
};

inline std::vector<CodeLine> code_of(const Page& page) {
  std::vector<CodeLine> code;
  std::string block;
  bool inside = false;
  for (size_t n = 1; n < page.lines.size(); ++n) {
    const std::string& line = page.lines[n];
    const std::string where = page.name + ":" + std::to_string(n);
    if (line.starts_with("```")) {
      inside = !inside;
      block = inside ? line.substr(3) : "";
    } else if (inside) {
      code.push_back({where, line, block});
    } else {
      for (size_t open = line.find('`'); open != std::string::npos;) {
        const size_t close = line.find('`', open + 1);
        if (close == std::string::npos) break;
        code.push_back({where, line.substr(open + 1, close - open - 1), "inline"});
        open = line.find('`', close + 1);
      }
    }
  }
  return code;
}

inline Page read_page(const std::filesystem::path& file) {
  Page page{.file = file, .name = std::filesystem::relative(file, SOURCE_DIR).string(), .lines = {""}, .code = {}};
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) page.lines.push_back(line);
  page.code = code_of(page);
  return page;
}

inline std::vector<Page> pages() {
  namespace fs = std::filesystem;
  std::vector<Page> all;
  for (const char* file : {"README.md", "CONTRIBUTING.md", "CHANGELOG.md"}) all.push_back(read_page(fs::path(SOURCE_DIR) / file));
  for (const char* folder : {"docs", "examples"})
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(SOURCE_DIR) / folder))
      if (entry.path().extension() == ".md") all.push_back(read_page(entry.path()));
  return all;
}

}  // namespace cohort
