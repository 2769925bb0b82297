// What the tests of `cohort import` share.
#pragma once

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "model/formats/gguf.h"
#include "tests/formats/gguf_builder.h"
#include "tests/formats/refused.h"

namespace cohort {

// A test that imports x.gguf of its folder into the folder out.
class ImportTest : public FolderTest {
 protected:
  std::filesystem::path out() const { return folder / "out"; }
  void import(const GgufBuilder& gguf) { import_gguf(put("x.gguf", gguf.image()), out()); }
  // Refused with the words, and the folder holds nothing but the GGUF file, whatever had been
  // written by then.
  void expect_import_refused(const GgufBuilder& gguf,
                             std::initializer_list<std::string_view> words) {
    expect_refused([&] { import(gguf); }, {"x.gguf: "});
    expect_refused([&] { import(gguf); }, words);
    expect_only({"x.gguf"});
  }
  void expect_only(const std::set<std::string>& names, const std::string& where = "") const {
    std::set<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(folder / where))
      found.insert(entry.path().filename().string());
    EXPECT_EQ(found, names);
  }
};

}  // namespace cohort
