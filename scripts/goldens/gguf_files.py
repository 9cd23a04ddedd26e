"""Fixtures for the GGUF reader: every storage type that is read, and a tiny Llama 3 model.

    python scripts/goldens/gguf_files.py [--check]      (numpy; --check also compares with the `gguf` package)

Block layouts, the row permutation and the rotary divisors are written down here a second time, element by element from the
format's description, in fp64: they share nothing with lib/formats.
"""

import argparse
import json
import struct
from pathlib import Path

import numpy as np

OUT = Path(__file__).resolve().parents[2] / "test" / "fixtures" / "formats"
F32, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K, BF16 = 0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 30
U32, I32, F32T, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9


def half(raw):
    return float(np.frombuffer(bytes(raw), dtype="<f2")[0])


def nibble(data, i):
    """Element i of 32 packed in 16 bytes: the first 16 in the low halves."""
    return data[i] & 15 if i < 16 else data[i - 16] >> 4


def decode_32(kind, b):
    d = half(b[0:2])
    if kind == Q8_0:
        return [d * struct.unpack("b", b[2 + i : 3 + i])[0] for i in range(32)]
    if kind == Q4_0:
        return [d * (nibble(b[2:], i) - 8) for i in range(32)]
    if kind == Q4_1:
        return [d * nibble(b[4:], i) + half(b[2:4]) for i in range(32)]
    at = 2 if kind == Q5_0 else 4
    high = int.from_bytes(b[at : at + 4], "little")
    q = [nibble(b[at + 4 :], i) + 16 * ((high >> i) & 1) for i in range(32)]
    return [d * (v - 16) for v in q] if kind == Q5_0 else [d * v + half(b[2:4]) for v in q]


