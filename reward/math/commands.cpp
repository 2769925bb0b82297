#include "reward/math/commands.h"

#include <algorithm>
#include <vector>

namespace cohort::math {
namespace {

using enum Tok;

std::vector<Meaning> sorted(std::vector<Meaning> table) {
  std::ranges::sort(table, {}, &Meaning::text);
  return table;
}

const Meaning* find(const std::vector<Meaning>& table, std::string_view text) {
  const auto it = std::ranges::lower_bound(table, text, {}, &Meaning::text);
  return it != table.end() && it->text == text ? &*it : nullptr;
}

constexpr std::string_view kFunctions[] = {
    "sin",    "cos",    "tan",    "cot",    "sec",    "csc",    "sinh",   "cosh", "tanh",  "coth", "arcsin", "arccos",
    "arctan", "arccot", "arcsec", "arccsc", "arsinh", "arcosh", "artanh", "ln",   "log",   "lg",   "exp",    "max",
    "min",    "gcd",    "lcm",    "sqrt",   "det",    "arsinh", "cbrt",   "sgn",  "floor", "ceil", "abs"};
constexpr std::string_view kGreek[] = {
    "alpha",  "beta",   "gamma", "delta", "epsilon",  "varepsilon", "zeta",  "eta",    "theta",   "iota",
    "kappa",  "lambda", "mu",    "nu",    "xi",       "rho",        "sigma", "tau",    "upsilon", "phi",
    "varphi", "chi",    "psi",   "omega", "Gamma",    "Delta",      "Theta", "Lambda", "Xi",      "Pi",
    "Sigma",  "Phi",    "Psi",   "Omega", "vartheta", "ell",        "hbar"};
constexpr std::string_view kSkipped[] = {",",           ";",
                                         ":",           "!",
                                         " ",           "quad",
                                         "qquad",       "left",
                                         "right",       "big",
                                         "Big",         "bigg",
                                         "Bigg",        "bigl",
                                         "bigr",        "Bigl",
                                         "Bigr",        "biggl",
                                         "biggr",       "Biggl",
                                         "Biggr",       "displaystyle",
                                         "limits",      "textstyle",
                                         "scriptstyle", "nolimits",
                                         "mathbf",      "boldsymbol",
                                         "mathit",      "mathsf",
                                         "mathcal",     "bm",
                                         "thinspace",   "hline",
                                         "middle",      "enspace",
                                         "space",       ">",
                                         "boxed",       "fbox",
                                         "ensuremath",  "nobreak",
                                         "/",           "mathop",
                                         "mathstrut",   "(",
                                         ")",           "bf",
                                         "it",          "rm",
                                         "mathord",     "mathnormal",
                                         "underline",   "tiny",
                                         "small",       "normalsize",
                                         "large",       "Large",
                                         "LARGE",       "huge",
                                         "Huge"};

std::vector<Meaning> make_commands() {
  std::vector<Meaning> table = {
      {"frac", Use::kToken, kFrac},
      {"dfrac", Use::kToken, kFrac},
      {"tfrac", Use::kToken, kFrac},
      {"cfrac", Use::kToken, kFrac},
      {"binom", Use::kToken, kBinom},
      {"dbinom", Use::kToken, kBinom},
      {"tbinom", Use::kToken, kBinom},
      {"cdot", Use::kToken, kTimes},
      {"times", Use::kToken, kTimes},
      {"ast", Use::kToken, kTimes},
      {"div", Use::kToken, kDivide},
      {"colon", Use::kToken, kColon},
      {"pm", Use::kToken, kPlusMinus, "+"},
      {"mp", Use::kToken, kPlusMinus, "-"},
      {"le", Use::kToken, kRelation, "["},
      {"leq", Use::kToken, kRelation, "["},
      {"leqslant", Use::kToken, kRelation, "["},
      {"leqq", Use::kToken, kRelation, "["},
      {"ge", Use::kToken, kRelation, "]"},
      {"geq", Use::kToken, kRelation, "]"},
      {"geqslant", Use::kToken, kRelation, "]"},
      {"geqq", Use::kToken, kRelation, "]"},
      {"lt", Use::kToken, kRelation, "<"},
      {"gt", Use::kToken, kRelation, ">"},
      {"ne", Use::kToken, kRelation, "#"},
      {"neq", Use::kToken, kRelation, "#"},
      {"approx", Use::kToken, kRelation, "~"},
      {"simeq", Use::kToken, kRelation, "~"},
      {"sim", Use::kToken, kRelation, "~"},
      {"approxeq", Use::kToken, kRelation, "~"},
      {"doteq", Use::kToken, kRelation, "~"},
      {"equiv", Use::kToken, kRelation, "m"},
      {"in", Use::kToken, kRelation, "e"},
      {"to", Use::kToken, kArrow},
      {"rightarrow", Use::kToken, kArrow},
      {"Rightarrow", Use::kToken, kArrow},
      {"implies", Use::kToken, kArrow},
      {"longrightarrow", Use::kToken, kArrow},
      {"Longrightarrow", Use::kToken, kArrow},
      {"cup", Use::kToken, kUnion},
      {"bigcup", Use::kToken, kUnion},
      {"cap", Use::kToken, kIntersection},
      {"setminus", Use::kToken, kDifference},
      {"backslash", Use::kToken, kDifference},
      {"smallsetminus", Use::kToken, kDifference},
      {"infty", Use::kToken, kConstant, "inf"},
      {"pi", Use::kToken, kConstant, "pi"},
      {"circ", Use::kToken, kDegree},
      {"degree", Use::kToken, kDegree},
      {"prime", Use::kToken, kPrime},
      {"%", Use::kToken, kPercent},
      {"$", Use::kToken, kCurrency, "dollar"},
      {"pounds", Use::kToken, kCurrency, "pound"},
      {"textdollar", Use::kToken, kCurrency, "dollar"},
      {"euro", Use::kToken, kCurrency, "euro"},
      {"emptyset", Use::kToken, kSet, "empty"},
      {"varnothing", Use::kToken, kSet, "empty"},
      {"ldots", Use::kToken, kDots},
      {"dots", Use::kToken, kDots},
      {"cdots", Use::kToken, kDots},
      {"dotsc", Use::kToken, kDots},
      {"{", Use::kToken, kOpen, "{"},
      {"}", Use::kToken, kClose, "}"},
      {"lbrace", Use::kToken, kOpen, "{"},
      {"rbrace", Use::kToken, kClose, "}"},
      {"langle", Use::kToken, kOpen, "<"},
      {"rangle", Use::kToken, kClose, ">"},
      {"lbrack", Use::kToken, kOpen, "["},
      {"rbrack", Use::kToken, kClose, "]"},
      {"lfloor", Use::kToken, kOpen, "f"},
      {"rfloor", Use::kToken, kClose, "f"},
      {"lceil", Use::kToken, kOpen, "c"},
      {"rceil", Use::kToken, kClose, "c"},
      {"vert", Use::kToken, kBar},
      {"lvert", Use::kToken, kBar},
      {"rvert", Use::kToken, kBar},
      {"mid", Use::kToken, kBar},
      {"|", Use::kToken, kBar},
      {"Vert", Use::kToken, kBar},
      {"\\", Use::kToken, kRow},
      {"cr", Use::kToken, kRow},
      {"newline", Use::kToken, kRow},
      {"land", Use::kToken, kAnd},
      {"wedge", Use::kToken, kAnd},
      {"lor", Use::kToken, kOr},
      {"vee", Use::kToken, kOr},
      {"overline", Use::kToken, kDecoration, "overline"},
      {"bar", Use::kToken, kDecoration, "overline"},
      {"vec", Use::kToken, kDecoration, "vec"},
      {"overrightarrow", Use::kToken, kDecoration, "vec"},
      {"hat", Use::kToken, kDecoration, "hat"},
      {"widehat", Use::kToken, kDecoration, "hat"},
      {"tilde", Use::kToken, kDecoration, "tilde"},
      {"dot", Use::kToken, kDecoration, "dot"},
      {"angle", Use::kToken, kDecoration, "angle"},
      {"triangle", Use::kToken, kDecoration, "triangle"},
      {"bmod", Use::kToken, kMod},
      {"pmod", Use::kToken, kMod},
      {"mod", Use::kToken, kMod},
      {"text", Use::kText},
      {"textrm", Use::kText},
      {"textbf", Use::kText},
      {"textit", Use::kText},
      {"texttt", Use::kText},
      {"textsf", Use::kText},
      {"mbox", Use::kText},
      {"hbox", Use::kText},
      {"emph", Use::kText},
      {"textnormal", Use::kText},
      {"mathrm", Use::kUpright},
      {"operatorname", Use::kUpright},
      {"mathbb", Use::kUpright},
      {"mathds", Use::kUpright},
      {"hspace", Use::kSkipGroup},
      {"phantom", Use::kSkipGroup},
      {"tag", Use::kSkipGroup},
      {"label", Use::kSkipGroup},
      {"color", Use::kSkipGroup},
      {"textcolor", Use::kSkipGroup},
      {"vspace", Use::kSkipGroup},
      {"begin", Use::kToken, kBegin},
      {"end", Use::kToken, kEndEnvironment},
  };
  for (const std::string_view name : kFunctions) table.push_back({name, Use::kToken, kFunction, name});
  for (const std::string_view name : kGreek) table.push_back({name, Use::kToken, kSymbol, name});
  for (const std::string_view name : kSkipped) table.push_back({name, Use::kSkip});
  return sorted(std::move(table));
}

std::vector<Meaning> make_words() {
  std::vector<Meaning> table = {
      {"pi", Use::kToken, kConstant, "pi"},
      {"inf", Use::kToken, kConstant, "inf"},
      {"infinity", Use::kToken, kConstant, "inf"},
      {"Infinity", Use::kToken, kConstant, "inf"},
      {"oo", Use::kToken, kConstant, "inf"},
      {"or", Use::kToken, kOr},
      {"and", Use::kToken, kAnd},
      {"union", Use::kToken, kUnion},
      {"in", Use::kToken, kRelation, "e"},
      {"mod", Use::kToken, kMod},
      {"asin", Use::kToken, kFunction, "arcsin"},
      {"acos", Use::kToken, kFunction, "arccos"},
      {"atan", Use::kToken, kFunction, "arctan"},
      {"acot", Use::kToken, kFunction, "arccot"},
      {"asec", Use::kToken, kFunction, "arcsec"},
      {"acsc", Use::kToken, kFunction, "arccsc"},
      {"asinh", Use::kToken, kFunction, "arsinh"},
      {"acosh", Use::kToken, kFunction, "arcosh"},
      {"atanh", Use::kToken, kFunction, "artanh"},
      {"degrees", Use::kToken, kDegree},
      {"degree", Use::kToken, kDegree},
      {"deg", Use::kToken, kDegree},
      {"percent", Use::kToken, kPercent},
      {"binom", Use::kToken, kBinom},
  };
  for (const std::string_view name : kFunctions)
    if (name != "max" && name != "min" && name != "det") table.push_back({name, Use::kToken, kFunction, name});
  table.push_back({"max", Use::kToken, kFunction, "max"});
  for (const std::string_view name : kGreek)
    if (name.size() > 2 && name != "ell" && name != "hbar") table.push_back({name, Use::kToken, kSymbol, name});
  return sorted(std::move(table));
}

std::vector<Meaning> make_signs() {
  std::vector<Meaning> table = {
      {"\u2212", Use::kToken, kMinus},
      {"\u2013", Use::kToken, kMinus},
      {"\u00D7", Use::kToken, kTimes},
      {"\u00B7", Use::kToken, kTimes},
      {"\u22C5", Use::kToken, kTimes},
      {"\u2219", Use::kToken, kTimes},
      {"\u00F7", Use::kToken, kDivide},
      {"\u2215", Use::kToken, kDivide},
      {"\u2044", Use::kToken, kDivide},
      {"\u221A", Use::kToken, kFunction, "sqrt"},
      {"\u221B", Use::kToken, kFunction, "cbrt"},
      {"\u03C0", Use::kToken, kConstant, "pi"},
      {"\u221E", Use::kToken, kConstant, "inf"},
      {"\u2264", Use::kToken, kRelation, "["},
      {"\u2A7D", Use::kToken, kRelation, "["},
      {"\u2265", Use::kToken, kRelation, "]"},
      {"\u2A7E", Use::kToken, kRelation, "]"},
      {"\u2260", Use::kToken, kRelation, "#"},
      {"\u2248", Use::kToken, kRelation, "~"},
      {"\u2208", Use::kToken, kRelation, "e"},
      {"\u2261", Use::kToken, kRelation, "m"},
      {"\u00B1", Use::kToken, kPlusMinus, "+"},
      {"\u2213", Use::kToken, kPlusMinus, "-"},
      {"\u00B0", Use::kToken, kDegree},
      {"\u00BA", Use::kToken, kDegree},
      {"\u2032", Use::kToken, kPrime},
      {"\u2033", Use::kToken, kPrime},
      {"\u222A", Use::kToken, kUnion},
      {"\u2229", Use::kToken, kIntersection},
      {"\u2216", Use::kToken, kDifference},
      {"\u2205", Use::kToken, kSet, "empty"},
      {"\u211D", Use::kToken, kSet, "R"},
      {"\u2124", Use::kToken, kSet, "Z"},
      {"\u2115", Use::kToken, kSet, "N"},
      {"\u211A", Use::kToken, kSet, "Q"},
      {"\u2102", Use::kToken, kSet, "C"},
      {"\u2026", Use::kToken, kDots},
      {"\u22EF", Use::kToken, kDots},
      {"\u2192", Use::kToken, kArrow},
      {"\u21D2", Use::kToken, kArrow},
      {"\u27F9", Use::kToken, kArrow},
      {"\u27E8", Use::kToken, kOpen, "<"},
      {"\u27E9", Use::kToken, kClose, ">"},
      {"\u230A", Use::kToken, kOpen, "f"},
      {"\u230B", Use::kToken, kClose, "f"},
      {"\u2308", Use::kToken, kOpen, "c"},
      {"\u2309", Use::kToken, kClose, "c"},
      {"\u2227", Use::kToken, kAnd},
      {"\u2228", Use::kToken, kOr},
      {"\u20AC", Use::kToken, kCurrency, "euro"},
      {"\u00A3", Use::kToken, kCurrency, "pound"},
      {"\u00A5", Use::kToken, kCurrency, "yen"},
      {"\u00A2", Use::kToken, kCurrency, "cent"},
      {"\u20B9", Use::kToken, kCurrency, "rupee"},
      {"\u03B8", Use::kToken, kSymbol, "theta"},
      {"\u03B1", Use::kToken, kSymbol, "alpha"},
      {"\u03B2", Use::kToken, kSymbol, "beta"},
      {"\u03B3", Use::kToken, kSymbol, "gamma"},
      {"\u03BB", Use::kToken, kSymbol, "lambda"},
      {"\u03BC", Use::kToken, kSymbol, "mu"},
      {"\u03C9", Use::kToken, kSymbol, "omega"},
      {"\u03C6", Use::kToken, kSymbol, "phi"},
      {"\u00A0", Use::kSkip},
      {"\u2009", Use::kSkip},
      {"\u202F", Use::kSkip},
      {"\u200B", Use::kSkip},
      {"\u2002", Use::kSkip},
      {"\u2003", Use::kSkip},
      {"\u2061", Use::kSkip},
      {"\u2062", Use::kSkip},
      {"\uFEFF", Use::kSkip},
  };
  return sorted(std::move(table));
}

}  // namespace

const Meaning* find_command(std::string_view name) {
  static const std::vector<Meaning> kTable = make_commands();
  return find(kTable, name);
}

const Meaning* find_word(std::string_view word) {
  static const std::vector<Meaning> kTable = make_words();
  return find(kTable, word);
}

const Meaning* find_sign(std::string_view text) {
  static const std::vector<Meaning> kTable = make_signs();
  for (const size_t length : {3, 2})
    if (text.size() >= length)
      if (const Meaning* meaning = find(kTable, text.substr(0, length))) return meaning;
  return nullptr;
}

}  // namespace cohort::math
