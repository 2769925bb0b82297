// The tree of a parsed template.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/text/jinja_value.h"

namespace cohort::jinja {

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

// One expression. `text` and `parts` by kind:
struct Expr {
  enum class Kind {
    kConstant,     // value
    kName,         // text
    kList,         // parts: the items
    kTuple,        // parts: the items
    kDict,         // parts: key, value, key, value, ...
    kAttribute,    // parts[0].text
    kSubscript,    // parts[0][parts[1]]
    kSlice,        // parts[0][parts[1]:parts[2]:parts[3]]; an absent bound is null
    kCall,         // text(arguments): a function or macro
    kMethod,       // parts[0].text(arguments)
    kFilter,       // parts[0] | text(arguments)
    kTest,         // parts[0] is text(arguments)
    kNot,          // parts[0]
    kNegate,       // parts[0]
    kAnd,          // parts[0], parts[1]
    kOr,           // parts[0], parts[1]
    kConditional,  // parts[0] if parts[1] else parts[2]; the last may be null
    kBinary,       // parts[0] text parts[1]: + - * / // % ~
    kCompare,      // parts[0] operators[0] parts[1] operators[1] ...: == != < <= > >= in "not in"
  };
  Kind kind;
  int line;
  int depth = 1;  // of the tree below, bounded by the parser
  std::string text;
  Value value;
  std::vector<ExprPtr> parts;
  std::vector<ExprPtr> arguments;
  std::vector<std::string> names;  // of the arguments, "" for positional; the operators of kCompare
};

struct Statement;
using Block = std::vector<Statement>;

struct Branch {
  ExprPtr condition;  // null for else
  Block body;
};

struct Statement {
  enum class Kind {
    kText,      // text
    kOutput,    // expr
    kIf,        // branches
    kFor,       // for names in expr (if filter): branches[0]; else: branches[1]
    kSet,       // names[0] = expr; of several: names = the items of expr
    kSetField,  // names[0].names[1] = expr
    kSetBlock,  // names[0] = what branches[0] prints
    kGroup,     // branches[0]: {% generation %}, a mark for trainers that prints what is inside
    kMacro,     // names[0](names[1], ...): branches[0]; defaults[i] of names[i + 1], or null
    kBreak,
    kContinue,
  };
  Kind kind;
  int line;
  std::string text;
  std::vector<std::string> names;
  ExprPtr expr, filter;
  std::vector<ExprPtr> defaults;
  std::vector<Branch> branches;
};

}  // namespace cohort::jinja
