// The statements of a template: if, for, set, macro and the text between them.
#include "model/text/jinja_parser.h"

#include <algorithm>
#include <utility>

#include "core/check.h"

namespace cohort::jinja {

void TokenStream::error(const std::string& what) const {
  fail(ExitCode::kInput, "{}:{}: {}", where_, peek().line, what);
}

void TokenStream::error_found(const std::string& what) const {
  switch (peek().kind) {
    case Token::Kind::kBlockEnd:
    case Token::Kind::kOutputEnd:
      error(what + ", found the end of the tag");
    case Token::Kind::kEnd:
      error(what + ", found the end of the template");
    default:
      error(fmt::format("{}, found '{}'", what, peek().text));
  }
}

std::string TokenStream::expect_name(std::string_view what) {
  if (!is(Token::Kind::kName)) error_found(fmt::format("expected {}", what));
  return next().text;
}

void TokenStream::expect_operator(std::string_view text) {
  if (!accept_operator(text)) error_found(fmt::format("expected '{}'", text));
}

void TokenStream::expect(Token::Kind kind, std::string_view what) {
  if (!is(kind)) error_found(fmt::format("expected {}", what));
  next();
}

namespace {

class TemplateParser {
 public:
  explicit TemplateParser(TokenStream tokens) : tokens_(std::move(tokens)) {}

  Block run() {
    Block block = body({}, 0);
    if (!tokens_.is(Token::Kind::kEnd)) tokens_.error("unexpected end of a block");
    return block;
  }

 private:
  // Statements up to a tag named in `ends` (its name is left as the next token) or the end of the
  // template.
  Block body(std::initializer_list<std::string_view> ends, int opened_on) {
    if (++depth_ > kMaxBlockDepth)
      tokens_.error(fmt::format("blocks are nested deeper than {}", kMaxBlockDepth));
    Block block;
    for (;;) {
      const int line = tokens_.peek().line;
      if (tokens_.is(Token::Kind::kEnd)) {
        if (ends.size() > 0)
          tokens_.error(fmt::format("the block opened on line {} has no end '{{% {} %}}'",
                                    opened_on, *(ends.end() - 1)));
        break;
      }
      if (tokens_.is(Token::Kind::kText)) {
        block.push_back(
            {.kind = Statement::Kind::kText, .line = line, .text = tokens_.next().text});
      } else if (tokens_.is(Token::Kind::kOutputBegin)) {
        tokens_.next();
        block.push_back(
            {.kind = Statement::Kind::kOutput, .line = line, .expr = parse_expression(tokens_)});
        tokens_.expect(Token::Kind::kOutputEnd, "'}}'");
      } else {
        tokens_.expect(Token::Kind::kBlockBegin, "a tag");
        if (std::any_of(ends.begin(), ends.end(), [&](auto end) { return tokens_.is_name(end); }))
          break;
        block.push_back(statement());
      }
    }
    --depth_;
    return block;
  }

  void end_tag() { tokens_.expect(Token::Kind::kBlockEnd, "'%}'"); }

  Statement statement() {
    const int line = tokens_.peek().line;
    const std::string name = tokens_.expect_name("a tag's name");
    if (name == "if") return if_statement(line);
    if (name == "for") return for_statement(line);
    if (name == "set") return set_statement(line);
    if (name == "generation") return generation(line);
    if (name == "macro") return macro(line);
    if (name == "break" || name == "continue") return jump(name, line);
    for (std::string_view closing :
         {"elif", "else", "endif", "endfor", "endset", "endgeneration", "endmacro"})
      if (name == closing)
        tokens_.error(fmt::format("'{}' without a block that it could belong to", name));
    tokens_.error(
        fmt::format("the tag '{}' is not supported; supported are if, for, set, macro, break, "
                    "continue, generation",
                    name));
  }

  Statement if_statement(int line) {
    Statement statement{.kind = Statement::Kind::kIf, .line = line};
    bool has_else = false;
    for (;;) {
      ExprPtr condition = has_else ? nullptr : parse_expression(tokens_);
      end_tag();
      Block block = has_else ? body({"endif"}, line) : body({"elif", "else", "endif"}, line);
      statement.branches.push_back({std::move(condition), std::move(block)});
      const std::string end = tokens_.next().text;
      if (end == "endif") break;
      has_else = end == "else";
    }
    end_tag();
    return statement;
  }

