// cohort tokenize: text to token ids, and back.
#include <memory>

#include "cli/command.h"
#include "cli/prompts.h"
#include "cli/records.h"

namespace cohort {
namespace {

struct Options {
  std::string model;
  RecordFiles files;
  bool decode = false, add_special_tokens = false, skip_special_tokens = false;
};

int run(const Options& o) {
  const Tokenizer tokenizer = Tokenizer::load(o.model);
  return serve_records(o.files, [&](const Json& record) -> Json {
    if (o.decode) {
      CHECK_INPUT(record.contains("ids"), "a record is {{\"ids\": [...]}}: 'ids' is missing");
      // An empty list is the empty text.
      const std::vector<int32_t> ids = record["ids"] == Json::array()
                                           ? std::vector<int32_t>{}
                                           : ids_of(record["ids"], tokenizer.vocab_size());
      return {{"text", tokenizer.decode(ids, o.skip_special_tokens)}};
    }
    const std::vector<int32_t> ids =
        tokenizer.encode(get_string(record, "text", "the record"), o.add_special_tokens);
    Json tokens = Json::array();
    for (const int32_t id : ids) tokens.push_back(tokenizer.token(id));
    return {{"ids", ids}, {"tokens", tokens}};
  });
}

}  // namespace

Action add_tokenize(App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("MODEL", o->model, "folder with tokenizer.json").required();
  app.add_flag("--decode", o->decode, "ids to text");
  app.add_flag("--add-special-tokens", o->add_special_tokens,
               "also the tokens that the tokenizer's post-processor adds, e.g. BOS");
  app.add_flag("--skip-special-tokens", o->skip_special_tokens,
               "with --decode: leave special tokens out");
  o->files.add_options(app);
  app.footer(
      "A line in: {\"text\"}, with --decode {\"ids\"}.   A line out: {\"ids\", \"tokens\"}, with "
      "--decode {\"text\"}.\nA special token written in the text is that token.");
  return [o] { return run(*o); };
}

}  // namespace cohort
