#!/usr/bin/env python3
"""What nvcc makes of each kernel: registers, spills, local and shared memory, tensor-core instructions.

usage: scripts/kernel_table.py [--write] [--build FOLDER] [--arch 80,90,100] [--only TEXT]

Compiles model/cuda/*.cu for real devices (in FOLDER, default build-kernels) as model/cuda/cuda.cmake does and compares the
result with the committed table model/cuda/kernels.tsv. A kernel that spills registers, or that is in one of the two only,
ends the process with 1; other numbers do so where the table was made by the same nvcc, and are told otherwise. --write
makes the table anew. Without nvcc it says so and ends with 0. `tensor`: the PTX has instructions of the tensor cores.
"""
import argparse
import concurrent.futures
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLE = ROOT / "model/cuda/kernels.tsv"
COLUMNS = ("kernel", "sm", "registers", "spilled", "stack", "shared", "tensor")
# Those of cuda.cmake that change what is made of a kernel.
FLAGS = ["-std=c++20", "-O3", "-DNDEBUG", "-fmad=false", "-lineinfo", "-DFMT_USE_CONSTEXPR=1", "-Xptxas=-v"]


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"kernel_table: {' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def readable(names):
    """Demangled, without the namespace, the return type and the parameters: "ordered_sum<4>"."""
    short = {}
    for mangled, name in zip(names, subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True,
                                                   check=True).stdout.splitlines()):
        name = re.sub(r"^void ", "", name).replace("cohort::cuda::kernels::", "").replace("cohort::cuda::", "").replace("(anonymous namespace)::", "")
        depth = 0
        for at, letter in enumerate(name):  # the parameters begin at the first bracket outside of template arguments
            depth += (letter == "<") - (letter == ">")
            if letter == "(" and depth == 0 and not name[at:].startswith("(bool)"):
                name = name[:at]
                break
        short[mangled] = name
    return short


def kernels_of(source, sm, folder):
    """Rows of one file for one architecture."""
    place = folder / f"{source.stem}.sm_{sm}"
    place.mkdir(parents=True, exist_ok=True)
    said = run("nvcc", "-cubin", f"-arch=sm_{sm}", *FLAGS, f"-I{ROOT}", str(source), "--keep", "--keep-dir", str(place), "-o",
               str(place / "kernels.cubin"))
    rows = {}
    found = re.findall(r"Compiling entry function '(\S+)' for.*\n.*\n\s*(\d+) bytes stack frame, (\d+) bytes spill stores, "
                       r"(\d+) bytes spill loads\n.*?Used (\d+) registers(.*)", said)
    for name, stack, stores, loads, registers, rest in found:
        shared = re.search(r"(\d+) bytes smem", rest)
        rows[name] = [sm, registers, str(int(stores) + int(loads)), stack, shared.group(1) if shared else "0"]
    tensor, name = set(), ""
    for line in (place / f"{source.stem}.ptx").read_text().splitlines():
        if function := re.match(r".*\.entry (\w+)", line):
            name = function.group(1)
        elif re.search(r"\b(mma\.sync|wgmma|tcgen05)\b", line):
            tensor.add(name)
    names = readable(list(rows))
    return [[f"{source.stem}: {names[n]}", *row, "yes" if n in tensor else "no"] for n, row in rows.items()]


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--write", action="store_true", help="write the table instead of comparing with it")
    options.add_argument("--build", default="build-kernels", help="folder for what is compiled")
    options.add_argument("--arch", default="80,90,100", help="architectures")
    options.add_argument("--only", default="", help="only files whose name holds this; for a look, not with --write")
    chosen = options.parse_args()
    if shutil.which("nvcc") is None:
        print("kernel_table: there is no nvcc: nothing compared")
        return 0
    folder = ROOT / chosen.build
    compiler = re.search(r"release [\d.]+, (V[\d.]+)", run("nvcc", "--version")).group(1)
    sources = [s for s in sorted((ROOT / "model/cuda").glob("*.cu")) if chosen.only in s.name]
    jobs = [(s, sm, folder) for s in sources for sm in chosen.arch.split(",")]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        rows = sorted(row for some in pool.map(lambda job: kernels_of(*job), jobs) for row in some)
    spilled = [row for row in rows if row[3] != "0"]
    for row in spilled:
        print(f"kernel_table: {row[0]} spills {row[3]} bytes of registers on sm_{row[1]}")
    text = f"# nvcc {compiler}; scripts/kernel_table.py --write\n" + "".join(
        "\t".join(row) + "\n" for row in [list(COLUMNS), *rows])
    if chosen.write:
        TABLE.write_text(text)
        print(f"kernel_table: {len(rows)} rows written")
        return 1 if spilled else 0

    lines = TABLE.read_text().splitlines()
    same_compiler = compiler in lines[0]
    committed = {tuple(line.split("\t")[:2]): line.split("\t")[2:] for line in lines[2:]}
    stems = {s.stem for s in sources}
    committed = {k: v for k, v in committed.items()
                 if k[1] in chosen.arch.split(",") and (k[0].split(":")[0] in stems or not chosen.only)}
    made = {(row[0], row[1]): row[2:] for row in rows}
    missing = sorted(set(committed) ^ set(made))
    for kernel, sm in missing:
        print(f"kernel_table: {kernel} on sm_{sm} is only in {'the table' if (kernel, sm) in committed else 'the code'}")
    other = [key for key in sorted(set(committed) & set(made)) if committed[key] != made[key]]
    for key in other:
        told = ", ".join(f"{c} {was} -> {now}" for c, was, now in zip(COLUMNS[2:], committed[key], made[key]) if was != now)
        print(f"kernel_table: {key[0]} on sm_{key[1]}: {told}")
    if not same_compiler:
        print(f"kernel_table: the table is of another nvcc ({lines[0][2:]}), this is {compiler}: only spills and names count")
    failed = bool(spilled or missing or (other and same_compiler))
    print(f"kernel_table: {len(rows)} rows compared, {len(missing) + len(other)} differ" +
          ("; scripts/kernel_table.py --write takes them" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
