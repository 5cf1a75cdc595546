#!/usr/bin/env python3
"""Writes pieces.json: a small SentencePiece vocabulary with what sentencepiece and Hugging Face tokenizers give for it.

    python3 -m venv V && V/bin/pip install sentencepiece==0.2.3 tokenizers==0.21.4 protobuf
    V/bin/python make_pieces.py

The vocabulary is trained on the texts of falcon-tokenizer/encode.json, with bytes for what is rare. It is written as a GGUF
file holds it (tokens, scores, types), and as a tokenizer.json in each form that converters have written. Where a text holds no
added token, sentencepiece itself must agree with the first form.
"""
import io
import json
import random

import sentencepiece
from sentencepiece import sentencepiece_model_pb2 as pb
from tokenizers import Tokenizer

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6

EXTRA = [
    " leading", "  two", "trailing ", "in  the   middle", "\n", "\nx", "x\n", "a\n\n b", "\tx", "▁", "▁x", " ▁x", "x▁y", "e\u0301 ﬁ \u212b \u00a0x ①", "\u00a0x",
    "<s>", "<s>x", "<s> x", "x</s>y", "x </s> y", "<s>[INST] Hi [/INST] Yo </s><s>[INST] Q [/INST]", "a<tool>b", "a <tool> b", "<tool>", "<tool><tool> ",
    "<0x0A>", "<unk>", "x<unk>y", "aaaaaaaaaa", "ababababab", "thethethethe", "\x01\x7f", "😀x😀", "日本語 x 語",
]
TEXTS = [v["text"] for v in json.load(open("falcon-tokenizer/encode.json", encoding="utf-8"))["vectors"] if len(v["text"]) <= 300]


def train():
    out = io.BytesIO()
    lines = [line for text in TEXTS for line in text.split("\n") if line.strip()] * 3
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=out, model_type="bpe", vocab_size=900, byte_fallback=True, character_coverage=0.98,
        normalization_rule_name="identity", remove_extra_whitespaces=False, allow_whitespace_only_pieces=True, split_digits=True,
        user_defined_symbols=["<tool>"], num_threads=1, minloglevel=2)
    model = pb.ModelProto()
    model.ParseFromString(out.getvalue())
    return model, sentencepiece.SentencePieceProcessor(model_proto=out.getvalue())


