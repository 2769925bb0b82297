// What the sandbox needs of the machine, whether it is there, and what to do where it is not.
#pragma once

#include <linux/filter.h>

#include <string>
#include <string_view>
#include <vector>

namespace cohort {

class WorkerGroup;

struct Means {
  std::string name;
  bool present = false;
  bool required = true;
  std::string found;   // what was found, or what the system answered
  std::string remedy;  // how to get it; "" where it is there
};

// Looks, in a worker: namespaces one by one, then a program in a whole sandbox that tries what it must not be able to
// do. `error`: why the worker itself is not fit, or "". `group`: the worker's, or null, and `group_found` says why.
std::vector<Means> examine_means(const std::vector<sock_filter>& filter, const std::string& error, const WorkerGroup* group,
                                 const std::string& group_found);

std::string encode(const std::vector<Means>& means);
std::vector<Means> decode_means(std::string_view text);  // throws (exit code 3) for other text

// A table for people, one line a means.
std::string means_table(const std::vector<Means>& means);

// Throws (exit code 2) naming each required means that is absent and its remedy. `who` needs them.
void require_means(const std::vector<Means>& means, std::string_view who);

}  // namespace cohort
