#include "core/code_names.h"

#include <cxxabi.h>
#include <elf.h>
#include <fmt/format.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <sstream>

#include "core/files.h"

namespace cohort {
namespace {

struct Mapping {
  uint64_t begin, end, offset;
  std::string file;
};

std::vector<Mapping> mappings(pid_t process) {
  std::vector<Mapping> found;
  std::ifstream in(fmt::format("/proc/{}/maps", process));
  for (std::string line; std::getline(in, line);) {  // BEGIN-END rwxp OFFSET DEVICE INODE  FILE
    std::istringstream words(line);
    Mapping mapping;
    char dash;
    std::string rights, device, inode;
    words >> std::hex >> mapping.begin >> dash >> mapping.end >> rights >> mapping.offset >> device >> inode >> std::ws;
    std::getline(words, mapping.file);
    if (rights.size() > 2 && rights[2] == 'x' && mapping.file.starts_with('/')) found.push_back(std::move(mapping));
  }
  return found;
}

std::string demangled(const char* symbol) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(abi::__cxa_demangle(symbol, nullptr, nullptr, &status), std::free);
  std::string name = status == 0 ? text.get() : symbol;
  constexpr size_t kLongest = 160;
  if (name.size() > kLongest) name.replace(kLongest, name.npos, "...");
  return name;
}

// The functions of an ELF file of 64 bits.
class SymbolTable {
 public:
  explicit SymbolTable(const std::string& file) : file_(file) {
    const auto header = at<Elf64_Ehdr>(0);
    if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_ident[EI_CLASS] != ELFCLASS64) return;
    for (unsigned i = 0; i < header->e_phnum; ++i)
      if (const auto segment = at<Elf64_Phdr>(header->e_phoff + i * sizeof(Elf64_Phdr)); segment && segment->p_type == PT_LOAD)
        segments_.push_back(*segment);
    std::optional<Elf64_Shdr> symbols;
    for (unsigned i = 0; i < header->e_shnum; ++i) {
      const auto section = at<Elf64_Shdr>(header->e_shoff + i * sizeof(Elf64_Shdr));
      if (section && (section->sh_type == SHT_SYMTAB || (section->sh_type == SHT_DYNSYM && !symbols))) symbols = section;
    }
    if (!symbols) return;
    const auto names = at<Elf64_Shdr>(header->e_shoff + symbols->sh_link * sizeof(Elf64_Shdr));
    if (!names) return;
    symbols_ = *symbols, names_ = *names;
  }

  // "" where no function has the byte at `offset` of the file.
  std::string name(uint64_t offset) const {
    for (const Elf64_Phdr& segment : segments_) {
      if (offset < segment.p_offset || offset - segment.p_offset >= segment.p_filesz) continue;
      const uint64_t address = offset - segment.p_offset + segment.p_vaddr;
      for (uint64_t i = 0; i < symbols_.sh_size / sizeof(Elf64_Sym); ++i) {
        const auto symbol = at<Elf64_Sym>(symbols_.sh_offset + i * sizeof(Elf64_Sym));
        if (!symbol) return "";
        if (ELF64_ST_TYPE(symbol->st_info) == STT_FUNC && address >= symbol->st_value && address - symbol->st_value < symbol->st_size)
          return demangled(text(names_.sh_offset + symbol->st_name).c_str());
      }
    }
    return "";
  }

 private:
  template <typename T>
  std::optional<T> at(uint64_t offset) const {
    const std::span<const std::byte> bytes = file_.bytes();
    if (offset > bytes.size() || sizeof(T) > bytes.size() - offset) return std::nullopt;
    T value;
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
  }
  std::string text(uint64_t offset) const {
    const std::span<const std::byte> bytes = file_.bytes();
    if (offset >= bytes.size()) return "";
    const auto* begin = reinterpret_cast<const char*>(bytes.data()) + offset;
    return {begin, strnlen(begin, bytes.size() - offset)};
  }

  MappedFile file_;
  std::vector<Elf64_Phdr> segments_;
  Elf64_Shdr symbols_{}, names_{};
};

}  // namespace

std::vector<std::string> code_names(pid_t process, std::span<const uint64_t> stack) {
  const std::vector<Mapping> mapped = mappings(process);
  std::map<std::string, std::optional<SymbolTable>> tables;  // nothing: the file cannot be read any more
  std::vector<std::string> names;
  for (size_t i = 0; i < stack.size(); ++i) {
    const uint64_t address = stack[i] - (i > 0 ? 1 : 0);  // further out it is where a call returns to, perhaps the next function's begin
    std::string name = fmt::format("{:#x}", stack[i]);
    for (const Mapping& mapping : mapped) {
      if (address < mapping.begin || address >= mapping.end) continue;
      const uint64_t offset = address - mapping.begin + mapping.offset;
      name = fmt::format("{} + {:#x}", std::filesystem::path(mapping.file).filename().string(), offset);
      const auto [table, fresh] = tables.try_emplace(mapping.file);
      try {
        if (fresh) table->second.emplace(mapping.file);
      } catch (const std::exception&) {  // replaced or removed while it runs: then the address has to do
      }
      if (table->second)
        if (const std::string symbol = table->second->name(offset); !symbol.empty()) name = symbol;
    }
    names.push_back(std::move(name));
  }
  return names;
}

}  // namespace cohort
