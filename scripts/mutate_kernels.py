#!/usr/bin/env python3
"""Deletes the barriers, waits and events of the GPU code one at a time and says which deletions no test notices.

usage: scripts/mutate_kernels.py [--build FOLDER] [--only TEXT] [--operators COUNT [--seed N]] [--part I/N] [--list]

Each mutant is the working tree with one call of MUTATED removed in the kernels, or of WAITS in the host code that queues
work, built over the emulator (in FOLDER, default build-mutants) and given the tests of its file (TESTS), in the plain flavour
and, where that does not notice, under ThreadSanitizer (kernels) or AddressSanitizer (host code). It is noticed when it does not compile, a test fails, hangs or a race
is reported. The process ends with 1 when something survived that is not named in EXPECTED_SURVIVORS. The working tree itself
is not touched.

--operators COUNT: instead, one operator of OPERATORS in a kernel is another one, at COUNT places of each file drawn with
--seed; flavours plain and AddressSanitizer. Some of these change nothing that can be seen: whoever reads the list judges.
--part I/N: only the I-th of N parts of the mutants, from 1, so that a long list can be worked off in pieces.
"""
import argparse
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import typing

ROOT = pathlib.Path(__file__).resolve().parent.parent
MUTATED = re.compile(
    r"__syncthreads\(\);|__syncwarp\([^;]*\);|__threadfence\(\);|ptx::copy_async_wait<\d+>\(\);|ptx::copy_async_commit\(\);"
    r"|(?:check_status\()?cudaStreamWaitEvent\([^;]*;|(?:check_status\()?cudaEventRecord\([^;]*;"
    r"|(?:check_status\()?cudaStreamSynchronize\([^;]*;|(?:check_status\()?cudaEventSynchronize\([^;]*;")
WAITS = re.compile(
    r"(?:check|check_status)\(cuda(?:StreamWaitEvent|EventRecord|StreamSynchronize|EventSynchronize)\([^;]*;|\(void\)cudaStreamSynchronize\([^;]*;"
    r"|\bsynchronize\(\);|gpu::synchronize\([^;]*;|\w+(?:\.|->)(?:start_after|finish_before|barrier)\([^;]*;|gpus_->wait\([^;]*;"
    r"|\bmark\([^;{]*;")
HOST_SOURCES = ["model/cuda/gpu.cpp", "model/cuda/gpu_draws.cpp", "model/cuda/pass_graphs.cpp", "model/cuda/matmul.cpp", "comm/nccl.cpp", "trainer/device_reduction.cpp",
                "trainer/gradient_sum.cpp", "trainer/optimizer.cpp"]
# Of which file: programs, and their tests that can notice. A file of kernels that is not named has tests of its own name.
OPS, RANKS, FAULTS, MODEL = "test_emulated_{}", "test_emulated_ranks_{}", "test_emulated_faults", "test_emulated_model_{}"
ATTENTION = "GpuAttention.*:GpuCachedAttention.*:GpuTensorAttention.*"
TESTS = {
    "attention": [(OPS, ATTENTION)],
    "attention_backward": [(OPS, "GpuAttention.*")],
    "attention_backward_f32": [(OPS, "GpuAttention.*")],
    "attention_backward_tensor": [(OPS, "GpuTensorAttention.*")],
    "attention_f32": [(OPS, "GpuAttention.*:GpuCachedAttention.*")],
    "attention_forward": [(OPS, ATTENTION)],
    "attention_mma": [(OPS, "GpuTensorAttention.*")],
    "attention_tensor": [(OPS, "GpuTensorAttention.*")],
    "attention_tiles": [(OPS, ATTENTION)],
    "find_non_finite": [(OPS, "GpuUpdate.*")],
    "reduce": [(OPS, "GpuNorm.*:GpuQkNorm.*:GpuUpdate.*:DeviceLanguage.*")],
    "row_parts": [(OPS, "GpuNorm.*:GpuQkNorm.*:GpuElementwise.*:GpuMatmul.*")],
    "head_stats": [(OPS, "GpuHead.*:GpuSample.*")],
    "head_sweep": [(OPS, "GpuHead.*:GpuSample.*")],
    "sample_cut": [(OPS, "GpuSample.*")],
    "sample_filter": [(OPS, "GpuSample.*")],
    "noise": [(OPS, "GpuSample.*")],
    "gpu": [(MODEL, "GpuMemory.*:GpuTransformer.*:GpuRun.*:GpuProgram.Generates*")],
    "gpu_draws": [(MODEL, "GpuMemory.*:GpuGenerator.*")],
    "pass_graphs": [(MODEL, "GpuPassGraphs.*")],
    # The first by itself: tests of several ranks start a thread that keeps work going.
    "nccl": [(RANKS, "*TheDeadlineOfACollective*"), (RANKS, "DeviceComm*:DeviceReduction*"), (FAULTS, "*")],
    "device_reduction": [(RANKS, "DeviceReduction*")],
    "gradient_sum": [(MODEL, "GpuRanks.*")],
    "optimizer": [(MODEL, "GpuOptimizer.*:GpuRanks.*")],
}
# "file: line's text": why no test can notice that it is gone.
EXPECTED_SURVIVORS = {}
OPERATORS = {" < ": " <= ", " <= ": " < ", " > ": " >= ", " >= ": " > ", " + ": " - ", " - ": " + ", " += ": " -= ", " * ": " + ",
             " / ": " * ", " % ": " / ", " == ": " != ", " != ": " == ", " && ": " || ", " || ": " && "}
