// A group of scored completions as JSON, for checkpoints: read again bit for bit.
#pragma once

#include <filesystem>
#include <string>

#include "core/json.h"
#include "model/text/tokenizer.h"
#include "trainer/dataset.h"
#include "trainer/packs.h"

namespace cohort {

constexpr int64_t kNoVersion = -1;  // of a policy: none that trains ever has it

// What sampling and scoring have made: neither advantages nor the rows of a tape.
Json group_json(const Group& group);
// Its prompt is the problem's in `data`; the completions are of kNoVersion.
Group group_of_json(const Json& json, const Dataset& data, const Tokenizer& tokenizer);

// Writes folder/name; returns what the manifest says of it.
Json write_checkpoint_json(const std::filesystem::path& folder, const char* name, const Json& content);
// Reads it again. Exit code 3, naming the file, when it is missing, broken, or not as `record` (what writing returned) says.
Json read_checkpoint_json(const std::filesystem::path& folder, const char* name, const Json& record);

}  // namespace cohort
