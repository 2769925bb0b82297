#include "trainer/row_texts.h"

#include <exception>
#include <vector>

#include "core/check.h"
#include "model/text/chat_template_input.h"
#include "trainer/jsonl_rows.h"

namespace cohort {

void check_conversation(const Json& messages, const char* column, const std::string& where) {
  CHECK_INPUT(!messages.empty(), "{}: '{}' is an empty list of messages", where, column);
  check_messages(messages, fmt::format("{}: '{}'", where, column));
  for (size_t i = 0; i < messages.size(); ++i) check_no_nul_inside(messages[i], fmt::format("{}: '{}': message {}", where, column, i + 1));
}

std::string read_text(const Json& value, const char* column, const std::string& where) {
  CHECK_INPUT(value.is_string(), "{}: '{}' is a text or a list of messages, found {}", where, column, value.type_name());
  const std::string& text = value.get_ref<const std::string&>();
  CHECK_INPUT(!text.empty(), "{}: '{}' is empty", where, column);
  check_no_nul(text, where, fmt::format("'{}'", column));
  return text;
}

void encode_rows(const std::string& name, size_t rows, const std::function<const std::string&(size_t)>& id, ThreadPool& pool,
                 const std::function<void(size_t)>& encode, const std::function<void(size_t)>& take) {
  std::vector<std::exception_ptr> errors(rows);
  pool.run(static_cast<int64_t>(rows), [&](int64_t i, int) {
    try {
      encode(static_cast<size_t>(i));
    } catch (...) {
      errors[static_cast<size_t>(i)] = std::current_exception();
    }
  });
  for (size_t i = 0; i < rows; ++i) {
    try {
      if (errors[i]) std::rethrow_exception(errors[i]);
      take(i);
    } catch (const Error& error) {
      if (error.code() != ExitCode::kInput) throw;
      throw Error(error.code(), fmt::format("{}: row {}: {}", name, shown(id(i)), error.what()));
    }
  }
}

}  // namespace cohort
