#include "reward/math/expr.h"

namespace cohort::math {
namespace {

void write(const Expr& e, size_t limit, std::string& out);

void write_args(const Expr& e, const char* separator, size_t limit, std::string& out) {
  for (size_t i = 0; i < e.args.size() && out.size() <= limit; ++i) {
    if (i > 0) out += separator;
    write(e.args[i], limit, out);
  }
}

void write_number(const mpq_class& value, size_t limit, std::string& out) {
  if (mpz_sizeinbase(value.get_num_mpz_t(), 10) + mpz_sizeinbase(value.get_den_mpz_t(), 10) > limit)
    out += "(a number of many digits)";
  else
    out += value.get_str();
}

void write_relation(const Expr& e, size_t limit, std::string& out) {
  for (size_t i = 0; i < e.args.size() && out.size() <= limit; ++i) {
    if (i > 0) {
      const char c = e.name[i - 1];
      out += c == '#' ? " != " : c == '[' ? " <= " : c == ']' ? " >= " : c == 'e' ? " in " : std::string(" ") + c + " ";
    }
    write(e.args[i], limit, out);
  }
}

void write(const Expr& e, size_t limit, std::string& out) {
  if (out.size() > limit) return;
  switch (e.kind) {
    case Kind::kNumber:
      return write_number(e.value, limit, out);
    case Kind::kSymbol:
    case Kind::kConstant:
      out += e.name;
      return;
    case Kind::kText:
      out += '"' + e.name + '"';
      return;
    case Kind::kAdd:
      out += "(";
      write_args(e, " + ", limit, out);
      out += ")";
      return;
    case Kind::kMul:
      return write_args(e, "*", limit, out);
    case Kind::kPow:
      return write_args(e, "^", limit, out);
    case Kind::kRelation:
      return write_relation(e, limit, out);
    case Kind::kList:
      return write_args(e, ", ", limit, out);
    case Kind::kTuple:
      out += e.name.substr(0, 1);
      write_args(e, ", ", limit, out);
      out += e.name.substr(1);
      return;
    case Kind::kSet:
      out += "{";
      write_args(e, ", ", limit, out);
      out += "}";
      return;
    case Kind::kUnit:
      write_args(e, " ", limit, out);
      out += " " + e.name;
      return;
    case Kind::kPercent:
      write_args(e, " ", limit, out);
      out += "%";
      return;
    default:
      break;
  }
  static constexpr const char* kNames[] = {
      "",       "", "", "",     "", "",       "root", "",      "+-",           "",           "degrees", "minutes", "",
      "based ", "", "", "such", "", "matrix", "",     "union", "intersection", "difference", ""};
  out += kNames[static_cast<int>(e.kind)] + e.name + "(";
  write_args(e, ", ", limit, out);
  out += ")";
}

}  // namespace

Expr number(mpq_class value) {
  Expr e;
  e.value = std::move(value);
  return e;
}

Expr symbol(std::string name) {
  Expr e;
  e.kind = Kind::kSymbol;
  e.name = std::move(name);
  return e;
}

Expr node(Kind kind, std::vector<Expr> args, std::string name) {
  Expr e;
  e.kind = kind;
  e.args = std::move(args);
  e.name = std::move(name);
  return e;
}

Expr negated(Expr e) {
  if (e.is(Kind::kNumber)) {
    e.value = -e.value;
    return e;
  }
  if (e.is(Kind::kUnit) || e.is(Kind::kDegree) || e.is(Kind::kPercent)) {
    e.args[0] = negated(std::move(e.args[0]));
    return e;
  }
  std::vector<Expr> args;
  args.push_back(number(-1));
  args.push_back(std::move(e));
  return node(Kind::kMul, std::move(args));
}

bool same_tree(const Expr& a, const Expr& b) {
  if (a.kind != b.kind || a.args.size() != b.args.size() || a.name != b.name) return false;
  if ((a.kind == Kind::kNumber || a.kind == Kind::kBased) && a.value != b.value) return false;
  for (size_t i = 0; i < a.args.size(); ++i)
    if (!same_tree(a.args[i], b.args[i])) return false;
  return true;
}

bool contains(const Expr& e, Kind kind) {
  if (e.kind == kind) return true;
  for (const Expr& arg : e.args)
    if (contains(arg, kind)) return true;
  return false;
}

bool has_symbols(const Expr& e) { return contains(e, Kind::kSymbol); }

size_t count_nodes(const Expr& e) {
  size_t count = 1;
  for (const Expr& arg : e.args) count += count_nodes(arg);
  return count;
}

std::string spelled(const Expr& e) {
  if (!e.is(Kind::kMul) || !e.name.starts_with('"')) return "";
  return e.name.substr(1);
}

std::string to_text(const Expr& e, size_t limit) {
  std::string out;
  write(e, limit, out);
  if (out.size() > limit) out = out.substr(0, limit) + "...";
  return out;
}

}  // namespace cohort::math
