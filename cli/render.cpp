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
  return serve_records(o.files, [&](const Json& record) -> Json {
    CHECK_INPUT(record.contains("messages"), "'messages' is missing");
    const Json kwargs = record.value("chat_template_kwargs", Json::object());
    CHECK_INPUT(kwargs.empty(), "'chat_template_kwargs' is not supported yet");
    const bool generation = get_bool_or(record, "add_generation_prompt", "the record", true);
    return {{"text", chat_template.render(messages_of(record["messages"]), generation,
                                          tokenizer.bos_token(), tokenizer.eos_token())}};
  });
}

}  // namespace

Action add_render(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("MODEL", o->model, "folder with tokenizer.json and a chat template")->required();
  app.add_option("--chat-template", o->template_file, "a Jinja file, in place of the model's own")
      ->type_name("FILE");
  o->files.add_options(app);
  app.footer(
      "A line in: {\"messages\": [{\"role\", \"content\"}, ...], \"add_generation_prompt\"? "
      "(default true)}.\nA line out: {\"text\"}.");
  return [o] { return run(*o); };
}

}  // namespace cohort
