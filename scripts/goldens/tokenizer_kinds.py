"""Small tokenizers of every kind that cohort supports, trained by the `tokenizers` package on made-up text, and the texts
to try them on."""

import json
import random

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from tokenizer_texts import training_text

CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
LLAMA3 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace("{1,3}", "")
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
PREFIX = r"[^\r\n\p{L}\p{N}]?"
REST = r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
O200K = "|".join([f"{PREFIX}{UPPER}*{LOWER}+{CONTRACTIONS}?", f"{PREFIX}{UPPER}+{LOWER}*{CONTRACTIONS}?", r"\p{N}{1,3}", REST])
TEKKEN = "|".join([f"{PREFIX}{UPPER}*{LOWER}+", f"{PREFIX}{UPPER}+{LOWER}*", r"\p{N}", REST])
POSSESSIVE = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|"
              r"\s*[\r\n]|\s+(?!\S)|\s")
DEEPSEEK_V3 = [
    r"\p{N}{1,3}", "[一-龥\u3040-ゟ゠-ヿ]+",
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|"""
    r"\s*[\r\n]+|\s+(?!\S)|\s+"]
DEEPSEEK_CODER = [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥\u0800-一가-\ud7ff]+"]


def split(pattern, behavior="isolated", invert=False):
    return pre_tokenizers.Split(Regex(pattern), behavior, invert)


def byte_level(regex=False, prefix=False):
    return pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=regex)


def train(tokenizer, special, vocab_size=600, alphabet=True):
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, special_tokens=special, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet() if alphabet else [])
    tokenizer.train_from_iterator(training_text(), trainer)
    return tokenizer


def byte_level_bpe(steps, special, normalizer=None, added=(), **options):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps) if len(steps) > 1 else steps[0]
    tokenizer.decoder = decoders.ByteLevel()
    train(tokenizer, special)
    tokenizer.add_tokens(list(added))
    file = json.loads(tokenizer.to_str())
    file["model"].update(options)
    return file


def template(bos, bos_id):
    return json.loads(Tokenizer_with(processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A {bos}:1 $B:1", special_tokens=[(bos, bos_id)])))["post_processor"]


def Tokenizer_with(processor):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.post_processor = processor
    return tokenizer.to_str()


def sentencepiece_bpe(special, normalizer, pre_tokenizer, decoder, byte_fallback=True, added=(), **options):
    """Trained on words; the byte tokens stand behind the special ones, as in Llama's vocabulary."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    bytes_ = [f"<0x{b:02X}>" for b in range(256)] if byte_fallback else []
    train(tokenizer, special + bytes_, vocab_size=800, alphabet=False)
    tokenizer.normalizer, tokenizer.decoder = normalizer, decoder
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.add_tokens(list(added))
    file = json.loads(tokenizer.to_str())
    if pre_tokenizer is None:
        file["pre_tokenizer"] = None
    file["added_tokens"] = [t for t in file["added_tokens"] if t["content"] not in bytes_]
    file["model"].update({"byte_fallback": byte_fallback, "fuse_unk": True, **options})
    return file


def llama_decoder():
    return decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])


