// Hand-written scanners for the published patterns (split_pattern.h). Each answers: where does the
// match that starts here end? Every character belongs to a match, so that matches follow one
// another without gaps.
#pragma once

#include <cstddef>
#include <string_view>

namespace cohort {

// text: valid UTF-8; at < text.size(), at the start of a character. Linear over a whole text.
size_t gpt2_piece_end(std::string_view text, size_t at);
size_t llama3_piece_end(std::string_view text, size_t at);
size_t qwen2_piece_end(std::string_view text, size_t at);

}  // namespace cohort
