// Texts and conversations in rows of data files, and rows on their way to tokens: what examples (sft_data.h) and pairs (rm_data.h) share.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "core/json.h"
#include "core/threads.h"

namespace cohort {

// Exit code 3, naming the column, for what is no conversation (check_messages), or has none of it, or a NUL character.
void check_conversation(const Json& messages, const char* column, const std::string& where);
// The column's text; exit code 3 where it is none, empty, or has a NUL character.
std::string read_text(const Json& value, const char* column, const std::string& where);

// encode(i) for each of `rows` rows, on the pool's threads, then take(i) for each in order. Exit code 3 of either is led by data set and row,
// and of several it is the first row's that is told; any other goes on as it is.
void encode_rows(const std::string& name, size_t rows, const std::function<const std::string&(size_t)>& id, ThreadPool& pool,
                 const std::function<void(size_t)>& encode, const std::function<void(size_t)>& take);

}  // namespace cohort
