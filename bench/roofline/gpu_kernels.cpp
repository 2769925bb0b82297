// Speeds of the GPU's ops as shares of what the device can do, and their results against the emulator's.
//
//   gpu_kernels --expect                      prints docs/gpu_roofline.md: needs no GPU
//   gpu_kernels [--shape NAME|FOLDER ...]     measures (qwen2.5-0.5b and llama-3.2-1b), prints a line of JSON an op
//     --markdown FILE  the same as tables     --repetitions N  of each op, 20      --seconds N  later ops are left out
//     --small          for the emulator: --shape tiny, each op once
//   gpu_kernels --results FILE                results of every op on the tiny shape, to FILE
//   gpu_kernels --compare FILE                the same against FILE's: exit code 1 where one differs
#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>

#include "bench/roofline/expect.h"
#include "bench/roofline/measure.h"
#include "bench/roofline/report.h"
#include "bench/roofline/results.h"
#include "core/check.h"
#include "core/files.h"

namespace cohort::roofline {
namespace {

struct Arguments {
  bool expect = false, small = false;
  std::vector<std::string> shapes;
  std::string markdown, results, compare;
  MeasureOptions measure;
};

int compare(const Arguments& arguments) {
  Meter meter({.repetitions = 1, .small = true});
  const Json got = results_of(find_shape("tiny"), meter.stream(), meter.strict());
  if (!arguments.results.empty()) {
    write_file_atomic(arguments.results, dump_json(got, 1) + "\n");
    return 0;
  }
  const std::vector<Difference> list = differences(got, parse_json(read_file(arguments.compare), arguments.compare));
  int failed = 0;
  for (const Difference& difference : list) {
    failed += difference.largest > 1 ? 1 : 0;
    fmt::print("{} {:.3f} of its tolerance: {}\n", difference.largest > 1 ? "DIFFERS" : "equal", difference.largest, difference.output);
  }
  fmt::print("{} outputs, {} differ\n", list.size(), failed);
  return failed > 0 ? 1 : 0;
}

int measure(const Arguments& arguments) {
  std::vector<Shape> shapes;
  for (const std::string& name : arguments.shapes) shapes.push_back(find_shape(name));
  Meter meter(arguments.measure);
  std::string markdown = limits_text(meter.limits());
  std::cout << dump_json(limits_json(meter.limits())) << std::endl;
  for (const Shape& shape : shapes) {
    const Report report = measure_shape(shape, meter, [](const Json& line) { std::cout << dump_json(line) << std::endl; });
    markdown += report.markdown;
  }
  if (!arguments.markdown.empty()) write_file_atomic(arguments.markdown, markdown);
  return 0;
}

int run(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("Speeds of the GPU's ops as shares of what the device can do");
  app.add_flag("--expect", arguments.expect);
  app.add_flag("--small", arguments.small);
  app.add_option("--shape", arguments.shapes);
  app.add_option("--markdown", arguments.markdown);
  app.add_option("--results", arguments.results);
  app.add_option("--compare", arguments.compare);
  app.add_option("--repetitions", arguments.measure.repetitions)->check(CLI::Range(1, 10000));
  app.add_option("--seconds", arguments.measure.seconds)->check(CLI::Range(0.0, 1e6));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(ExitCode::kUsage);
  }
  if (arguments.expect) {
    std::cout << roofline_page();
    return 0;
  }
  if (!arguments.results.empty() || !arguments.compare.empty()) return compare(arguments);
  arguments.measure.small = arguments.small;
  if (arguments.shapes.empty()) {
    if (arguments.small)
      arguments.shapes = {"tiny"};
    else
      arguments.shapes.assign(std::begin(kPublished), std::end(kPublished));
  }
  return measure(arguments);
}

}  // namespace
}  // namespace cohort::roofline

int main(int argc, char** argv) {
  try {
    return cohort::roofline::run(argc, argv);
  } catch (const cohort::Error& error) {
    std::fprintf(stderr, "gpu_kernels: error: %s\n", error.what());
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "gpu_kernels: error: %s\n", error.what());
    return 1;
  }
}