def scales_k(b):
    """Eight 6-bit scales and eight 6-bit minima out of 12 bytes, as one bit string each."""
    scale, minimum = [], []
    for j in range(8):
        if j < 4:
            scale.append(b[j] & 63)
            minimum.append(b[j + 4] & 63)
        else:
            scale.append((b[j + 4] % 16) + 16 * (b[j - 4] // 64))
            minimum.append((b[j + 4] // 16) + 16 * (b[j] // 64))
    return scale, minimum


def decode_256(kind, b):
    out = []
    if kind == Q6_K:
        ql, qh, sc, d = b[0:128], b[128:192], np.frombuffer(b[192:208], dtype=np.int8), half(b[208:210])
        for i in range(256):
            part, run, k = i // 128, (i % 128) // 32, i % 32
            byte = ql[64 * part + 32 * (run % 2) + k]
            low = byte & 15 if run < 2 else byte >> 4
            top = (qh[32 * part + k] >> (2 * run)) & 3
            out.append(d * int(sc[i // 16]) * (low + 16 * top - 32))
        return out
    d, dmin = half(b[0:2]), half(b[2:4])
    scale, minimum = scales_k(b[4:16])
    quants = b[16:] if kind == Q4_K else b[48:]
    for i in range(256):
        sub, k = i // 32, i % 32
        byte = quants[32 * (sub // 2) + k]
        q = byte & 15 if sub % 2 == 0 else byte >> 4
        if kind == Q5_K:
            q += 16 * ((b[16 + k] >> sub) & 1)
        out.append(d * scale[sub] * q - dmin * minimum[sub])
    return out


LAYOUT = {Q4_0: (32, 18), Q4_1: (32, 20), Q5_0: (32, 22), Q5_1: (32, 24), Q8_0: (32, 34), Q4_K: (256, 144), Q5_K: (256, 176), Q6_K: (256, 210)}
SCALES = {Q4_0: [0], Q4_1: [0, 2], Q5_0: [0], Q5_1: [0, 2], Q8_0: [0], Q4_K: [0, 2], Q5_K: [0, 2], Q6_K: [208]}


def random_blocks(kind, count, rng):
    """Random bytes with finite scales; returns the bytes and the fp32 values they stand for."""
    elements, size = LAYOUT[kind]
    raw, values = b"", []
    for _ in range(count // elements):
        block = bytearray(rng.integers(0, 256, size, dtype=np.uint8).tobytes())
        for at in SCALES[kind]:
            block[at : at + 2] = np.float16(rng.normal() * 0.05).tobytes()
        raw += bytes(block)
        values += decode_32(kind, bytes(block)) if elements == 32 else decode_256(kind, bytes(block))
    return raw, np.array(values, dtype=np.float64).astype(np.float32)


def encode(kind, values):
    """Stores fp32 as F32, F16 or BF16 and returns what is read back."""
    if kind == F32:
        return values.astype("<f4").tobytes(), values.astype(np.float32)
    if kind == F16:
        stored = values.astype("<f2")
        return stored.tobytes(), stored.astype(np.float32)
    bits = values.astype("<f4").view(np.uint32) >> 16
    return bits.astype("<u2").tobytes(), (bits << 16).astype(np.uint32).view(np.float32)


def gguf_string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def gguf_value(value):
    if isinstance(value, bool):
        return struct.pack("<I?", BOOL, value)
    if isinstance(value, int):
        return struct.pack("<II", U32, value)
    if isinstance(value, float):
        return struct.pack("<If", F32T, value)
    if isinstance(value, str):
        return struct.pack("<I", STRING) + gguf_string(value)
    if isinstance(value[0], str):
        return struct.pack("<IIQ", ARRAY, STRING, len(value)) + b"".join(map(gguf_string, value))
    return struct.pack("<IIQ", ARRAY, I32, len(value)) + struct.pack(f"<{len(value)}i", *value)


def write_gguf(path, metadata, tensors):
    """tensors: (name, kind, row-major shape, bytes)."""
    head = struct.pack("<IIQQ", 0x46554747, 3, len(tensors), len(metadata))
    for key, value in metadata.items():
        head += gguf_string(key) + gguf_value(value)
    data = b""
    for name, kind, shape, raw in tensors:
        head += gguf_string(name) + struct.pack("<I", len(shape))
        head += struct.pack(f"<{len(shape)}Q", *reversed(shape)) + struct.pack("<IQ", kind, len(data))
        data += raw + b"\0" * (-len(raw) % 32)
    path.write_bytes(head + b"\0" * (-len(head) % 32) + data)


def write_safetensors(path, tensors, metadata):
    header, data = {"__metadata__": metadata}, b""
    for name, values in tensors.items():
        raw = values.astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


NAMES = {F32: "F32", F16: "F16", BF16: "BF16", Q4_0: "Q4_0", Q4_1: "Q4_1", Q5_0: "Q5_0", Q5_1: "Q5_1", Q8_0: "Q8_0", Q4_K: "Q4_K", Q5_K: "Q5_K", Q6_K: "Q6_K"}


def blocks(rng, check):
    tensors, expected = [], {}
    for kind, name in NAMES.items():
        if kind in LAYOUT:
            raw, values = random_blocks(kind, 768, rng)
        else:
            raw, values = encode(kind, rng.normal(size=768).astype(np.float32))
        tensors.append((name, kind, (3, 256), raw))
        expected[name] = values.reshape(3, 256)
        if check:
            from gguf import quants
            from gguf.constants import GGMLQuantizationType

            theirs = quants.dequantize(np.frombuffer(raw, dtype=np.uint8), GGMLQuantizationType(kind)).reshape(-1)
            scale = np.abs(values).max()
            assert np.abs(theirs.astype(np.float64) - values).max() <= 1e-6 * scale, name
    write_gguf(OUT / "blocks.gguf", {"general.architecture": "blocks"}, tensors)
    write_safetensors(OUT / "blocks.safetensors", expected, {})


def byte_alphabet():
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [b for b in range(256) if b not in shown]
    return {**{b: chr(b) for b in shown}, **{b: chr(256 + i) for i, b in enumerate(rest)}}


def permute(weight, heads):
    """As llama.cpp's converter stores the query and key rows of a Llama model."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def tiny_llama(rng):
    hidden, heads, kv, dim, ffn, theta = 32, 4, 2, 8, 64, 100.0
    scaling = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}
    tokens = [byte_alphabet()[b] for b in range(256)]
    merges = ["h e", "l l", "he ll", "hell o", "Ġ w", "o r", "Ġw or", "l d", "Ġwor ld"]
    tokens += [merge.replace(" ", "") for merge in merges]
    kinds = [1] * len(tokens)
    for text, kind in [("<|begin_of_text|>", 3), ("<|eot_id|>", 3), ("<tool_call>", 4), ("[PAD0]", 5), ("<|im_end|>", 3)]:
        tokens.append(text)
        kinds.append(kind)
    bos, eot = tokens.index("<|begin_of_text|>"), tokens.index("<|eot_id|>")
    shapes = {
        "model.embed_tokens.weight": ("token_embd.weight", F16, (len(tokens), hidden)),
        "model.layers.0.input_layernorm.weight": ("blk.0.attn_norm.weight", F32, (hidden,)),
        "model.layers.0.self_attn.q_proj.weight": ("blk.0.attn_q.weight", F32, (heads * dim, hidden)),
        "model.layers.0.self_attn.k_proj.weight": ("blk.0.attn_k.weight", BF16, (kv * dim, hidden)),
        "model.layers.0.self_attn.v_proj.weight": ("blk.0.attn_v.weight", Q8_0, (kv * dim, hidden)),
        "model.layers.0.self_attn.o_proj.weight": ("blk.0.attn_output.weight", Q5_1, (hidden, heads * dim)),
        "model.layers.0.post_attention_layernorm.weight": ("blk.0.ffn_norm.weight", F32, (hidden,)),
        "model.layers.0.mlp.gate_proj.weight": ("blk.0.ffn_gate.weight", Q4_0, (ffn, hidden)),
        "model.layers.0.mlp.up_proj.weight": ("blk.0.ffn_up.weight", Q4_1, (ffn, hidden)),
        "model.layers.0.mlp.down_proj.weight": ("blk.0.ffn_down.weight", Q5_0, (hidden, ffn)),
        "model.norm.weight": ("output_norm.weight", F32, (hidden,)),
    }
    stored, expected = [], {}
    for name, (gguf_name, kind, shape) in shapes.items():
        count = int(np.prod(shape))
        permuted = heads if "attn_q" in gguf_name else kv if "attn_k" in gguf_name else 0
        if permuted:
            values = rng.normal(size=shape).astype(np.float32)
            _, expected[name] = encode(kind, values.reshape(-1))
            raw, _ = encode(kind, permute(values, permuted).reshape(-1))
        else:
            raw, expected[name] = random_blocks(kind, count, rng) if kind in LAYOUT else encode(kind, rng.normal(size=count).astype(np.float32))
        expected[name] = expected[name].reshape(shape)
        stored.append((gguf_name, kind, shape, raw))
    divisors = []
    for i in range(dim // 2):
        wave = 2 * np.pi * theta ** (2 * i / dim)
        original, low, high = scaling["original_max_position_embeddings"], scaling["low_freq_factor"], scaling["high_freq_factor"]
        if wave < original / high:
            divisors.append(1.0)
        elif wave > original / low:
            divisors.append(scaling["factor"])
        else:
            smooth = (original / wave - low) / (high - low)
            divisors.append(1 / ((1 - smooth) / scaling["factor"] + smooth))
    stored.append(("rope_freqs.weight", F32, (dim // 2,), np.array(divisors, dtype="<f4").tobytes()))
    template = "{{ bos_token }}{% for m in messages %}{{ m.role + ': ' + m.content + '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
    metadata = {
        "general.architecture": "llama",
        "llama.block_count": 1,
        "llama.context_length": 768,
        "llama.embedding_length": hidden,
        "llama.feed_forward_length": ffn,
        "llama.attention.head_count": heads,
        "llama.attention.head_count_kv": kv,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.freq_base": theta,
        "llama.rope.dimension_count": dim,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "llama-bpe",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.bos_token_id": bos,
        "tokenizer.ggml.eos_token_id": eot,
        "tokenizer.ggml.add_bos_token": True,
        "tokenizer.chat_template": template,
    }
    write_gguf(OUT / "tiny-llama3.gguf", metadata, stored)
    write_safetensors(OUT / "tiny-llama3.safetensors", expected, {"rope_divisors": json.dumps(divisors), "scaling": json.dumps(scaling)})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(7)
    blocks(generator, arguments.check)
    tiny_llama(generator)
