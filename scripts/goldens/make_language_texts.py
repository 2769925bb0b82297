#!/usr/bin/env python3
"""Writes tests/golden/language/texts.jsonl: texts like those of a model that reasons, whose share of words in one language is known.

    python3 scripts/goldens/make_language_texts.py [--seed 61] [--each 25] > tests/golden/language/texts.jsonl

A line: {"sentences", "kind", "target", "text", "share"}. A text is put together from sentences of known languages,
with formulas, numbers and programs between and within them; its share is counted from those sentences, so no library was asked. A word is a
run of letters, or one letter of Han or kana; single Latin and Greek letters and what stands in formulas and programs are none.
"""

import argparse
import json
import random
import unicodedata

from language_sentences import SENTENCES, UNSEEN

FORMULAS = ["$x = 12$", "\\(a^2 + b^2\\)", "42", "$\\frac{1}{2}$", "3.75", "$f(x) = \\sin(x) + \\text{const}$", "x = 7", "$\\sqrt{n+1}$",
            "`total_count`", "120 / 4", "2n + 1", "$$\\int_0^1 g(t)\\,dt$$"]
BLOCKS = ["```python\ndef solve(values):\n    # add all the values of the list\n    return sum(value for value in values)\n```",
          "\\[\n\\begin{aligned} x + y &= 10 \\\\ x - y &= 4 \\end{aligned}\n\\]",
          "$$\\sum_{k=1}^{n} k = \\frac{n(n+1)}{2} \\quad \\text{for all } n$$",
          "x + y = 10\n2x - y = 5",
          "```\nfor (int i = 0; i < count; ++i) total += price[i];\n```"]
WORDS = {"en": ["the answer", "because", "therefore we have", "distance"], "zh": ["因此", "答案", "我们需要", "距离"],
         "ru": ["ответ", "поэтому", "расстояние"], "ja": ["したがって", "答え"], "ko": ["따라서", "정답은"], "de": ["weil", "die Antwort"]}
PHRASES = {"en": ["that is to say", "wait, let me check", "and therefore"], "de": ["das heißt", "und deshalb", "ich meine damit"],
           "fr": ["c'est-à-dire", "et par conséquent", "je veux dire"], "es": ["es decir", "y por lo tanto", "quiero decir"]}


def count_words(text):
    """Of a sentence without formulas."""
    words, run = 0, ""
    for letter in text + " ":
        name = unicodedata.name(letter, "")
        alone = name.startswith(("CJK UNIFIED", "HIRAGANA LETTER", "KATAKANA LETTER", "KATAKANA-HIRAGANA PROLONGED"))
        if not alone and (letter.isalpha() or unicodedata.category(letter) == "Mn" or (letter in "'’" and run)):
            run += letter
            continue
        words += alone + (len(run) > 1 or (run != "" and not unicodedata.name(run).startswith(("LATIN", "GREEK"))))
        run = ""
    return words


class Maker:
    def __init__(self, rng, sentences):
        self.rng, self.sentences = rng, sentences
        self.rows = []

    def sentence(self, language):
        form = self.rng.choice(self.sentences[language])
        return form.replace("{}", self.rng.choice(FORMULAS)), count_words(form.replace("{}", " "))

    def add(self, kind, target, pieces, separator):
        """Pieces: (language or None, text, words)."""
        words = sum(n for _, _, n in pieces)
        right = sum(n for language, _, n in pieces if language == target)
        self.rows.append({"kind": kind, "target": target, "text": separator.join(text for _, text, _ in pieces), "share": right / words})

    def run(self, language, count):
        return [(language, *self.sentence(language)) for _ in range(count)]

    def block(self):
        return (None, self.rng.choice(BLOCKS), 0)

    def text(self, kind, languages):
        rng = self.rng
        language = rng.choice(languages)
        other = rng.choice([l for l in languages if l != language])
        if kind == "one sentence":
            return self.add(kind, language, self.run(language, 1), " ")
        if kind == "one language":
            return self.add(kind, language, self.run(language, rng.randint(3, 9)), " ")
        if kind == "with formulas and programs":
            pieces = []
            for _ in range(rng.randint(2, 4)):
                pieces += self.run(language, rng.randint(1, 2)) + [self.block()]
            return self.add(kind, language, pieces, "\n")
        if kind == "another language":
            return self.add(kind, language, self.run(other, rng.randint(1, 6)), " ")
        if kind == "two parts":
            return self.add(kind, language, self.run(language, rng.randint(2, 6)) + self.run(other, rng.randint(2, 6)), rng.choice([" ", "\n"]))
        if kind == "sentence by sentence":
            pieces = self.run(language, rng.randint(2, 6)) + self.run(other, rng.randint(1, 5))
            rng.shuffle(pieces)
            return self.add(kind, language, pieces, rng.choice([" ", "\n\n"]))
        if kind == "a phrase within a sentence":
            language = rng.choice([l for l in languages if script_of(l) == "latin"])
            other = rng.choice([l for l in PHRASES if l != language])
            pieces = []
            for _ in range(rng.randint(2, 4)):
                text, words = self.sentence(language)
                phrase = rng.choice(PHRASES[other])
                first, rest = text.split(" ", 1)
                pieces += [(language, first, 0), (other, rng.choice(["({})", "- {} -", "{},"]).format(phrase), count_words(phrase)), (language, rest, words)]
            return self.add(kind, language, pieces, " ")
        # Words of one script within sentences of another.
        other = rng.choice([l for l in WORDS if script_of(l) != script_of(language)])
        pieces = []
        for _ in range(rng.randint(2, 5)):
            pieces += self.run(language, 1)
            word = rng.choice(WORDS[other])
            pieces.append((other, word, count_words(word)))
        return self.add(kind, language, pieces, " ")


def script_of(language):
    return {"ru": "cyrillic", "uk": "cyrillic", "zh": "han", "ja": "han", "ko": "hangul", "ar": "arabic"}.get(language, "latin")


KINDS = ["one sentence", "one language", "with formulas and programs", "another language", "two parts", "sentence by sentence", "words of another script",
         "a phrase within a sentence"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=61)
    parser.add_argument("--each", type=int, default=25)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    for name, sentences in (("second", {l: some[8:] for l, some in SENTENCES.items()}), ("unseen", UNSEEN)):
        maker = Maker(rng, sentences)
        for kind in KINDS:
            for _ in range(arguments.each):
                maker.text(kind, list(SENTENCES))
        for row in maker.rows:
            print(json.dumps({"sentences": name, **row}, ensure_ascii=False))


if __name__ == "__main__":
    main()