NEVER = "if (false) "  # before what is removed: a warning about what is not used any more would be an error
TEST_SECONDS = 300
TEST_ENVIRONMENT = {"TSAN_OPTIONS": "halt_on_error=1", "ASAN_OPTIONS": "detect_leaks=0", "OMPI_ALLOW_RUN_AS_ROOT": "1",
                    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}


class Mutant(typing.NamedTuple):
    path: pathlib.Path  # from the root
    offset: int
    old: str
    new: str
    line: int
    text: str  # of the whole line

    def __str__(self):
        return f"{self.path}:{self.line}: " + (self.text if self.new.startswith(NEVER) else f"'{self.old.strip()}' -> '{self.new.strip()}' in {self.text}")


def sources():
    """(path from the root, text) of the kernels, without the file of the instructions themselves."""
    for path in sorted((ROOT / "model/cuda").rglob("*.cu*")):
        if path.name != "ptx.cuh":
            yield path.relative_to(ROOT), path.read_text()


def mutant(path, source, offset, old, new):
    line = source.count("\n", 0, offset) + 1
    return Mutant(path, offset, old, new, line, source.splitlines()[line - 1].strip())


def deletions():
    """Every call that can be removed."""
    for path, source in sources():
        for match in MUTATED.finditer(source):
            yield mutant(path, source, match.start(), match.group(), NEVER + match.group())
    for path in map(pathlib.Path, HOST_SOURCES):
        source = (ROOT / path).read_text()
        for match in WAITS.finditer(source):
            one = mutant(path, source, match.start(), match.group(), NEVER + match.group())
            if not one.text.startswith(("void ", "//")):
                yield one


def tests_of(path):
    name = "".join(part.capitalize() for part in path.stem.split("_"))
    return TESTS.get(path.stem, [(OPS, f"Gpu{name}.*")])


def other_operators(count, seed, only):
    """`count` operators of each file's kernels."""
    for path, source in sources():
        if only not in str(path):
            continue
        begin, end = source.find("namespace kernels {"), source.find("}  // namespace kernels")
        if begin < 0:
            begin, end = 0, len(source)
        found = []
        for match in re.finditer("|".join(re.escape(o) for o in OPERATORS), source[begin:end]):
            one = mutant(path, source, begin + match.start(), match.group(), OPERATORS[match.group()])
            before = source[source.rfind("\n", 0, one.offset) + 1:one.offset]
            if "//" not in before and not one.text.startswith(("#", "template", "static_assert", "//")):
                found.append(one)
        yield from random.Random(f"{seed} {path}").sample(found, min(count, len(found)))


through = []  # --through


def run(command, seconds=None, **options):
    try:
        done = subprocess.run(through + command, capture_output=True, text=True, errors="replace", timeout=seconds, **options)
        return done.returncode, done.stdout + done.stderr
    except subprocess.TimeoutExpired:
        return "timeout", ""


