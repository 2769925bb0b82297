// EXPECT_ERROR(statement, code, words): the statement throws Error with ExitCode::code and a message with the words in it.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "core/check.h"

#define EXPECT_ERROR(statement, expected_code, words)                                                       \
  try {                                                                                                     \
    static_cast<void>(statement);                                                                           \
    ADD_FAILURE() << #statement << " was accepted";                                                         \
  } catch (const ::cohort::Error& error) {                                                                  \
    EXPECT_EQ(error.code(), ::cohort::ExitCode::expected_code) << error.what();                             \
    EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << (words) << " in " << error.what(); \
  }