def make_kind(name):
    """The tokenizer.json of this kind, as an object."""
    chat = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tool = [AddedToken("<tool>", special=False, normalized=True)]
    if name == "gpt2":
        file = byte_level_bpe([byte_level(regex=True)], chat[:1])
    elif name == "llama3":
        file = byte_level_bpe([split(LLAMA3), byte_level()], ["<|begin_of_text|>", "<|eot_id|>", "<|im_end|>"], ignore_merges=True)
        file["post_processor"] = json.loads(Tokenizer_with(processors.Sequence([processors.ByteLevel(trim_offsets=False)])))["post_processor"]
        file["post_processor"]["processors"].append(template("<|begin_of_text|>", 0))
    elif name == "qwen2":
        file = byte_level_bpe([split(QWEN2), byte_level()], chat, normalizers.NFC(), tool)
    elif name == "deepseek":
        steps = [split(pattern) for pattern in DEEPSEEK_V3]
        file = byte_level_bpe(steps + [byte_level()], ["<｜begin▁of▁sentence｜>", "<｜User｜>", "<|im_end|>"], normalizers.Sequence([]))
        file["post_processor"] = template("<｜begin▁of▁sentence｜>", 0)
    elif name == "deepseek_coder":
        steps = [split(pattern) for pattern in DEEPSEEK_CODER] + [pre_tokenizers.Digits(individual_digits=True)]
        file = byte_level_bpe(steps + [byte_level()], chat)
    elif name == "o200k":
        file = byte_level_bpe([split(O200K, "removed", True), byte_level()], chat, added=[
            AddedToken("<|user|>", rstrip=True, special=True, normalized=False)])
    elif name == "possessive":
        file = byte_level_bpe([split(POSSESSIVE, "merged_with_next"), byte_level()], chat)
    elif name == "tekken":
        file = byte_level_bpe([split(TEKKEN), byte_level()], ["<unk>", "<s>", "</s>", "[INST]", "<|im_end|>"], ignore_merges=True)
    elif name == "llama2":
        file = sentencepiece_bpe(["<unk>", "<s>", "</s>"], normalizers.Sequence(
            [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]), None, llama_decoder())
        file["post_processor"] = template("<s>", 1)
    elif name == "llama2_normalized":  # as older files have it
        file = make_kind("llama2")
        for token in file["added_tokens"]:
            token["normalized"] = True
    elif name == "mistral":
        file = sentencepiece_bpe(["<unk>", "<s>", "</s>", "[INST]", "[/INST]"], None,
                                 pre_tokenizers.Metaspace(prepend_scheme="first", split=False), llama_decoder())
        file["post_processor"] = template("<s>", 1)
    elif name == "gemma":
        runs = [AddedToken(s * n, special=False, normalized=False) for s in ("\n", "▁", "\t") for n in (2, 3, 4)]
        file = sentencepiece_bpe(["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"],
                                 normalizers.Replace(" ", "▁"), pre_tokenizers.Split(" ", "merged_with_previous"),
                                 decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]),
                                 added=runs)
        file["post_processor"] = template("<bos>", 2)
    elif name == "metaspace":  # without byte fallback: unknown characters
        file = sentencepiece_bpe(["<unk>", "<s>", "</s>"], normalizers.NFKC(), pre_tokenizers.Metaspace(), decoders.Metaspace(),
                                 byte_fallback=False, fuse_unk=False,
                                 added=[AddedToken("apple", single_word=True), AddedToken("the", single_word=True, lstrip=True)])
    elif name == "few_bytes":  # some characters fall back, others are unknown
        file = sentencepiece_bpe(["<unk>", "<s>", "</s>"], normalizers.NFD(), pre_tokenizers.Metaspace(prepend_scheme="never"),
                                 decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="never")]))
        vocab = file["model"]["vocab"]
        for byte in list(range(0x80, 0xA0)) + [0xD8]:
            vocab[f"gone{byte}"] = vocab.pop(f"<0x{byte:02X}>")
    elif name == "plain":  # characters, no unknown token, no decoder
        file = sentencepiece_bpe(["<unk>"], normalizers.NFKD(), pre_tokenizers.WhitespaceSplit(), None, byte_fallback=False)
        file["model"]["unk_token"] = None
    elif name == "mixed":
        file = byte_level_bpe(
            [split(r"[aeiou]{2,3}", "contiguous"), pre_tokenizers.Split(",", "merged_with_previous"), pre_tokenizers.Whitespace(),
             pre_tokenizers.Digits(individual_digits=False), byte_level(regex=True, prefix=True)], chat,
            normalizers.Sequence([normalizers.NFKC(), normalizers.Strip(), normalizers.Lowercase(),
                                  normalizers.Replace(Regex(r"\p{P}{2,}|z+"), "-")]),
            [AddedToken("hello", single_word=True, lstrip=True, rstrip=True), AddedToken("  ", rstrip=True, normalized=False),
             AddedToken("Été", normalized=True)])
        file["post_processor"] = json.loads(Tokenizer_with(processors.RobertaProcessing(("<|im_end|>", 2), ("<|im_start|>", 1))))["post_processor"]
    else:
        raise ValueError(name)
    return file


KINDS = ["gpt2", "llama3", "qwen2", "deepseek", "deepseek_coder", "o200k", "possessive", "tekken", "llama2", "llama2_normalized",
         "mistral", "gemma", "metaspace", "few_bytes", "plain", "mixed"]


def decode_cases(tokenizer, encoded, count, seed=11):
    """Ids to decode: any ids at all (characters cut off, stray bytes), and true texts with their ends cut off."""
    rng = random.Random(seed)
    size = tokenizer.get_vocab_size()
    for i in range(count):
        if i % 3 == 0:
            yield [rng.randrange(300 if i % 2 else size + 3) for _ in range(rng.randint(1, 8))]
        else:
            ids = rng.choice(encoded)
            start = rng.randrange(len(ids) + 1)
            yield ids[start:start + rng.randint(0, 10)]
