// Chat templates against jinja2: files written by scripts/goldens/make_chat_goldens.py.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "core/check.h"
#include "core/files.h"
#include "model/text/chat_template.h"
#include "tests/text/golden_lines.h"

namespace cohort {
namespace {

const std::filesystem::path kGoldens = std::filesystem::path(GOLDEN_DIR) / "templates";

std::vector<ChatMessage> messages_of(const Json& conversation) {
  std::vector<ChatMessage> messages;
  for (const Json& message : conversation)
    messages.push_back({message["role"], message["content"]});
  return messages;
}

// The text, or "error: ..." where the template refuses.
std::string render(const std::string& source, const std::vector<ChatMessage>& messages,
                   bool prompt) {
  try {
    return ChatTemplate::parse(source, "test").render(messages, prompt, "<s>", "</s>");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kInput);
    return std::string("error: ") + error.what();
  }
}

void expect_render(const Json& golden, const std::string& source,
                   const std::vector<ChatMessage>& messages, bool prompt) {
  const std::string got = render(source, messages, prompt);
  if (golden.contains("error"))
    EXPECT_TRUE(got.starts_with("error: ")) << golden << "\ngot " << got;
  else
    EXPECT_EQ(got, golden["text"].get<std::string>()) << golden;
}

void expect_renders(const std::filesystem::path& templates, const std::string& goldens) {
  const std::vector<Json> conversations = read_lines(kGoldens / "conversations.jsonl");
  for (const Json& golden : read_lines(kGoldens / goldens)) {
    const std::string source =
        read_file(templates / (golden["template"].get<std::string>() + ".jinja"));
    expect_render(golden, source, messages_of(conversations[golden["conversation"].get<size_t>()]),
                  golden["add_generation_prompt"]);
  }
}

TEST(ChatTemplateGolden, EachConstructRendersAsJinjaDoes) {
  const std::vector<ChatMessage> messages =
      messages_of(read_lines(kGoldens / "conversations.jsonl")[3]);
  for (const Json& golden : read_lines(kGoldens / "snippets.jsonl"))
    expect_render(golden, golden["template"], messages, true);
}

TEST(ChatTemplateGolden, WholeTemplatesRenderAsJinjaDoes) {
  expect_renders(kGoldens, "renders.jsonl");
}

TEST(ChatTemplateGolden, PublishedTemplatesRenderAsJinjaDoes) {
  const char* named = std::getenv("COHORT_TEMPLATES_DIR");
  const std::filesystem::path dir =
      named ? named : std::filesystem::path(SOURCE_DIR) / "../shared/templates";
  if (!std::filesystem::exists(dir))
    GTEST_SKIP() << "COHORT_TEMPLATES_DIR names no folder of published templates";
  expect_renders(dir, "published.jsonl");
}

}  // namespace
}  // namespace cohort
