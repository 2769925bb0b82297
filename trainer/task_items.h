// What the built-in tasks are made of: problems before they are prompts, and how many of them there may be.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "core/check.h"
#include "core/json.h"
#include "core/rng.h"
#include "trainer/dataset.h"

namespace cohort {

// A problem of a task before it has become a prompt.
struct Item {
  std::string id, prompt, answer;
  std::string solution = "";  // "": the answer alone
  Json columns = Json::object();  // beside "answer"
};
struct Items {
  std::vector<Item> train, eval;
};

template <typename T>
void shuffle(std::vector<T>& items, Random& random) {
  for (size_t i = items.size(); i > 1; --i)
    std::swap(items[i - 1], items[random.below(static_cast<uint32_t>(i))]);
}

// Never empty sides: evaluation gets at most half of what there is, training the rest.
inline int64_t checked_eval_size(const TaskConfig& task, int64_t standard, int64_t all) {
  const int64_t size = task.eval_size == 0 ? standard : task.eval_size;
  CHECK_USAGE(size <= all / 2,
              "data.task.eval_size is {}; task '{}' has at most {} problems for evaluation", size,
              task.name, all / 2);
  return size;
}
inline int64_t checked_train_size(const TaskConfig& task, int64_t standard, int64_t left, int64_t eval_size) {
  const int64_t size = task.train_size == 0 ? std::min(standard, left) : task.train_size;
  CHECK_USAGE(size <= left,
              "data.task.train_size is {}; task '{}' has at most {} problems for training beside "
              "{} for evaluation",
              size, task.name, left, eval_size);
  return size;
}

Items countdown(const TaskConfig& task);
Items countdown_attempts(const TaskConfig& task);

}  // namespace cohort
