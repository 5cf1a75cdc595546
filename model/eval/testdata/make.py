"""Writes transformers.json: what transformers and torch say about ids that the tests of package eval judge again.

Run with Python 3.11, torch 2.6.0, transformers 4.51.3 (CPU): python make.py
"loss" is the mean over tokens of the loop in transformers' documentation (docs/source/en/perplexity.md): each window's loss
times the labels that it is the mean of. "published" is that loop to the letter: it weighs a window by its labels minus one also
where the window overlaps the one before and the shift loses no label. The two are the same where no windows overlap.
"""
import json
import pathlib

import numpy as np
import torch
from transformers import AutoModelForCausalLM

HERE = pathlib.Path(__file__).parent
FIXTURES = HERE.parents[1] / "backendtest" / "testdata" / "fixtures"
TOKENS = 400
CUTS = [(128, 128), (150, 40)]
MODELS = ["llama-smollm2", "falcon-40b", "falcon-rw-8h"]
AGAINST = ("falcon-40b-bf16", "falcon-40b")  # model and reference


def load(name):
    return AutoModelForCausalLM.from_pretrained(FIXTURES / name, torch_dtype=torch.float32, attn_implementation="sdpa").eval()


def strided(model, ids, window, stride):
    """The published loop, with both ways to weigh a window."""
    total = count = published = weights = 0
    previous = 0
    for begin in range(0, ids.size(1), stride):
        end = min(begin + window, ids.size(1))
        inputs = ids[:, begin:end]
        labels = inputs.clone()
        labels[:, : -(end - previous)] = -100
        with torch.no_grad():
            loss = model(inputs, labels=labels).loss.double().item()
        judged = int((labels[:, 1:] != -100).sum())
        total, count = total + loss * judged, count + judged
        weight = int((labels != -100).sum()) - 1
        published, weights = published + loss * weight, weights + weight
        previous = end
        if end == ids.size(1):
            break
    return {"window": window, "stride": stride, "tokens": count, "loss": total / count, "published": published / weights}


def divergence(model, reference, ids):
    """KL divergence from the reference and top-1 agreement, all ids in one window."""
    with torch.no_grad():
        q, p = (torch.log_softmax(m(ids).logits[0, :-1].double(), -1) for m in (model, reference))
    return {"kl": (p.exp() * (p - q)).sum(-1).mean().item(), "top1": (p.argmax(-1) == q.argmax(-1)).double().mean().item()}


def choose(model):
    rng = np.random.default_rng(8)
    return torch.from_numpy(rng.integers(0, model.config.vocab_size, (1, TOKENS)))


models = {name: load(name) for name in {*MODELS, *AGAINST}}
out = {"perplexity": [], "divergence": []}
for name in MODELS:
    ids = choose(models[name])
    out["perplexity"].append({"model": name, "ids": ids[0].tolist(), "cuts": [strided(models[name], ids, *cut) for cut in CUTS]})
ids = choose(models[AGAINST[0]])
out["divergence"].append({"model": AGAINST[0], "reference": AGAINST[1], "ids": ids[0].tolist(), **divergence(*(models[n] for n in AGAINST), ids)})
(HERE / "transformers.json").write_text(json.dumps(out) + "\n")
