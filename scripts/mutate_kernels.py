#!/usr/bin/env python3
"""Deletes the barriers, waits and events of the GPU code one at a time and says which deletions no test notices.

usage: scripts/mutate_kernels.py [--build FOLDER] [--only TEXT] [--list]

Each mutant is the working tree's model/cuda with one call of MUTATED removed, built over the emulator in the plain and
the ThreadSanitizer flavour (in FOLDER, default build-mutants) and given the emulated tests. It is noticed when it does not
compile, a test fails, hangs or a race is reported. The process ends with 1 when something survived that is not named in
EXPECTED_SURVIVORS. The working tree itself is not touched.
"""
import argparse
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MUTATED = re.compile(
    r"__syncthreads\(\);|__syncwarp\([^;]*\);|__threadfence\(\);|ptx::copy_async_wait<\d+>\(\);|ptx::copy_async_commit\(\);"
    r"|(?:check_status\()?cudaStreamWaitEvent\([^;]*;|(?:check_status\()?cudaEventRecord\([^;]*;"
    r"|(?:check_status\()?cudaStreamSynchronize\([^;]*;|(?:check_status\()?cudaEventSynchronize\([^;]*;")
# "file: line's text": why no test can notice that it is gone.
EXPECTED_SURVIVORS = {}
FLAVOURS = ("plain", "tsan")
TEST_SECONDS = 300


def mutants():
    """(path from the root, offset, length, line number, text) of every call that can be removed."""
    for path in sorted((ROOT / "model/cuda").rglob("*.cu*")):
        source = path.read_text()
        if path.parent.name == "platform" and path.name == "ptx.cuh":
            continue  # the instructions themselves
        for match in MUTATED.finditer(source):
            line = source.count("\n", 0, match.start()) + 1
            yield path.relative_to(ROOT), match.start(), len(match.group()), line, match.group()


def run(command, seconds=None, **options):
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=seconds, **options)
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


def how_noticed(build):
    """How the tests of a built mutant fail, by flavour; "" when they pass."""
    for flavour in FLAVOURS:
        code, text = run(["cmake", "--build", str(build), "--target", f"test_emulated_{flavour}", "-j2"])
        if code != 0:
            return f"{flavour}: does not build"
        code, text = run([str(build / f"tests/emulated/test_emulated_{flavour}"), "--gtest_filter=Gpu*:DeviceLanguage*",
                          "--gtest_brief=1"], TEST_SECONDS, env={"PATH": "/usr/bin:/bin", "TSAN_OPTIONS": "halt_on_error=1"})
        if code != 0:
            race = re.search(r"SUMMARY: ThreadSanitizer: (.*)", text)
            failed = re.search(r"\[  FAILED  \] (\S+)", text)
            return f"{flavour}: " + (race.group(1) if race else failed.group(1) if failed else f"ended with {code}")
    return ""


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--build", default="build-mutants", help="folder for the copy and its build")
    options.add_argument("--only", default="", help="only mutants whose file or text holds this")
    options.add_argument("--list", action="store_true", help="print the mutants and do nothing")
    chosen = options.parse_args()
    found = [m for m in mutants() if chosen.only in str(m[0]) or chosen.only in m[4]]
    if chosen.list:
        for path, _, _, line, text in found:
            print(f"{path}:{line}: {text}")
        return 0

    folder = (ROOT / chosen.build).resolve()
    source, build = folder / "source", folder / "build"
    source.mkdir(parents=True, exist_ok=True)
    (folder / ".gitignore").write_text("*\n")
    copy_tree(source)
    code, text = run(["cmake", "-S", str(source), "-B", str(build), "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
                      "-DCOHORT_EMULATED_SANITIZERS=ON"])
    if code != 0:
        print(text, file=sys.stderr)
        return 2
    unchanged = how_noticed(build)
    if unchanged:
        print(f"the unchanged code fails already: {unchanged}", file=sys.stderr)
        return 2

    survivors = 0
    for path, offset, length, line, text in found:
        original = (source / path).read_text()
        (source / path).write_text(original[:offset] + ";" + original[offset + length:])
        noticed = how_noticed(build)
        (source / path).write_text(original)
        reason = EXPECTED_SURVIVORS.get(f"{path}: {text}", "")
        survivors += not noticed and not reason
        print(f"{path}:{line}: {text} -> {noticed or 'NOT NOTICED' + (': ' + reason if reason else '')}", flush=True)
    print(f"{len(found)} deletions, {survivors} survived without a reason")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
