#!/usr/bin/env python3
"""Prints the arrays of model/text/jinja_case_table.h from the Unicode tables of the Python that runs it.

    python3 scripts/goldens/make_case_table.py            # Python 3.11 (Unicode 14) wrote the file
    python3 scripts/goldens/make_case_table.py --check    # exit code 1 when the file holds other numbers
"""

import argparse
import pathlib
import re
import sys
import unicodedata

FILE = pathlib.Path(__file__).parents[2] / "model/text/jinja_case_table.h"
CHARACTERS = [chr(i) for i in range(0x110000) if not 0xD800 <= i < 0xE000]


def text(characters):
    return 'U"' + "".join(f"\\x{ord(c):04X}" for c in characters) + '"'


def ranges(characters):
    found = []
    for point in map(ord, characters):
        if found and found[-1][1] == point - 1:
            found[-1][1] = point
        else:
            found.append([point, point])
    return [f"{{0x{first:X}, 0x{last:X}}}" for first, last in found]


def is_cased(c):
    return c.islower() or c.isupper() or c.istitle()


def is_ignorable(c):
    """A capital sigma is final where a cased letter stands before it; only what is ignorable may lie between."""
    return not is_cased(c) and ("a" + c + "\u03a3").lower().endswith("\u03c2")


def tables():
    category = unicodedata.category
    return {
        "kLongCases": [f"{{0x{ord(c):X}, {text(c.upper())}, {text(c.title())}}}" for c in CHARACTERS
                       if len(c.upper()) > 1 or len(c.title()) > 1],
        "kMoreCased": ranges(c for c in CHARACTERS if is_cased(c) and category(c) not in ("Lu", "Ll", "Lt")),
        "kMoreIgnorable": ranges(c for c in CHARACTERS
                                 if is_ignorable(c) and category(c) not in ("Mn", "Me", "Cf", "Lm", "Sk")),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    source = FILE.read_text()
    different = []
    for name, entries in tables().items():
        if not args.check:
            print(f"{name}:\n    " + ", ".join(entries))
            continue
        held = source[source.index(name + "[]"):]
        held = held[held.index("{") + 1:held.index("};")]
        if re.sub(r"\s", "", held).rstrip(",") != re.sub(r"\s", "", ",".join(entries)):
            different.append(name)
    if args.check:
        print("different: " + ", ".join(different) if different else f"as Unicode {unicodedata.unidata_version} has it")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
