// cohort render: chat messages to text.
#include <memory>

#include "cli/command.h"
#include "cli/prompts.h"
#include "cli/records.h"
#include "core/files.h"

namespace cohort {
namespace {

struct Options {
  std::string model, template_file;
  RecordFiles files;
  ChatArguments chat;
};

int run(const Options& o) {
  const Tokenizer tokenizer = Tokenizer::load(o.model);
  const ChatTemplate chat_template =
      o.template_file.empty() ? ChatTemplate::load(o.model)
                              : ChatTemplate::parse(read_file(o.template_file), o.template_file);
  CHECK_INPUT(chat_template.has_template(),
              "{} has no chat template (chat_template.jinja, or chat_template in "
              "tokenizer_config.json); give one with --chat-template FILE",
              o.model);
  o.chat.template_kwargs();  // refused before the first record
  const ChatSetting setting = o.chat.setting(tokenizer);
  return serve_records(o.files, [&](const Json& record) -> Json {
    CHECK_INPUT(record.contains("messages"), "'messages' is missing");
    const bool continues = get_bool_or(record, "continue_final_message", "the record", false);
    const bool generation = get_bool_or(record, "add_generation_prompt", "the record", !continues);
    ChatInput chat = chat_of(record, record["messages"], o.chat, generation);
    chat.continue_final_message = continues;
    return {{"text", chat_template.render(chat, setting).text}};
  });
}

}  // namespace

Action add_render(App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("MODEL", o->model, "folder with tokenizer.json and a chat template").required();
  app.add_option("--chat-template", o->template_file, "a Jinja file, in place of the model's own")
      .type_name("FILE");
  o->chat.add_options(app);
  o->files.add_options(app);
  app.footer(
      "A line in: {\"messages\": [{\"role\", \"content\"}, ...], \"add_generation_prompt\"? "
      "(default true),\n\"continue_final_message\"?, \"tools\"?, \"documents\"?, "
      "\"chat_template_kwargs\"?}.\nA line out: {\"text\"}.");
  return [o] { return run(*o); };
}

}  // namespace cohort