def merges(model, rounded=1):
    """As transformers' convert_slow_tokenizer.py derives them, with scores rounded down so that some are equal."""
    scores = {p.piece: p.score // rounded for p in model.pieces if p.type in (NORMAL, UNUSED)}
    ids = {p.piece: i for i, p in enumerate(model.pieces)}
    out = []
    for piece, score in scores.items():
        local = [(piece[:i], piece[i:], score) for i in range(1, len(piece)) if piece[:i] in scores and piece[i:] in scores]
        out += sorted(local, key=lambda x: (ids[x[0]], ids[x[1]]))
    return [[a, b] for a, b, _ in sorted(out, key=lambda x: (x[2], len(x[0]), len(x[1])), reverse=True)]


REPLACE = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
PREPEND = {"type": "Prepend", "prepend": "▁"}
BACK = {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}
BYTES, FUSE = {"type": "ByteFallback"}, {"type": "Fuse"}
STRIP = {"type": "Strip", "content": " ", "start": 1, "stop": 0}


def sequence(key, *members):
    return {"type": "Sequence", key: list(members)}


def metaspace(scheme, split=False):
    return {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": split}


FORMS = {  # name: normalizer, pre-tokenizer, decoder, byte_fallback
    "prepend": (sequence("normalizers", PREPEND, REPLACE), None, sequence("decoders", BACK, BYTES, FUSE, STRIP), True),
    "metaspace first": (None, metaspace("first"), sequence("decoders", BACK, BYTES, FUSE, STRIP), True),
    "metaspace always": (None, metaspace("always", True), sequence("decoders", BYTES, metaspace("always", True), FUSE), True),
    "no prefix": (REPLACE, {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False},
                  sequence("decoders", BACK, BYTES, FUSE), True),
    "nfkc": (sequence("normalizers", {"type": "NFKC"}, PREPEND, REPLACE), None, sequence("decoders", BACK, BYTES, FUSE, STRIP), True),
    "no bytes": (None, metaspace("never"), metaspace("never"), False),
}


def added(model):
    flags = dict(single_word=False, lstrip=False, rstrip=False, normalized=False)
    return [{"id": i, "content": p.piece, **flags, "special": p.type != USER_DEFINED}
            for i, p in enumerate(model.pieces) if p.type in (UNKNOWN, CONTROL, USER_DEFINED)]


def form(model, name):
    normalizer, pre, decoder, fallback = FORMS[name]
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added(model), "normalizer": normalizer, "pre_tokenizer": pre,
            "post_processor": None, "decoder": decoder, "model": {
                "type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None, "end_of_word_suffix": None,
                "fuse_unk": True, "byte_fallback": fallback, "ignore_merges": False,
                "vocab": {p.piece: i for i, p in enumerate(model.pieces)}, "merges": merges(model)}}


def vectors(tok, texts):
    out = []
    for text in texts:
        tok.encode_special_tokens = False
        ids = tok.encode(text, add_special_tokens=False).ids
        tok.encode_special_tokens = True
        plain = tok.encode(text, add_special_tokens=False).ids
        item = {"text": text, "ids": ids, "decoded": tok.decode(ids, skip_special_tokens=False)}
        if plain != ids:
            item["ids_specials_as_text"] = plain
        skipped = tok.decode(ids, skip_special_tokens=True)
        if skipped != item["decoded"]:
            item["decoded_without_specials"] = skipped
        out.append(item)
    return out


def mixtures(tok, texts):
    """Replies as a model may write them: texts with added tokens in front, between and behind."""
    rng = random.Random(8)
    out = []
    for _ in range(40):
        ids = []
        for _ in range(rng.randrange(1, 5)):
            ids += [rng.randrange(4) for _ in range(rng.randrange(3))] + tok.encode(rng.choice(texts)[:12], add_special_tokens=False).ids
        ids += [rng.randrange(4) for _ in range(rng.randrange(2))]
        out.append({"ids": ids, "decoded": tok.decode(ids, skip_special_tokens=False),
                    "decoded_without_specials": tok.decode(ids, skip_special_tokens=True)})
    return out


def schemes(model):
    """What a Metaspace pre-tokenizer's two members for the same thing mean together; null where the library refuses them."""
    out = []
    for scheme in (None, "always", "first", "never"):
        for add in ("absent", None, True, False):
            members = {"type": "Metaspace", "replacement": "▁"}
            if scheme:
                members["prepend_scheme"] = scheme
            if add != "absent":
                members["add_prefix_space"] = add
            meanings = set()
            for order in (1, -1):
                spec = {**form(model, "metaspace first"), "pre_tokenizer": dict(list(members.items())[::order])}
                try:
                    meanings.add(json.loads(Tokenizer.from_str(json.dumps(spec)).to_str())["pre_tokenizer"]["prepend_scheme"])
                except Exception as e:
                    assert "add_prefix_space does not match declared prepend_scheme" in str(e), e
                    meanings.add(None)
            (meaning,) = meanings
            out.append({"members": members, "meaning": meaning})
    return out


model, processor = train()
texts = TEXTS + EXTRA
for item in vectors(Tokenizer.from_str(json.dumps(form(model, "prepend"))), texts):
    if "<tool>" not in item["text"]:
        ids = item.get("ids_specials_as_text", item["ids"])
        assert processor.encode(item["text"]) == ids, item
        if ids == item["ids"]:
            assert processor.decode(ids) == item["decoded"], item

byte = next(i for i, p in enumerate(model.pieces) if p.type == BYTE)  # of <0x00>
letter = processor.piece_to_id("a")
broken = [[letter, *(byte + b for b in data), letter] for data in (
    b"\xff", b"\xe6\x97", b"\xe6\x97\xa5", b"a\xf0\x9f\x98", b"\xf0\x9f\x98\x80\xf0", b"\xed\xa0\x80", b"\xc3\xa9\xc3", b"\xf4\x91\x92\x93\xff\x41\x80\xbf\x42")]
value = {
    "note": "made by make_pieces.py with sentencepiece 0.2.3 and tokenizers 0.21.4; vectors as in falcon-tokenizer/encode.json",
    "gguf": {"tokens": [p.piece for p in model.pieces], "scores": [round(p.score, 6) for p in model.pieces], "types": [p.type for p in model.pieces]},
    "merges": merges(model),
    "forms": {name: {**form(model, name), "model": None, "byte_fallback": FORMS[name][3]} for name in FORMS},
    "vectors": {name: vectors(Tokenizer.from_str(json.dumps(form(model, name))), texts) for name in FORMS},
    "tied": {"rounded": 20, "merges": merges(model, 20)},
    "schemes": schemes(model),
    "mixtures": {name: mixtures(Tokenizer.from_str(json.dumps(form(model, name))), texts) for name in FORMS},
    "broken": [{"ids": ids, "decoded": processor.decode(ids)} for ids in broken],
}
with open("pieces.json", "w", encoding="utf-8") as f:
    json.dump(value, f, ensure_ascii=False, separators=(",", ":"))
    f.write("\n")
