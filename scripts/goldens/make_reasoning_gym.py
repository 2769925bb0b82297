#!/usr/bin/env python3
"""Makes tests/golden/reasoning_gym: answers to reasoning-gym's tasks with the scores that its own Python gives them.

Needs a venv with reasoning-gym (0.1.25 made the files that are checked in). 200 cases for each task, made from right
answers (as they are, written otherwise, partly right, wrong) and from lists of malformed and hostile texts; those on which
docs/rewards.md says that cohort differs on purpose are in differences.jsonl, with both scores.

usage: make_reasoning_gym.py [OUT_DIR]
"""

import json
import pathlib
import random
import sys
import warnings

import reasoning_gym
from reasoning_gym.utils import extract_answer

CASES = 200
# What of an entry's metadata its scorer looks at.
METADATA = {
    "countdown": ["numbers", "target"],
    "chain_sum": [],
    "number_sorting": ["direction"],
    "word_sorting": ["sorted_words"],
    "spell_backward": [],
    "basic_arithmetic": [],
    "letter_counting": [],
}

MALFORMED = [
    None, "", " ", "\n", "\t \n", "?", "None", "null", "answer", "I do not know.", "<answer>", "</answer>", "\\boxed{5}",
    "nan", "inf", "-inf", "Infinity", "1e999999999", "1e9999999999999999999", "0x10", "()", "[]", "{}", "''", '""', ",", ",,,",
    "'", '"', "[", "]", "((((((((((", "\u0000", "\u00a0", "\u2003\u2003", "\u202e", "é", "日本語", "🙂", "\\", "%s", "a" * 2000,
    "9" * 400, "- 5", "+-5", "5-", "1 2", "1_0", "_1", "1__0", "٣", "१२", "１２", "𝟏𝟐", "5\u00a0", "\u20035", "5\u001f", "--5",
    "1,000", "1.000,5", "1e3", "1E+2", "5.", ".5", ".", "-0", "00", "007", "0.0", "-0.0",
]


def mixed(rng, text):
    """The text with one small fault."""
    if not text:
        return "x"
    at = rng.randrange(len(text))
    kind = rng.randrange(4)
    if kind == 0:
        return text[:at] + text[at + 1 :]
    if kind == 1:
        return text[:at] + rng.choice("0123456789abcxyz ,.-+*/()'") + text[at:]
    if kind == 2:
        return text[:at] + rng.choice("0123456789abcxyz ,.-+*/()'") + text[at + 1 :]
    return text[:at] + text[at : at + 2][::-1] + text[at + 2 :]


def wrapped(rng, text):
    """The text as models write it."""
    return rng.choice(["{}", " {}", "{}\n", "The answer is {}.", "{} ", "= {}", "**{}**", "${}$", "{}.", "Answer: {}", "({})",
                       "{0} {0}", "{} or 7", "so {}"]).format(text)


def countdown(rng, entry):
    numbers, target, right = entry["metadata"]["numbers"], entry["metadata"]["target"], entry["answer"]
    a, b = numbers[0], numbers[1]
    rest = numbers[2:]
    yield right
    yield right.replace(" ", "")
    yield "(" + right + ")"
    yield right.replace("+", " + ").replace("*", " * ")
    yield f"{right} = {target}"
    yield f"{right} == {target}"
    yield wrapped(rng, right)
    yield mixed(rng, right)
    yield " + ".join(map(str, numbers))
    yield " - ".join(map(str, numbers))
    yield " * ".join(map(str, numbers))
    yield " / ".join(map(str, numbers))
    yield str(target)
    yield f"{target} + 0*({' + '.join(map(str, numbers))})"
    yield f"{right} + 0"
    yield f"{a}//{b}" + "".join(f" + {n}" for n in rest)
    yield f"{a} % {b}" + "".join(f" + {n}" for n in rest)
    yield f"{a}**{b % 7}"
    yield f"{a}^{b}" + "".join(f" + {n}" for n in rest)
    yield f"({a} & {b}) | 5"
    yield f"{a % 30}!" + "".join(f" - {n}" for n in numbers[1:])
    yield f"{a % 9}!! + {b}"
    yield f"sqrt({a * a}) + {b}"
    yield f"sqrt({a}) * sqrt({a})"
    yield f"{a}/0 + {b}"
    yield f"({a} - {a})/({b} - {b})" + "".join(f" + {n}" for n in rest)
    yield f"{a}/({b} - {b})"
    yield f"{a} {b}"
    yield f"{a}({b})"
    yield f"({a})({b})"
    yield f"{a}, {b}"
    yield f"0{a} + {b}"
    yield f"{a}.5 + {b}"
    yield f"{a}. + {b}"
    yield f"{a}e2 + {b}"
    yield f"({right}"
    yield f"{right})"
    yield f"{right} +"
    yield f"* {right}"
    yield f"- - {right}"
    yield f"({a} +\n{b})"
    yield f"{a} +\n{b}"
    yield f"{a} × {b}"
    yield f"{a} − {b}"
    yield f"{a} ÷ {b}"
    yield f"x + {a}"
    yield f"{a} if {b}"
    yield f"{a} != {b}"
    yield f"{a} == {b} == {a}"
    yield f"{a} = {b}"
    yield f"{a}; {b}"
    yield f"{a} < {b}"
    yield f"{a}**-1 * {b}"
    yield f"{a}**(1/2) + {b}"
    yield f"(-{a})**(1/3)"
    yield f"2.5!  + {a}"
    yield f"(-{a})!"
    yield f"2**{a % 50}**1"
    yield f"-{a}**2 + {b}"


