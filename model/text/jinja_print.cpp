#include "model/text/jinja_print.h"

#include <algorithm>
#include <cmath>

#include "core/text.h"
#include "model/text/jinja_guards.h"
#include "model/text/jinja_strings.h"

namespace cohort::jinja {
namespace {

// repr(float): the shortest digits that read back, always with a point or an exponent.
std::string real_text(double x, const char* infinity, const char* nan) {
  if (std::isnan(x)) return nan;
  if (std::isinf(x)) return std::string(x < 0 ? "-" : "") + infinity;
  std::string text = fmt::format("{}", x);
  if (text.find_first_of(".e") == text.npos) text += ".0";
  return text;
}

class Printer {
 public:
  explicit Printer(Meter& meter) : meter_(meter) {}
  std::string out;

  void write(const Value& value) {
    meter_.charge();
    meter_.check_size(out.size());
    if (const std::string* text = value.as_text()) {
      meter_.charge(text->size() * 16);
      out += quote(*text);
    } else if (const Dict* dict = value.as_dict()) {
      out += '{';
      for (const auto& [key, item] : dict->items) {
        if (&item != &dict->items.front().second) out += ", ";
        meter_.charge(key.size() * 16);
        out += quote(key) + ": ";
        write(item);
      }
      out += '}';
    } else if (const List* list = value.as_list()) {
      write_list(value, *list);
    } else if (value.is_undefined()) {
      out += "Undefined";
    } else {
      out += to_text(value, meter_);
    }
  }

 private:
  void write_list(const Value& value, const List& list) {
    const bool tuple = list.kind == ListKind::tuple;
    if (!tuple && list.kind != ListKind::list)
      meter_.error("printing a {} is not supported; make it a list first", value.type_name());
    out += tuple ? '(' : '[';
    for (size_t i = 0; i < list.items.size(); ++i) {
      if (i > 0) out += ", ";
      write(list.items[i]);
    }
    if (tuple && list.items.size() == 1) out += ',';
    out += tuple ? ')' : ']';
  }

  Meter& meter_;
};

void write_json_text(std::string_view text, bool ensure_ascii, std::string& out) {
  out.push_back('"');
  for (size_t at = 0; at < text.size();) {
    const char c = text[at];
    constexpr std::string_view kEscaped = "\"\\\n\r\t\b\f", kLetters = "\"\\nrtbf";
    const auto byte = static_cast<unsigned char>(c);
    if (const size_t known = kEscaped.find(c); known != kEscaped.npos) {
      out.push_back('\\');
      out.push_back(kLetters[known]);
      ++at;
    } else if (byte < 0x20 || (ensure_ascii && byte == 0x7F)) {
      append_escape(out, 'u', byte, 4);
      ++at;
    } else if (!ensure_ascii || byte < 0x80 || c == kGuard) {
      out.push_back(c);
      ++at;
    } else {
      const auto code = static_cast<uint32_t>(next_code_point(text, at));
      if (code >= 0x10000) append_escape(out, 'u', 0xD800 + ((code - 0x10000) >> 10), 4);
      append_escape(out, 'u', code < 0x10000 ? code : 0xDC00 + ((code - 0x10000) & 0x3FF), 4);
    }
  }
  out.push_back('"');
}

class JsonWriter {
 public:
  JsonWriter(const JsonStyle& style, Meter& meter) : style_(style), meter_(meter) {}
  std::string out;

  void write(const Value& value, int level) {
    meter_.charge();
    meter_.check_size(out.size());
    if (value.is_none()) {
      out += "null";
    } else if (const bool* b = value.as_bool()) {
      out += *b ? "true" : "false";
    } else if (const int64_t* n = value.as_integer()) {
      out += std::to_string(*n);
    } else if (const double* x = value.as_real()) {
      out += real_text(*x, "Infinity", "NaN");
    } else if (const std::string* text = value.as_text()) {
      write_text(*text);
    } else if (const List* list = value.as_list();
               list && (list->kind == ListKind::list || list->kind == ListKind::tuple)) {
      brackets('[', ']', list->items, level, [&](const Value& item) { write(item, level + 1); });
    } else if (const Dict* dict = value.as_dict()) {
      write_dict(*dict, level);
    } else {
      meter_.error("tojson of {} is not supported", value.type_name());
    }
  }

 private:
  void write_text(const std::string& text) {
    meter_.charge(text.size() * (style_.ensure_ascii ? 8 : 2));
    write_json_text(text, style_.ensure_ascii, out);
  }
  void write_dict(const Dict& dict, int level) {
    std::vector<const std::pair<std::string, Value>*> items;
    for (const auto& item : dict.items) items.push_back(&item);
    if (style_.sort_keys) {
      meter_.charge(items.size() * 64 * 16);
      std::sort(items.begin(), items.end(), [](auto a, auto b) { return compare_texts(a->first, b->first) < 0; });
    }
    brackets('{', '}', items, level, [&](const auto* item) {
      write_text(item->first);
      out += style_.key_separator;
      write(item->second, level + 1);
    });
  }
  template <typename Items, typename Write>
  void brackets(char open, char close, const Items& items, int level, Write write_item) {
    out.push_back(open);
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out += style_.item_separator;
      new_line(level + 1);
      write_item(items[i]);
    }
    if (!items.empty()) new_line(level);
    out.push_back(close);
  }
  void new_line(int level) {
    if (!style_.indent) return;
    out.push_back('\n');
    meter_.charge(static_cast<size_t>(*style_.indent * level));
    out.append(static_cast<size_t>(*style_.indent * level), ' ');
  }

  const JsonStyle& style_;
  Meter& meter_;
};

}  // namespace

std::string to_text(const Value& value, Meter& meter) {
  if (const std::string* text = value.as_text()) return *text;
  if (value.is_undefined()) return "";
  if (value.is_none()) return "None";
  if (const bool* b = value.as_bool()) return *b ? "True" : "False";
  if (const int64_t* n = value.as_integer()) return std::to_string(*n);
  if (const double* x = value.as_real()) return real_text(*x, "inf", "nan");
  if (!value.as_list() && !value.as_dict())
    meter.error("printing a {} is not supported", value.type_name());
  Printer printer(meter);
  printer.write(value);
  meter.check_size(printer.out.size());
  return std::move(printer.out);
}

std::string to_json(const Value& value, const JsonStyle& style, Meter& meter) {
  JsonWriter writer(style, meter);
  writer.write(value, 0);
  meter.check_size(writer.out.size());
  return std::move(writer.out);
}

}  // namespace cohort::jinja
