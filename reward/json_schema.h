// The part of JSON Schema (draft 2020-12) that the reward `json` knows.
#pragma once

#include "core/json.h"

namespace cohort {