def copy_tree(to):
    """The tracked and new files of the working tree: the tests name their sources from the root."""
    names = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, text=True).splitlines()
    for name in names:
        if (ROOT / name).is_file():
            target = to / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists() or target.read_bytes() != (ROOT / name).read_bytes():
                shutil.copyfile(ROOT / name, target)


def how_noticed(build, flavour, path):
    """How the tests of what is in the tree fail in a flavour; "" when they pass. Programs of one flavour are of the plain one."""
    for program, tests in tests_of(path):
        name = program.format(flavour)
        if name == program and flavour != "plain":
            continue
        code, text = run(["cmake", "--build", str(build), "--target", name, "-j2"])
        if code != 0:
            return f"{name}: does not build"
        code, text = run([str(build / "tests/emulated" / name), f"--gtest_filter={tests}",
                          "--gtest_brief=1", "--gtest_fail_fast"], TEST_SECONDS, env={**os.environ, **TEST_ENVIRONMENT})
        if code == "timeout":
            return f"{name}: hangs"
        if code != 0:
            race = re.search(r"SUMMARY: \w+Sanitizer: (.*)|runtime error: (.*)", text)
            failed = re.search(r"\[  FAILED  \] (\S+)", text)
            return f"{name}: " + (race.group(0) if race else failed.group(1) if failed else f"ended with {code}")
    return ""


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--build", default="build-mutants", help="folder for the copy and its build")
    options.add_argument("--only", default="", help="only mutants whose file or text holds this")
    options.add_argument("--operators", type=int, default=0, help="mutants of this kind in each file, instead of deletions")
    options.add_argument("--seed", type=int, default=1, help="of --operators")
    options.add_argument("--through", default="", help="a command that each build and test is run by, as `nice -n 5`")
    options.add_argument("--part", default="1/1", help="I/N")
    options.add_argument("--list", action="store_true", help="print the mutants and do nothing")
    chosen = options.parse_args()
    through.extend(chosen.through.split())
    if chosen.operators > 0:
        found = list(other_operators(chosen.operators, chosen.seed, chosen.only))
    else:
        found = [m for m in deletions() if chosen.only in str(m.path) or chosen.only in m.text]
    part, parts = map(int, chosen.part.split("/"))
    found = found[part - 1::parts]
    if chosen.list:
        print(*found, sep="\n")
        return 0

    folder = (ROOT / chosen.build).resolve()
    source, build = folder / "source", folder / "source/build"  # as in the working tree: the compiler cache knows most of it
    os.environ.update(CCACHE_BASEDIR=str(source), CCACHE_NOHASHDIR="1")
    source.mkdir(parents=True, exist_ok=True)
    (folder / ".gitignore").write_text("*\n")
    copy_tree(source)
    code, text = run(["cmake", "-S", str(source), "-B", str(build), "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
                      "-DCOHORT_EMULATED_SANITIZERS=ON"])
    if code != 0:
        print(text, file=sys.stderr)
        return 2
    passed = set()  # tests and flavours, by the unchanged code: looked at when they are first needed

    def noticed_by(m):
        sanitizer = "asan" if chosen.operators > 0 or m.path.suffix == ".cpp" else "tsan"
        for flavour in ("plain", sanitizer):
            if (str(tests_of(m.path)), flavour) not in passed:
                if unchanged := how_noticed(build, flavour, m.path):
                    print(f"the unchanged code fails the tests of {m.path} already: {unchanged}", file=sys.stderr)
                    sys.exit(2)
                passed.add((str(tests_of(m.path)), flavour))
            original = (source / m.path).read_text()
            (source / m.path).write_text(original[:m.offset] + m.new + original[m.offset + len(m.old):])
            noticed = how_noticed(build, flavour, m.path)
            (source / m.path).write_text(original)
            if noticed:
                return noticed
        return ""

    survivors = 0
    for m in found:
        noticed, reason = noticed_by(m), EXPECTED_SURVIVORS.get(f"{m.path}: {m.text}", "")
        survivors += not noticed and not reason
        print(f"{m} -> {noticed or 'NOT NOTICED' + (': ' + reason if reason else '')}", flush=True)
    print(f"{len(found)} mutants, {survivors} survived without a reason")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
