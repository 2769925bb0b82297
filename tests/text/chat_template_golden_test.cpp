// Chat templates against transformers: files written by scripts/goldens/make_chat_goldens.py.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "core/check.h"
#include "core/files.h"
#include "core/hash.h"
#include "model/text/chat_template.h"
#include "model/text/chat_template_time.h"
#include "tests/text/golden_lines.h"

namespace cohort {
namespace {

const std::filesystem::path kGoldens = std::filesystem::path(GOLDEN_DIR) / "templates";

ChatInput chat_of(const Json& line, bool add_generation_prompt) {
  return {.messages = line["messages"],
          .tools = line.value("tools", Json()),
          .documents = line.value("documents", Json()),
          .kwargs = line.value("kwargs", Json::object()),
          .add_generation_prompt = add_generation_prompt,
          .continue_final_message = line.value("continue_final_message", false)};
}

// The text, or "error: ..." where the template refuses. Guards must never show.
std::string render(const std::string& source, const ChatInput& chat, bool guarded) {
  ChatSetting setting{.bos_token = "<s>",
                      .eos_token = "</s>",
                      .now = parse_iso_time("2026-01-31T09:05:07", "test")};
  if (guarded) setting.markers = {"<｜User｜>", "<|user|>", "<|assistant|>"};
  if (guarded) setting.special_tokens = {"<|im_end|>", "<|im_start|>", "</s>", "Hello", "Zürich"};
  try {
    return ChatTemplate::parse(source, "test").render(chat, setting).text;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kInput);
    return std::string("error: ") + error.what();
  }
}

void expect_render(const Json& golden, const std::string& source, const ChatInput& chat,
                   bool guarded) {
  const std::string got = render(source, chat, guarded);
  if (golden.contains("error")) {
    EXPECT_TRUE(got.starts_with("error: ")) << golden << "\ngot " << got;
    if (golden["error"].is_string()) {
      EXPECT_TRUE(got.ends_with(": " + golden["error"].get<std::string>())) << got << "\n" << golden;
    }
  } else if (golden.contains("text")) {
    EXPECT_EQ(got, golden["text"].get<std::string>()) << golden;
  } else {
    EXPECT_EQ(got.size(), golden["bytes"].get<size_t>()) << golden << "\ngot " << got;
    EXPECT_EQ(fingerprint(got), golden["xxh3"].get<std::string>()) << golden << "\ngot " << got;
  }
}

void expect_renders(const std::filesystem::path& templates, const std::string& goldens) {
  const std::vector<Json> conversations = read_lines(kGoldens / "conversations.jsonl");
  for (const Json& golden : read_lines(kGoldens / goldens)) {
    const std::string source =
        read_file(templates / (golden["template"].get<std::string>() + ".jinja"));
    const ChatInput chat = chat_of(conversations[golden["conversation"].get<size_t>()],
                                   golden["add_generation_prompt"]);
    for (const bool guarded : {false, true}) expect_render(golden, source, chat, guarded);
  }
}

TEST(ChatTemplateGolden, EachConstructRendersAsJinjaDoes) {
  const ChatInput chat = chat_of(read_lines(kGoldens / "conversations.jsonl")[3], true);
  for (const Json& golden : read_lines(kGoldens / "snippets.jsonl"))
    expect_render(golden, golden["template"], chat, false);
}

TEST(ChatTemplateGolden, WholeTemplatesRenderAsJinjaDoes) {
  expect_renders(kGoldens, "renders.jsonl");
}

TEST(ChatTemplateGolden, PublishedTemplatesRenderAsTransformersDoes) {
  const char* named = std::getenv("COHORT_TEMPLATES_DIR");
  const std::filesystem::path dir =
      named ? named : std::filesystem::path(SOURCE_DIR) / "../shared/templates";
  if (!std::filesystem::exists(dir))
    GTEST_SKIP() << "COHORT_TEMPLATES_DIR names no folder of published templates";
  expect_renders(dir, "published.jsonl");
}

}  // namespace
}  // namespace cohort
