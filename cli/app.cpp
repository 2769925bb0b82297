#include "cli/app.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <filesystem>
#include <limits>
#include <type_traits>

#include "core/check.h"
#include "core/text.h"
#include "core/yaml.h"

namespace cohort {
namespace {

// CLI::IsMember describes itself as "{auto,float32,bfloat16}"; other checks have other forms.
std::vector<std::string> listed_words(const CLI::Option& option) {
  const std::string text = option.get_type_name();
  const size_t open = text.find('{'), close = text.rfind('}');
  std::vector<std::string> words;
  if (open == std::string::npos || close == std::string::npos || close < open) return words;
  for (size_t at = open + 1; at < close;) {
    const size_t end = std::min(text.find(',', at), close);
    words.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return words;
}

OptionInfo option_info(const CLI::Option& option) {
  OptionInfo info{.argument = option.get_positional(),
                  .takes_value = option.get_items_expected_max() > 0,
                  .required = option.get_required(),
                  .repeated = option.get_items_expected_max() > 1,
                  .help = option.get_description(),
                  .standard = option.get_default_str(),
                  .words = listed_words(option)};
  if (info.argument) {
    info.names.push_back(option.get_name(true));
  } else {
    for (const std::string& name : option.get_snames()) info.names.push_back("-" + name);
    for (const std::string& name : option.get_lnames()) info.names.push_back("--" + name);
  }
  return info;
}

constexpr const char* kNumber = "number";  // the validator that an option has whose value is one

template <class Value>
struct NumberIn {
  using type = Value;
};
template <class Value>
struct NumberIn<std::optional<Value>> {
  using type = Value;
};

std::string shown(double number) { return fmt::format("{:.10g}", number); }
template <class Integer>
  requires std::is_integral_v<Integer>
std::string shown(Integer number) {
  return fmt::to_string(number);
}

// A number of the whole text, decimal; nothing where it does not fit. nan is in no range.
template <class Number>
CLI::Validator number_in(Number least, Number most) {
  constexpr bool kWhole = std::is_integral_v<Number>;
  using Limits = std::numeric_limits<Number>;
  const bool upwards = most == Limits::max(), any = upwards && least == Limits::lowest();
  const auto check = [=](std::string& text) -> std::string {
    Number number{};
    const char* end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data(), end, number);
    if (error == std::errc() && stopped == end && number >= least && number <= most) {
      if constexpr (kWhole) text = shown(number);  // CLI11 takes 010 for eight
      return "";
    }
    const char* kind = kWhole ? "a whole number" : "a number";
    if (any && !kWhole) return fmt::format("found '{}'; allowed is a finite number", excerpt(text));
    return fmt::format("found '{}'; allowed is {} from {} to {}", excerpt(text), kind, shown(least), shown(most));
  };
  return {check, any ? "" : upwards ? fmt::format("{} or more", shown(least)) : fmt::format("{} to {}", shown(least), shown(most)), kNumber};
}

// Of the first argument that is missing, where it is one of few words.
std::string allowed_words(const CLI::App& app) {
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_required() || option->count() > 0) continue;
    const std::vector<std::string> words = listed_words(*option);
    return words.empty() ? "" : fmt::format("; allowed: {}", fmt::join(words, ", "));
  }
  return "";
}

// What stands where the command has no such option: a key of the config with dashes, or a slip of the keyboard.
std::string meant_by(const std::vector<std::string>& args, const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  for (auto arg = args.rbegin(); arg != args.rend(); ++arg) {
    const std::string name = arg->substr(0, arg->find('='));
    if (!name.starts_with("--") || std::ranges::find(names, name) != names.end()) continue;
    if (name.find('.') != std::string::npos && app.get_option_no_throw("section.key=value") != nullptr)
      return fmt::format("; a key of the config stands without dashes: {}=VALUE", name.substr(2));
    const std::string nearest = nearest_name(name, names);
    return nearest.empty() ? "" : fmt::format("; did you mean '{}'?", nearest);
  }
  return "";
}

}  // namespace

