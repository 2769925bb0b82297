#include "reward/script.h"

#include <array>

namespace cohort {
namespace {

struct Block {
  std::string_view script;
  char32_t first, last;
};

// The letters of the scripts by their Unicode blocks (Unicode 15, Blocks.txt), without the blocks of dead scripts and
// phonetics.
constexpr std::array kBlocks = {Block{"latin", 'A', 'Z'},
                                Block{"latin", 'a', 'z'},
                                Block{"latin", 0x00C0, 0x00D6},
                                Block{"latin", 0x00D8, 0x00F6},
                                Block{"latin", 0x00F8, 0x024F},
                                Block{"latin", 0x1E00, 0x1EFF},
                                Block{"greek", 0x0370, 0x03FF},
                                Block{"greek", 0x1F00, 0x1FFF},
                                Block{"cyrillic", 0x0400, 0x052F},
                                Block{"hebrew", 0x05D0, 0x05EA},
                                Block{"arabic", 0x0620, 0x06FF},
                                Block{"arabic", 0x0750, 0x077F},
                                Block{"devanagari", 0x0900, 0x097F},
                                Block{"thai", 0x0E01, 0x0E5B},
                                Block{"hangul", 0x1100, 0x11FF},
                                Block{"hangul", 0xAC00, 0xD7A3},
                                Block{"kana", 0x3041, 0x30FF},
                                Block{"kana", 0x31F0, 0x31FF},
                                Block{"han", 0x3400, 0x4DBF},
                                Block{"han", 0x4E00, 0x9FFF},
                                Block{"han", 0xF900, 0xFAFF},
                                Block{"han", 0x20000, 0x2FA1F}};

}  // namespace

std::string_view script_of(char32_t c) {
  for (const Block& block : kBlocks)
    if (c >= block.first && c <= block.last) return block.script;
  return "";
}

}  // namespace cohort