def chain_sum(rng, entry):
    right = entry["answer"]
    value = int(right)
    for text in (right, right + ".0", right + ".00", right + ".", "+" + right.lstrip("-"), "00" + right, f"{value:,}", f"{value:,}.00",
                 " " + right, right + "\n", f"{value}e0", f"{value * 10}e-1", f"{value / 10}e1", "_".join(right), right + "_"):
        yield text
    yield str(value + 1)
    yield str(-value)
    yield right + "0"
    yield right + ".5"
    yield f"{value:,}".replace(",", ", ")
    yield wrapped(rng, right)
    yield wrapped(rng, f"{value:,}")
    yield mixed(rng, right)
    yield f"{entry['metadata']['expression']} = {right}"
    yield f"\\boxed{{{right}}}"
    yield f"{right} {right}"
    yield right.translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"))
    yield "é" + right


def sorting(rng, entry):
    right = entry["answer"]
    values = entry["metadata"]["sorted_numbers"]
    floats = [float(v) for v in values]
    as_json = json.dumps(values)
    for text in (right, as_json, json.dumps(floats), right.replace("'", ""), ", ".join(values), right.replace(" ", ""), " " + right + "\n"):
        yield text
    yield json.dumps([f + 0.9 if i == len(floats) - 1 else f for i, f in enumerate(floats)])
    yield json.dumps([f + 1.0 for f in floats])
    yield json.dumps([f - 1.5 for f in floats])
    yield json.dumps(floats[::-1])
    yield json.dumps(floats[:-1])
    yield json.dumps(floats + [floats[-1]])
    yield json.dumps(rng.sample(floats, len(floats)))
    yield json.dumps([round(f) for f in floats])
    yield json.dumps([None] + floats[1:])
    yield json.dumps([True] + floats[1:])
    yield json.dumps([[f] for f in floats])
    yield json.dumps({"a": floats})
    yield json.dumps([f" {v} " for v in values])
    yield json.dumps([v + "e0" for v in values])
    yield json.dumps(["+" + v if v[0] != "-" else v for v in values])
    yield json.dumps(["inf"] * len(values))
    yield json.dumps(values)[:-1] + ", Infinity]"
    yield json.dumps(floats)[:-1] + "]]"
    yield json.dumps(floats)[:-1] + ",]"
    yield json.dumps(["9" * 400] + values[1:])
    yield "[" + "9" * 400 + "]"
    yield '["\\u0031"' + "".join(f", {f}" for f in floats[1:]) + "]"
    yield as_json.replace('"', "\\'")
    yield as_json.replace("-", "−")
    yield wrapped(rng, right)
    yield mixed(rng, right)
    yield mixed(rng, as_json)
    yield "[" * 50 + "]" * 50


def words(rng, entry):
    right = entry["metadata"]["sorted_words"]
    shuffled = rng.sample(right, len(right))
    for text in (", ".join(right), ",".join(right), " ,  ".join(right), "\n,\n".join(right), ", ".join(right) + ",", "," + ", ".join(right),
                 ", ".join(right[::-1]), ", ".join(shuffled), ", ".join(right[:-1]), ", ".join(right[:1]), ", ".join(right + ["more"]),
                 " ".join(right), "\n".join(right), ", ".join(right).lower(), ", ".join(right).upper(), str(right), json.dumps(right),
                 ", ".join(right[1:] + right[:1]), ", ".join([right[1], right[0]] + right[2:]), ", ".join(f"'{w}'" for w in right),
                 "\u00a0" + ",\u2003".join(right) + "\u00a0", "，".join(right), ", ".join(right) + ".", right[0] * 3):
        yield text
    yield wrapped(rng, ", ".join(right))
    yield mixed(rng, ", ".join(right))
    yield mixed(rng, ", ".join(right))