Option Option::required() { return Option(option_->required()); }
Option Option::show_default() { return Option(option_->capture_default_str()); }
Option Option::type_name(const std::string& name) { return Option(option_->type_name(name)); }
Option Option::one_of(std::vector<std::string> words) { return Option(option_->check(CLI::IsMember(std::move(words)))); }
Option Option::existing_directory() { return Option(option_->check(CLI::ExistingDirectory)); }
Option Option::values(int least, int most) { return Option(option_->expected(least, most)); }
Option Option::one_value() { return Option(option_->allow_extra_args(false)); }
Option Option::excludes(Option other) { return Option(option_->excludes(other.option_)); }
bool Option::given() const { return option_->count() > 0; }

template <class Number>
Option Option::range(Number least, Number most) {
  *option_->get_validator(kNumber) = number_in(least, most);
  return *this;
}
template Option Option::range(int, int);
template Option Option::range(int64_t, int64_t);
template Option Option::range(double, double);

App::App(const std::string& summary, const std::string& name) : app_(std::make_unique<CLI::App>(summary, name)) {}
App::~App() = default;

template <class Value>
Option App::add_option(const std::string& name, Value& value, const std::string& help) {
  CLI::Option* option = app_->add_option(name, value, help);
  using Number = NumberIn<Value>::type;
  if constexpr (std::is_arithmetic_v<Number>) {
    option->transform(number_in(std::numeric_limits<Number>::lowest(), std::numeric_limits<Number>::max()));
    numbers_.push_back(option);
  }
  return Option(option);
}
template Option App::add_option(const std::string&, std::string&, const std::string&);
template Option App::add_option(const std::string&, std::vector<std::string>&, const std::string&);
template Option App::add_option(const std::string&, std::optional<std::string>&, const std::string&);
template Option App::add_option(const std::string&, std::filesystem::path&, const std::string&);
template Option App::add_option(const std::string&, int&, const std::string&);
template Option App::add_option(const std::string&, int64_t&, const std::string&);
template Option App::add_option(const std::string&, uint64_t&, const std::string&);
template Option App::add_option(const std::string&, float&, const std::string&);
template Option App::add_option(const std::string&, double&, const std::string&);
template Option App::add_option(const std::string&, std::optional<double>&, const std::string&);

Option App::add_flag(const std::string& name, bool& value, const std::string& help) { return Option(app_->add_flag(name, value, help)); }

Option App::option(const std::string& name) const { return Option(app_->get_option(name)); }
void App::footer(const std::string& text) { app_->footer(text); }
std::string App::footer() const { return app_->get_footer(); }

std::optional<std::string> App::parse(std::vector<std::string> args) {
  std::reverse(args.begin(), args.end());  // the order CLI11 wants
  try {
    app_->parse(std::vector<std::string>(args));
  } catch (const CLI::CallForHelp&) {
    return app_->help();
  } catch (const CLI::RequiredError& e) {
    fail(ExitCode::kUsage, "{}{}; see `{} --help`", e.what(), allowed_words(*app_), app_->get_name());
  } catch (const CLI::ExtrasError& e) {
    fail(ExitCode::kUsage, "{}{}; see `{} --help`", e.what(), meant_by(args, *app_), app_->get_name());
  } catch (const CLI::ParseError& e) {
    fail(ExitCode::kUsage, "{}; see `{} --help`", e.what(), app_->get_name());
  }
  return std::nullopt;
}

std::vector<OptionInfo> App::options() const {
  std::vector<OptionInfo> infos;
  for (const CLI::Option* option : app_->get_options()) {
    infos.push_back(option_info(*option));
    infos.back().number = std::ranges::find(numbers_, option) != numbers_.end();
  }
  return infos;
}

}  // namespace cohort
