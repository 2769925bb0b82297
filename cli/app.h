// A command's options. app.cpp alone knows the library that parses them, CLI11: it is header-only, and compiling it takes seconds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace cohort {

// What completion and the man page say of an option.
struct OptionInfo {
  std::vector<std::string> names;   // "--dtype"; of an argument "CONFIG"
  bool argument = false;            // by its place on the line, not by a name
  bool takes_value = false;         // an option that does not is a flag
  bool required = false, repeated = false;
  bool number = false;
  std::string help, standard;       // standard: the value without it, "" where there is none
  std::vector<std::string> words;   // the values that are allowed, where they are listed
};

// One option of an App, which owns it. The functions refine it and return it again.
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}
  Option required();
  Option show_default();  // the help shows the value that the variable has now
  Option type_name(const std::string& name);  // what the help calls the value
  Option one_of(std::vector<std::string> words);
  template <class Number>  // int, int64_t or double; of an option whose value is a number
  Option range(Number least, Number most);
  Option existing_directory();
  Option values(int least, int most);  // how many may follow
  Option one_value();  // a list that takes one value each time that the option is given
  Option excludes(Option other);
  bool given() const;

 private:
  CLI::Option* option_;
};

class App {
 public:
  App(const std::string& summary, const std::string& name);
  ~App();
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  // `name`: "--dtype", or of an argument "CONFIG". `value` outlives parse(); it is a string, a list of them, a path, an integer, a float, a
  // double, or std::optional of a string or a double (app.cpp lists them). A number must be one as a whole, finite, and in the range that
  // is allowed, at first that of its type: CLI11 alone would take nan, and what is too large as the largest that fits.
  template <class Value>
  Option add_option(const std::string& name, Value& value, const std::string& help);
  Option add_flag(const std::string& name, bool& value, const std::string& help);
  Option option(const std::string& name) const;  // one that was added
  void footer(const std::string& text);

  // Returns the help where it is asked for. Exit code 2 for a command line that is wrong.
  std::optional<std::string> parse(std::vector<std::string> args);

  std::vector<OptionInfo> options() const;
  std::string footer() const;

 private:
  std::unique_ptr<CLI::App> app_;
  std::vector<const CLI::Option*> numbers_;
};

}  // namespace cohort
