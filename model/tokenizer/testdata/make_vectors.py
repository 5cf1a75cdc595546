#!/usr/bin/env python3
"""Writes presets.json and smollm2.json: what Hugging Face tokenizers 0.21.4 gives for vocabularies inside GGUF files.

    python3 -m venv V && V/bin/pip install tokenizers==0.21.4 regex gguf numpy
    V/bin/python make_vectors.py SmolLM2-135M-Instruct.Q4_1.gguf

presets.json: the Falcon vocabulary (falcon-vocab/ggml-vocab-falcon.gguf) under each pre-tokenizer that GGUF names; only the
one called falcon is what that vocabulary was made for. The pieces that a pattern gives are checked against Python's regex
module, which is another matcher than the library's. smollm2.json: the vocabulary of the default model.
"""
import json
import sys

import regex
from gguf import GGUFReader
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")

EXTRA = [
    "I'LL we'Ve IT'S don't can'T 'RE 'd 'D ''s", "1234567 12 1 ½¾² ٣٤٥٦ 一二三 Ⅻ", "a\r\n\r\n  b\n\n\n   c \t d  \n", "   \n  \n x",
    "!!!\n\n???\r\n--- \n", "x=1;y=22;z=333;w=4444", "e\u0301 é ﬁ Å \u212b a\u0323\u0307 한글 \u1112\u1161\u11ab", "naïve café ＡＢＣ①",
    "word\u00a0nbsp\u2003em\u3000ideographic", "日本語、テスト。中文，标点！한국어?", "привет, мир! м½² ΑΒΓ δ", "👩‍👩‍👧‍👦 emoji 🏳️‍🌈\n", "\x01\x02\x7f\x1b[0m", "a\x00b\x00\x00 \x00 c",
    " leading", "trailing ", "tab\ttab\t\ttab", "http://example.com/a_b?c=d&e=%20f", "def f(x):\n    return x  # y\n\n\n\tpass", "हिन्दी ไทย עברית العربية",
    "\x00", " \x00", "  \x00x", "\x00\x00\x00\x00\n", "12\x0034 \x00's", "\ufffe\x00\uffff", "\ufffe\uffff", "x\ufffe\uffffy\x00",
    "<|endoftext|>", "x<|endoftext|> y<|im_start|>user\nHi<|im_end|>\n", ">>TITLE<< >>ANSWER<<<|endoftext|>",
]


def chain(pre):
    """The pre-tokenizer, the normalizer and ignore_merges that a GGUF name stands for."""
    level = lambda use: pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=use)
    split = lambda p: pre_tokenizers.Split(Regex(p), "isolated", invert=False)
    return {
        "smollm": ([pre_tokenizers.Digits(individual_digits=True), level(True)], None, False),
        "falcon": ([pre_tokenizers.Punctuation("contiguous"), level(True), pre_tokenizers.Digits(individual_digits=False),
                    split("[0-9][0-9][0-9]")], None, False),
        "falcon3": ([split(LLAMA3), level(False)], None, True),
        "llama-bpe": ([split(LLAMA3), level(False)], None, True),
        "gpt-2": ([level(True)], None, False),
        "qwen2": ([split(QWEN2), level(False)], normalizers.NFC(), False),
    }[pre]


def build(path, pre):
    reader = GGUFReader(path)
    get = lambda key: reader.fields["tokenizer.ggml." + key].contents()
    tokens, types = get("tokens"), get("token_type")
    stages, normalizer, ignore = chain(pre)
    tok = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=[tuple(m.split(" ", 1)) for m in get("merges")],
                               ignore_merges=ignore))
    tok.pre_tokenizer = pre_tokenizers.Sequence(stages)
    if normalizer:
        tok.normalizer = normalizer
    tok.decoder = decoders.ByteLevel()
    tok.add_special_tokens([AddedToken(t, special=True, normalized=False) for t, k in zip(tokens, types) if k == 3])
    return tok


def check_pieces(tok, pre, text):
    """Compares the library's pieces with those of Python's regex module, for the presets that are one pattern."""
    pattern = {"gpt-2": GPT2, "llama-bpe": LLAMA3, "falcon3": LLAMA3, "qwen2": QWEN2}.get(pre)
    if not pattern:
        return
    if tok.normalizer:
        text = tok.normalizer.normalize_str(text)
    want = [text[m.start():m.end()] for m in regex.finditer(pattern, text, regex.V0)]
    got = [text[a:b] for _, (a, b) in tok.pre_tokenizer.pre_tokenize_str(text)]
    assert got == want, (pre, text, got, want)


def vectors(tok, pre, texts):
    out = []
    for text in texts:
        check_pieces(tok, pre, text)
        tok.encode_special_tokens = False
        special = tok.encode(text, add_special_tokens=False).ids
        tok.encode_special_tokens = True
        plain = tok.encode(text, add_special_tokens=False).ids
        item = {"text": text, "ids": special, "decoded": tok.decode(special, skip_special_tokens=False)}
        if plain != special:
            item["ids_specials_as_text"] = plain
        out.append(item)
    return out


def write(name, value):
    with open(name, "w", encoding="utf-8") as f:
        json.dump(value, f, ensure_ascii=False, separators=(",", ":"))
        f.write("\n")


texts = [v["text"] for v in json.load(open("falcon-tokenizer/encode.json", encoding="utf-8"))["vectors"]] + EXTRA
note = "made by make_vectors.py with tokenizers 0.21.4; fields as in falcon-tokenizer/encode.json"
write("presets.json", {"note": note, "presets": {
    pre: vectors(build("falcon-vocab/ggml-vocab-falcon.gguf", pre), pre, texts)
    for pre in ("smollm", "falcon", "falcon3", "llama-bpe", "gpt-2", "qwen2")}})
write("smollm2.json", {"note": note, "vectors": vectors(build(sys.argv[1], "smollm"), "smollm", texts)})
