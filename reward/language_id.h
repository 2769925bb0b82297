// Which language is a word of? By CLD2 (the Compact Language Detector 2), which compares the letters four by four, or those of Chinese and
// Japanese two by two, with tables of each language.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "reward/prose.h"

namespace cohort {

// The languages that can be told, as ISO 639-1 names them. Norwegian is one (no), and Chinese in either writing is zh.
const std::vector<std::string>& known_languages();

// The language of each word, or "" where nothing tells it. CLD2 is asked for each sentence by itself, and in it for each run of words of one
// script, since it takes a few words of another language for a slip; no language is expected beforehand. Words in a sentence too short to
// tell are of the language of the words before them in their script, or else of those behind.
std::vector<std::string_view> languages_of(std::string_view prose, const std::vector<Word>& words);

}  // namespace cohort
