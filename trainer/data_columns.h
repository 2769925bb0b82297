// data.columns: what our columns are called in a file of somebody else's: {prompt: question, answer: reward_model.ground_truth}.
#pragma once

#include <string>

#include "core/json.h"

namespace cohort {

// A map of our names to the file's; a name with dots goes into objects, where no column has that very name. Exit code 2, led by `where`,
// for a value that is no name.
void check_columns(const Json& columns, const std::string& where);

// The row with our names. A column that is renamed loses its old name, all others stay; what lies inside an object is copied out of it.
// Exit code 3, led by `where`, for a column that is not there, with those that are.
Json map_columns(Json row, const Json& columns, const std::string& where);

// For a row that lacks a column: "; its columns are question and answer: ...". Names the key that maps one, where a column has a name
// that data sets of problems often give it.
std::string columns_hint(const Json& row, const std::string& missing);

}  // namespace cohort
