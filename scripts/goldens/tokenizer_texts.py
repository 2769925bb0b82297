"""The texts on which cohort's tokenizers are compared with the `tokenizers` package."""

import random

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


def long_texts(length):
    """Runs of one character or of a few, which quadratic steps show on."""
    for unit in ["a", " ", "\n", "A", "!", "0", "é", "世", "😀", "\u0301", "'s", "a ", " a", "\r\n", "▁", "<|im_end|>", "ー", "\t"]:
        yield (unit * (length // len(unit) + 1))[:length]


def varied_texts(count, seed=1):
    """Strings of characters from one or many alphabets, words, pieces of special tokens, and any code points at all."""
    rng = random.Random(seed)
    pieces = EDGE_TEXTS + RUNS + WORDS + ALPHABETS + [
        "<s>", "</s>", "<unk>", "[INST]", "<｜User｜>", "<start_of_turn>", "<|begin_of_text|>", "<0x41>", "<0x80>", "▁", "▁▁", "apple",
        "pineapple", "the", "hello", "  ", "\n\n", "été", "Été", "ÉTÉ", "<|user|>"]
    any_character = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    letters = [c for c in range(0x250) if chr(c).isprintable()]
    for i in range(count):
        kind = i % 5
        n = rng.randint(1, 40)
        if kind == 0:
            alphabet = rng.choice(ALPHABETS)
            yield "".join(rng.choice(alphabet) for _ in range(n))
        elif kind == 1:
            yield "".join(rng.choice(pieces)[:rng.randint(1, 40)] + rng.choice(["", " ", "  ", "\n", "."]) for _ in range(rng.randint(1, 6)))
        elif kind == 2:
            yield "".join(chr(rng.choice(any_character if rng.random() < 0.3 else letters)) for _ in range(n))
        elif kind == 3:
            yield "".join(rng.choice([" ", "\n", "\r", "\t", "\u00a0", "\u3000", "\u180e", "a", "É", "1", "²", ".", "'", "s", "ſ", "中", "\u0301", "ー"])
                          for _ in range(n))
        else:
            yield "".join(rng.choice(WORDS) + rng.choice([" ", " ", " ", ", ", "\n", "'s ", "'LL ", " 12", "3456 ", "(", "/"]) for _ in range(n))
