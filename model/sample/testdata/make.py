"""Writes transformers.jsonl: what transformers' own logits processors leave of some logits.

Run with Python 3.11, transformers 4.51.3, numpy 2.4: python make.py > transformers.jsonl
The classes are those of transformers/generation/logits_process.py, run over the stand-in for torch below, which gives the
few functions that they call in numpy's float64: the definitions decide, not the rounding. torch itself is not needed.
"""
import importlib.util
import json
import logging
import pathlib
import sys
import types

import numpy as np


class Tensor(np.ndarray):
    def softmax(self, dim=-1):
        e = np.exp(self - self.max(axis=dim, keepdims=True))
        return e / e.sum(dim, keepdims=True)

    def cumsum(self, dim=-1):
        return np.cumsum(self, axis=dim)

    def gather(self, dim, index):
        return np.take_along_axis(self, np.asarray(index), axis=dim).view(Tensor)

    def scatter(self, dim, index, src):
        out = self.copy()
        np.put_along_axis(out, np.asarray(index), src, axis=dim)
        return out

    def masked_fill(self, mask, value):
        return np.where(mask, value, self).view(Tensor)

    def nansum(self, dim, keepdim=False):
        return np.nansum(np.asarray(self), axis=dim, keepdims=keepdim).view(Tensor)

    def sum(self, dim=None, **kw):
        return np.asarray(self).sum(axis=dim, **kw).view(Tensor)

    def clamp_(self, max):
        np.minimum(self, max, out=self)

    def view(self, *shape):
        if shape and isinstance(shape[0], int):
            return self.reshape(shape)
        return np.ndarray.view(self, *shape)

    def size(self, dim):
        return self.shape[dim]


def tensor(x):
    return np.asarray(x).view(Tensor)


def log_softmax(x, dim):
    s = x - x.max(axis=dim, keepdims=True)
    return s - np.log(np.exp(s).sum(dim, keepdims=True))


class Probs(Tensor):
    """A softmax whose max returns values and indices, as torch's does when it gets dim."""

    def max(self, dim=None, keepdim=False):
        values = np.max(np.asarray(self), axis=dim, keepdims=keepdim).view(Tensor)
        return values, None


class Torch(types.ModuleType):
    def __getattr__(self, name):  # types that stand in annotations only
        return object


torch = Torch("torch")
torch.gather = lambda x, dim, index: x.gather(dim, index)
torch.where = lambda c, a, b: np.where(c, a, b).view(Tensor)
torch.sort = lambda x, descending: (
    (lambda order: (x.gather(-1, order), order))(np.argsort(x, axis=-1, kind="stable").view(Tensor)))
torch.argsort = lambda x, descending, dim: np.argsort(-x if descending else x, axis=dim, kind="stable").view(Tensor)
torch.topk = lambda x, k: ((-np.sort(-x, axis=-1))[..., :k].view(Tensor), None)
torch.softmax = lambda x, dim: x.softmax(dim).view(Probs)
torch.exp = np.exp
torch.abs = np.abs
torch.nn = types.SimpleNamespace(functional=types.SimpleNamespace(log_softmax=log_softmax))


def load():
    """Returns the module without the rest of the package, which would import torch."""
    root = pathlib.Path(importlib.util.find_spec("transformers").submodule_search_locations[0])
    for name in ["transformers", "transformers.generation", "transformers.utils"]:
        package = types.ModuleType(name)
        package.__path__ = []
        sys.modules[name] = package
    sys.modules["torch"] = torch
    sys.modules["transformers.pytorch_utils"] = types.SimpleNamespace(isin_mps_friendly=None)
    sys.modules["transformers.utils"].add_start_docstrings = lambda *_: lambda f: f
    sys.modules["transformers.utils.logging"] = types.SimpleNamespace(get_logger=logging.getLogger)
    spec = importlib.util.spec_from_file_location(
        "transformers.generation.logits_process", root / "generation/logits_process.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SETTINGS = [
    {"temperature": 0.7},
    {"temperature": 1.0, "top_k": 7},
    {"temperature": 1.0, "top_k": 1},
    {"temperature": 1.0, "top_k": 5000},
    {"temperature": 1.3, "top_p": 0.6},
    {"temperature": 1.0, "top_p": 0.001},
    {"temperature": 1.0, "top_p": 0.999},
    {"temperature": 1.0, "min_p": 0.1},
    {"temperature": 1.0, "min_p": 1.0},
    {"temperature": 1.0, "typical_p": 0.5},
    {"temperature": 1.0, "typical_p": 0.05},
    {"temperature": 0.8, "typical_p": 0.95},
    {"temperature": 1.0, "repetition_penalty": 1.7},
    {"temperature": 2.0, "repetition_penalty": 0.5, "top_k": 5},
    {"temperature": 0.8, "top_k": 50},
    {"temperature": 0.8, "top_k": 40, "top_p": 0.9, "min_p": 0.02, "typical_p": 0.8, "repetition_penalty": 1.2},
    {"temperature": 1.5, "top_k": 20, "typical_p": 0.3, "repetition_penalty": 1.1},
    {"temperature": 0.6, "top_p": 0.95, "min_p": 0.05},
]


def main():
    hf = load()
    rng = np.random.default_rng(20)
    shapes = {
        "normal": np.round(rng.normal(0, 3, 120), 3),
        "with ties": np.round(rng.normal(0, 2, 90), 0),
        "with minus infinity": np.where(rng.random(60) < 0.3, -np.inf, np.round(rng.normal(1, 4, 60), 3)),
        "peaked": np.round(np.concatenate([[18.0], rng.normal(0, 1, 70)]), 3),
    }
    cases = []
    for name, logits in shapes.items():
        seen = [int(i) for i in rng.integers(0, len(logits), 6)] * 2
        for v in SETTINGS:
            chain = hf.LogitsProcessorList()
            if "repetition_penalty" in v:
                chain.append(hf.RepetitionPenaltyLogitsProcessor(v["repetition_penalty"]))
            if v["temperature"] != 1.0:
                chain.append(hf.TemperatureLogitsWarper(v["temperature"]))
            if "top_k" in v:
                chain.append(hf.TopKLogitsWarper(v["top_k"]))
            if "top_p" in v:
                chain.append(hf.TopPLogitsWarper(v["top_p"]))
            if "min_p" in v:
                chain.append(hf.MinPLogitsWarper(v["min_p"]))
            if "typical_p" in v:
                chain.append(hf.TypicalLogitsWarper(v["typical_p"]))
            with np.errstate(all="ignore"):
                left = chain(tensor([seen]), tensor([logits]))
                probs = left.softmax(-1)[0]
            cases.append({
                "name": name, "sampling": v, "seen": seen,
                "logits": [None if np.isinf(x) else float(x) for x in logits],
                "probs": {str(i): float(p) for i, p in enumerate(probs) if p > 0},
            })
    for case in cases:
        json.dump(case, sys.stdout)
        sys.stdout.write("\n")


main()
