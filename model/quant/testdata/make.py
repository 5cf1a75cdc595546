"""Writes blocks.gguf: for every block format seeded rows as quantised, and what the gguf package says that they mean.

Run with Python 3.11, numpy 2.4.6, gguf 0.19.0: python make.py
Of each type T there are "T" [8, 512], stored as T, and "T.f32" of the same shape, the result of gguf.quants.dequantize.
Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0 are normal values quantised by gguf.quants.quantize, the last two rows random bytes; it cannot
make K-quants, which are random bytes throughout. The floats among random bytes are seeded normal values of either sign, two of
each type zero and subnormal.
"""
import pathlib

import gguf
import numpy as np
from gguf import GGMLQuantizationType as T

ROWS, COLUMNS = 8, 512
# Where the float16 values of a block are.
HALVES = {
    T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0],
    T.Q2_K: [80, 82], T.Q3_K: [108], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208],
}


def random_blocks(rng, kind, rows):
    weights, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (rows * COLUMNS // weights, size), dtype=np.uint8)
    for at in HALVES[kind]:
        d = rng.normal(0, 0.01, len(blocks)).astype(np.float16)
        d[0], d[1] = 0, np.float16(3e-7)
        blocks[:, at : at + 2] = d.view(np.uint8).reshape(-1, 2)
    return blocks.reshape(rows, -1)


writer = gguf.GGUFWriter(pathlib.Path(__file__).parent / "blocks.gguf", "blocks")
for number, (kind, _) in enumerate(HALVES.items()):
    rng = np.random.default_rng(number)
    data = random_blocks(rng, kind, ROWS)
    if not kind.name.endswith("_K"):
        values = rng.normal(0, 0.05, (ROWS - 2, COLUMNS)).astype(np.float32)
        data[: ROWS - 2] = gguf.quants.quantize(values, kind)
    writer.add_tensor(kind.name, data, raw_dtype=kind)
    writer.add_tensor(kind.name + ".f32", gguf.quants.dequantize(data, kind))
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