def spelling(rng, entry):
    right = entry["answer"]
    for text in (right, right.upper(), right.capitalize(), right[::-1], right + "s", right + "!!", right[:-1], right[1:], " " + right, right + " ",
                 right[0] * len(right), right[: len(right) // 2], "-".join(right), right + "İ", "İ" + right, "K" + right[1:], right.replace("k", "K"),
                 "".join(rng.sample(right, len(right))), right + right, "ß" + right[1:], right.replace("s", "ſ")):
        yield text
    yield wrapped(rng, right)
    yield mixed(rng, right)
    yield mixed(rng, right)


def plain(rng, entry):
    right = entry["answer"]
    for text in (right, right + ".", " " + right, "The answer is " + right, right + right, right + ".0", "+" + right, right[:-1], right[::-1],
                 "-" + right, right + " apples", "é" + right, f"**{right}**", f"${right}$", right + "\n", right.upper()):
        yield text
    yield wrapped(rng, right)
    yield mixed(rng, right)


MAKERS = {
    "countdown": countdown,
    "chain_sum": chain_sum,
    "number_sorting": sorting,
    "word_sorting": words,
    "spell_backward": spelling,
    "basic_arithmetic": plain,
    "letter_counting": plain,
}

# Answers that cohort scores otherwise, on purpose, with its score: {a} and so on are numbers of the entry.
DIFFERENT = {
    "countdown": [
        ("{right} # nothing", 0.01),  # comments
        ("{right} + 0*len('abc')", 0.01),  # calls of Python
        ("__import__('os').getpid()", 0.01),
        ("max({a}, {b})", 0.01),
        ("{a} if {b} else 0", 0.01),
        ("[{a}, {b}][0]", 0.01),
        ("pi + {a}", 0.01),  # names
        ("nan + {a}", 0.01),
        ("0x1F + {a}", 0.01),  # other bases
        ("{a} << 1", 0.01),
        ("'{a}'", 0.01),
        ("0.2[1] + {a}", 0.01),  # repeating decimals
        ("{a}/({b}/0)", 0.01),  # infinity
    ],
    "number_sorting": [("{nans}", 0.0)],
}

EXTRACTIONS = [
    "", "no tags", "<answer></answer>", "<answer> </answer>", "<answer>5</answer>", "<answer>\n5\n</answer>", "<answer>1</answer> <answer>2</answer>",
    "<answer>1 <answer>2</answer>", "<answer>1</answer></answer>", "<answer>1", "1</answer>", "</answer>1<answer>", "<Answer>1</Answer>",
    "< answer>1</answer>", "<answer>1</answer><answer>2", "<answer>\u00a0 5 \u2003</answer>", "<answer>a\nb\n\nc</answer>", "<answer>1</ answer>",
    "<think><answer>1</answer></think><answer>2</answer>", "<answer>2</answer> and more", "<answer><answer>3</answer></answer>", "<answer>é</answer>é",
]


def slim(name, entry):
    return {"answer": entry["answer"], "metadata": {key: entry["metadata"][key] for key in METADATA[name]}}


def cases_of(name, rng):
    data = reasoning_gym.create_dataset(name, seed=rng.randrange(2**31), size=CASES)
    maker = MAKERS[name]

    def score(answer, entry):
        return float(data.score_answer(answer, entry=entry))

    cases = []
    malformed = list(MALFORMED)
    if name == "countdown":  # of these it runs some as Python; 0x10 is among the differences
        malformed = [text for text in malformed if text not in ("0x10", "nan") and not str(text).startswith("1e9")]  # the latter take it hours
    for text in malformed[: CASES // 3]:
        entry = data[len(cases)]
        cases.append((text, entry))
    index = len(cases)
    while len(cases) < CASES:
        entry = data[index % CASES]
        index += 1
        made = list(maker(rng, entry))
        # A few of each entry, another few each time, so that all kinds come up with many entries.
        for offset in range(4):
            cases.append((made[(4 * index + offset) % len(made)], entry))
    if name == "countdown":  # a power of a power may take it hours, too
        cases = [(text if text is None or text.count("**") < 2 or text.startswith("2**") else "1", entry) for text, entry in cases]
    lines = [{"given": text, **slim(name, entry), "score": score(text, entry)} for text, entry in cases[:CASES]]

    different = []
    entry = data[1]
    for pattern, ours in DIFFERENT.get(name, []):
        values = {"right": entry["answer"]}
        if name == "countdown":
            values.update(a=entry["metadata"]["numbers"][0], b=entry["metadata"]["numbers"][1])
        if name == "number_sorting":
            values.update(nans=json.dumps(["nan"] * len(entry["metadata"]["sorted_numbers"])))
        text = pattern.format(**values)
        line = {"task": name, "given": text, **slim(name, entry), "score": score(text, entry), "cohort": ours}
        assert line["score"] != ours, line
        different.append(line)
    return lines, different


def write(path, lines):
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")


def main():
    warnings.simplefilter("ignore")
    out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "tests/golden/reasoning_gym")
    out.mkdir(parents=True, exist_ok=True)
    all_different = []
    for number, name in enumerate(MAKERS):
        lines, different = cases_of(name, random.Random(2025 + number))
        all_different += different
        write(out / f"{name}.jsonl", lines)
        kinds = {}
        for line in lines:
            kinds[line["score"]] = kinds.get(line["score"], 0) + 1
        top = sorted(kinds.items(), key=lambda item: -item[1])[:4]
        print(f"{name}: {len(lines)} cases, {len(kinds)} scores, most frequent {top}", file=sys.stderr)
    write(out / "differences.jsonl", all_different)
    write(out / "extraction.jsonl", [{"completion": text, "answer": extract_answer(text)} for text in EXTRACTIONS])


if __name__ == "__main__":
    main()
