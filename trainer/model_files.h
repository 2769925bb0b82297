// What a model folder holds beside its weights, read once: what is saved at the end of a run is what was read at its start.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "model/formats/stored_dtype.h"
#include "model/params.h"

namespace cohort {

struct ModelFiles {
  std::filesystem::path source;                             // for messages
  std::vector<std::pair<std::string, std::string>> files;   // name in the folder, bytes; sorted by name
  std::vector<StoredDType> dtypes;                          // of each entry of the table, as the source stores it
  StoredDType config_dtype = StoredDType::f32;              // of config.json

  // Of all that decides tokens and numbers: config, tokenizer and templates, not licences.
  std::string fingerprint() const;
};

// Config, tokenizer and template files must be regular files that can be read (exit code 3). Licences and notices are
// taken along where that is possible: a run is not lost to them.
// `config_json`: what stands in place of the folder's, for a reward model made of its language model, whose score.weight is new; "": nothing.
ModelFiles read_model_files(const std::filesystem::path& source, const ParamTable& table, const std::string& config_json = "");

// Tokenizer and template files of `adapter`, in place of all of them, where it has a tokenizer.
void take_text_files(ModelFiles& files, const std::filesystem::path& adapter);

// Files of `source` that are not carried over, sorted; weights and hidden files aside.
std::vector<std::string> files_left_out(const std::filesystem::path& source);

bool has_weights(const std::filesystem::path& model_dir);
// The dtype that config.json names.
StoredDType config_dtype(const std::filesystem::path& model_dir);
// The key that names it: transformers 5's, or the one before.
const char* dtype_key(const Json& config);

}  // namespace cohort