  Statement for_statement(int line) {
    Statement statement{.kind = Statement::Kind::kFor, .line = line};
    do {
      statement.names.push_back(tokens_.expect_name("a loop variable"));
      if (statement.names.back() == "loop") tokens_.error("the name 'loop' is taken");
    } while (tokens_.accept_operator(","));
    if (!tokens_.accept_name("in")) tokens_.error_found("expected 'in'");
    // `x for x in a if b` reads "a if b" as the filter of the loop, so the parser stops before
    // 'if'.
    statement.expr = parse_loop_source(tokens_);
    if (tokens_.accept_name("if")) statement.filter = parse_expression(tokens_);
    if (tokens_.is_name("recursive")) tokens_.error("'recursive' loops are not supported");
    end_tag();
    ++loops_;
    statement.branches.push_back({nullptr, body({"else", "endfor"}, line)});
    --loops_;
    if (tokens_.next().text == "else") {
      end_tag();
      statement.branches.push_back({nullptr, body({"endfor"}, line)});
      tokens_.next();
    }
    end_tag();
    return statement;
  }

  Statement set_statement(int line) {
    Statement statement{.kind = Statement::Kind::kSet, .line = line};
    statement.names.push_back(tokens_.expect_name("a variable's name"));
    if (tokens_.accept_operator(".")) {
      statement.kind = Statement::Kind::kSetField;
      statement.names.push_back(tokens_.expect_name("an attribute's name"));
      if (statement.names.back().starts_with('_'))
        tokens_.error(fmt::format("the attribute '{}' of a namespace is not supported",
                                  statement.names.back()));
    } else {
      while (tokens_.accept_operator(","))
        statement.names.push_back(tokens_.expect_name("a variable's name"));
    }
    if (tokens_.accept_operator("=")) {
      statement.expr = parse_expressions(tokens_);
      end_tag();
      return statement;
    }
    if (tokens_.is_operator("|")) tokens_.error("filters of a 'set' block are not supported");
    if (statement.names.size() > 1) tokens_.error_found("expected '='");
    statement.kind = Statement::Kind::kSetBlock;
    end_tag();
    statement.branches.push_back({nullptr, body({"endset"}, line)});
    tokens_.next();
    end_tag();
    return statement;
  }

  Statement generation(int line) {
    Statement statement{.kind = Statement::Kind::kGroup, .line = line};
    end_tag();
    statement.branches.push_back({nullptr, function_body("endgeneration", line)});
    return statement;
  }

  Statement macro(int line) {
    Statement statement{.kind = Statement::Kind::kMacro, .line = line};
    statement.names.push_back(tokens_.expect_name("a macro's name"));
    tokens_.expect_operator("(");
    while (!tokens_.is_operator(")")) {
      statement.names.push_back(tokens_.expect_name("a parameter's name"));
      const bool has_default = tokens_.accept_operator("=");
      if (!has_default && !statement.defaults.empty() && statement.defaults.back())
        tokens_.error("a parameter without a default behind one with a default");
      statement.defaults.push_back(has_default ? parse_expression(tokens_) : nullptr);
      if (!tokens_.accept_operator(",")) break;
    }
    tokens_.expect_operator(")");
    for (std::string_view special : {"caller", "varargs", "kwargs"})
      if (std::find(statement.names.begin() + 1, statement.names.end(), special) !=
          statement.names.end())
        tokens_.error(fmt::format("'{}' as a parameter is not supported", special));
    end_tag();
    statement.branches.push_back({nullptr, function_body("endmacro", line)});
    return statement;
  }

  // In Jinja these bodies are functions: no loop around them is theirs to leave.
  Block function_body(std::string_view end, int line) {
    const int loops = std::exchange(loops_, 0);
    Block block = body({end}, line);
    loops_ = loops;
    tokens_.next();
    end_tag();
    return block;
  }

  Statement jump(const std::string& name, int line) {
    if (loops_ == 0) tokens_.error(fmt::format("'{}' outside of a loop", name));
    end_tag();
    return {.kind = name == "break" ? Statement::Kind::kBreak : Statement::Kind::kContinue,
            .line = line};
  }

  TokenStream tokens_;
  int depth_ = 0, loops_ = 0;
};

}  // namespace

Block parse_template(std::string_view source, std::string_view where) {
  return TemplateParser(TokenStream(tokenize(source, where), where)).run();
}

}  // namespace cohort::jinja
