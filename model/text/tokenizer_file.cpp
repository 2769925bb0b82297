// A reader of JSON events that files away model.vocab and model.merges and builds the rest as a
// tree.
#include "model/text/tokenizer_file.h"

#include "core/check.h"

namespace cohort {
namespace {

constexpr size_t kMaxDepth = 64;
constexpr size_t kMaxMembers =
    4096;  // of an object outside the vocabulary; they are searched one by one

class Reader : public nlohmann::json_sax<nlohmann::json> {
 public:
  Reader(TokenizerFile& file, std::string_view where) : file_(file), where_(where) {}

  bool null() override { return value(nullptr); }
  bool boolean(bool b) override { return value(b); }
  bool number_float(double number, const std::string&) override { return value(number); }
  bool binary(binary_t&) override { return refuse("binary data"); }
  bool number_integer(int64_t number) override {
    if (place_ == Place::kVocab) return vocab_entry(number);
    return value(number);
  }
  bool number_unsigned(uint64_t number) override {
    if (place_ == Place::kVocab)
      return vocab_entry(number < uint64_t{1} << 62 ? static_cast<int64_t>(number) : -1);
    return value(number);
  }
  bool string(std::string& text) override {
    if (place_ == Place::kMerges) return merge_line(text);
    if (place_ == Place::kMergePair) {
      pair_.push_back(std::move(text));
      return true;
    }
    return value(std::move(text));
  }
  bool key(std::string& name) override {
    if (place_ == Place::kVocab) {
      vocab_key_ = std::move(name);
      return true;
    }
    CHECK_INPUT(!stack_.back()->contains(name), "{}: key '{}' stands twice", where_, name);
    CHECK_INPUT(stack_.back()->size() < kMaxMembers, "{}: an object has more than {} members",
                where_, kMaxMembers);
    key_ = std::move(name);
    return true;
  }
  bool start_object(size_t) override {
    if (place_ != Place::kTree) return refuse("an object");
    if (in_model() && key_ == "vocab") {
      place_ = Place::kVocab;
      return value_of(nullptr);
    }
    return open(Json::object());
  }
  bool end_object() override {
    if (place_ == Place::kVocab)
      place_ = Place::kTree;
    else
      stack_.pop_back();
    return true;
  }
  bool start_array(size_t) override {
    if (place_ == Place::kMerges) {
      place_ = Place::kMergePair;
      pair_.clear();
      return true;
    }
    if (place_ != Place::kTree) return refuse("an array");
    if (in_model() && key_ == "merges") {
      place_ = Place::kMerges;
      return value_of(Json::array());
    }
    return open(Json::array());
  }
  bool end_array() override {
    if (place_ == Place::kMergePair) {
      CHECK_INPUT(pair_.size() == 2, "{}: model.merges[{}] has {} parts; a merge has 2", where_,
                  file_.merges.size(), pair_.size());
      file_.merges.emplace_back(std::move(pair_[0]), std::move(pair_[1]));
      place_ = Place::kMerges;
    } else if (place_ == Place::kMerges) {
      place_ = Place::kTree;
    } else {
      stack_.pop_back();
    }
    return true;
  }
  bool parse_error(size_t byte, const std::string&,
                   const nlohmann::detail::exception& error) override {
    fail(ExitCode::kInput, "{}: not valid JSON at byte {}: {}", where_, byte, error.what());
  }

 private:
  enum class Place { kTree, kVocab, kMerges, kMergePair };

  bool in_model() const { return stack_.size() == 2 && stack_[1] == model_; }

  bool refuse(std::string_view what) {
    fail(ExitCode::kInput, "{}: {} inside {}; allowed are {}", where_, what,
         place_ == Place::kVocab ? "model.vocab" : "model.merges",
         place_ == Place::kVocab ? "token: id pairs"
                                 : "\"left right\" strings or [left, right] pairs");
  }
  bool vocab_entry(int64_t id) {
    file_.vocab.emplace_back(std::move(vocab_key_), id);
    return true;
  }
  bool merge_line(const std::string& line) {
    const size_t space = line.find(' ');
    CHECK_INPUT(space != std::string::npos && space > 0 && space + 1 < line.size() &&
                    line.find(' ', space + 1) == line.npos,
                "{}: model.merges[{}] is '{}'; allowed is 'left right'", where_,
                file_.merges.size(), line);
    file_.merges.emplace_back(line.substr(0, space), line.substr(space + 1));
    return true;
  }
  template <typename Value>
  bool value(Value&& value) {
    if (place_ != Place::kTree) return refuse("another kind of value");
    return value_of(std::forward<Value>(value));
  }
  template <typename Value>
  bool value_of(Value&& value) {
    place_value(Json(std::forward<Value>(value)));
    return true;
  }
  Json* place_value(Json value) {
    if (stack_.empty()) return &(file_.rest = std::move(value));
    Json& parent = *stack_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return &parent.back();
    }
    return &(parent[key_] = std::move(value));
  }
  bool open(Json container) {
    CHECK_INPUT(stack_.size() < kMaxDepth, "{}: nested deeper than {} levels", where_, kMaxDepth);
    const bool is_model = stack_.size() == 1 && stack_[0]->is_object() && key_ == "model";
    // A pointer into a parent stays good: nothing is added to the parent while its child is open.
    stack_.push_back(place_value(std::move(container)));
    if (is_model) model_ = stack_.back();
    return true;
  }

  TokenizerFile& file_;
  std::string_view where_;
  Place place_ = Place::kTree;
  std::vector<Json*> stack_;
  const Json* model_ = nullptr;
  std::string key_, vocab_key_;
  std::vector<std::string> pair_;
};

}  // namespace

TokenizerFile read_tokenizer_file(std::string_view tokenizer_json, std::string_view where) {
  TokenizerFile file;
  Reader reader(file, where);
  nlohmann::json::sax_parse(tokenizer_json.begin(), tokenizer_json.end(), &reader);
  CHECK_INPUT(file.rest.is_object(), "{}: a tokenizer.json is an object; found {}", where,
              file.rest.type_name());
  return file;
}

}  // namespace cohort
