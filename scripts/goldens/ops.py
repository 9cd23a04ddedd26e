"""Writes test/fixtures/goldens/kernels/*.safetensors: ops as PyTorch computes them, with its gradients.

    python -m venv .venv && .venv/bin/pip install torch transformers safetensors
    .venv/bin/python scripts/goldens/ops.py

Inputs are fp32 numbers; PyTorch computes in float64 (SDPA, autograd) and results are rounded to fp32. AdamW and
gradient clipping run in fp32, as a trainer runs them. A file has the layout of the parity vectors of kernels, so
test/parity/kernels.ts reads both: tensors in.*, out.*, dout.* (upstream gradients), grad.*; metadata op and attrs.
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

target = Path(__file__).parents[2] / "test" / "fixtures" / "goldens" / "kernels"
generator = torch.Generator().manual_seed(20250711)
count = 0


def normal(*shape, scale=1.0):
    """fp32 values, carried in float64."""
    return (torch.randn(*shape, generator=generator) * scale).float().double()


def integers(limit, *shape):
    return torch.randint(0, limit, shape, generator=generator, dtype=torch.int32)


def write(op, attrs, **groups):
    global count
    tensors = {}
    for group, entries in groups.items():
        for name, value in entries.items():
            value = value.detach()
            tensors[f"{group.strip('_')}.{name}"] = (value if value.dtype == torch.int32 else value.float()).contiguous()
    target.mkdir(parents=True, exist_ok=True)
    save_file(tensors, target / f"{count:02}_{op}.safetensors", {"op": op, "attrs": json.dumps(attrs)})
    count += 1


def differentiable(op, attrs, inputs, compute, fixed=None):
    """compute(inputs) gives outputs; those of floating type get a random upstream gradient."""
    variables = {name: value.clone().requires_grad_() for name, value in inputs.items()}
    outputs, extra = compute(variables)
    upstream = {name: normal(*value.shape) for name, value in outputs.items()}
    total = sum((value * upstream[name]).sum() for name, value in outputs.items())
    gradients = torch.autograd.grad(total, list(variables.values()))
    write(op, attrs, in_={**inputs, **(fixed or {})}, out={**outputs, **extra}, dout=upstream,
          grad=dict(zip(variables, gradients)))


def rms_norm(rows, width, eps, residual):
    inputs = {"x": normal(rows, width), "w": normal(width)}
    if residual:
        inputs["residual"] = normal(rows, width)

    def compute(v):
        s = v["x"] + v["residual"] if residual else v["x"]
        y = F.rms_norm(s, (width,), v["w"], eps)
        return ({"y": y, "sum": s} if residual else {"y": y}), {}

    differentiable("rms_norm", {"eps": eps}, inputs, compute)


def swiglu(rows, width):
    differentiable("swiglu", {}, {"gate": normal(rows, width, scale=3), "up": normal(rows, width)},
                   lambda v: ({"y": F.silu(v["gate"]) * v["up"]}, {}))


def rope(rows, heads, width, theta, scaling):
    parameters = {"rope_theta": theta, **(scaling or {"rope_type": "default"})}
    config = LlamaConfig(hidden_size=heads * width, num_attention_heads=heads, head_dim=width,
                         max_position_embeddings=2048, rope_parameters=parameters)
    inverse = LlamaRotaryEmbedding(config).inv_freq.double()
    positions = integers(60, rows)  # transformers keeps frequencies in fp32: far positions would show its rounding
    angles = positions.double()[:, None] * inverse
    angles = torch.cat([angles, angles], -1)[None]

    def compute(v):
        q = v["x"].transpose(0, 1)[None]
        return {"y": apply_rotary_pos_emb(q, q, angles.cos(), angles.sin())[0][0].transpose(0, 1)}, {}

    differentiable("rope", {"theta": theta, "scaling": scaling}, {"x": normal(rows, heads, width)}, compute,
                   {"positions": positions})


def attention(query_heads, kv_heads, width, keys, segments):
    queries = max(segment["queries"][1] for segment in segments)
    mask = torch.zeros(queries, keys, dtype=torch.bool)
    for segment in segments:
        for row in range(*segment["queries"]):
            for begin, end in segment["spans"]:
                mask[row, begin:end] = True
            if segment["keys"]:
                first = segment["keys"][0]
                mask[row, first : first + row - segment["queries"][0] + 1] = True
    scale = width**-0.5

    def compute(v):
        q, k, w = (v[name].transpose(0, 1)[None] for name in ("q", "k", "v"))
        out = F.scaled_dot_product_attention(q, k, w, mask, scale=scale, enable_gqa=True)[0].transpose(0, 1)
        scores = torch.einsum("qhd,khd->qhk", v["q"], v["k"].repeat_interleave(query_heads // kv_heads, 1)) * scale
        lse = scores.masked_fill(~mask[:, None], -torch.inf).logsumexp(-1)
        return {"out": out}, {"lse": lse}

    inputs = {"q": normal(queries, query_heads, width), "k": normal(keys, kv_heads, width),
              "v": normal(keys, kv_heads, width)}
    differentiable("attention", {"scale": scale, "segments": segments}, inputs, compute)


def linear_logprob(rows, width, vocab, temperature):
    targets = integers(vocab, rows)

    def compute(v):
        logits = v["h"] @ v["W"].T / temperature
        logprobs = logits.log_softmax(-1)
        logprob = -F.cross_entropy(logits, targets.long(), reduction="none")
        entropy = torch.distributions.Categorical(logits=logits).entropy()
        return {"logprob": logprob, "entropy": entropy}, {"lse": (logits - logprobs)[:, 0]}

    inputs = {"h": normal(rows, width), "W": normal(vocab, width, scale=0.3)}
    differentiable("linear_logprob", {"temperature": temperature}, inputs, compute, {"targets": targets})


def embedding(vocab, width, tokens):
    ids = integers(vocab, tokens)
    differentiable("embedding", {}, {"W": normal(vocab, width)}, lambda v: ({"y": F.embedding(ids, v["W"])}, {}),
                   {"ids": ids})


def adamw(size, steps, lr, beta1, beta2, eps, decay):
    """The last of several steps of torch.optim.AdamW."""
    parameter = torch.nn.Parameter(normal(size).float())
    optimizer = torch.optim.AdamW([parameter], lr=lr, betas=(beta1, beta2), eps=eps, weight_decay=decay)
    for step in range(1, steps + 1):
        parameter.grad = normal(size).float()
        state = optimizer.state[parameter]
        before = {name: state[key].clone() if state else torch.zeros(size)
                  for name, key in (("m", "exp_avg"), ("v", "exp_avg_sq"))}
        before |= {"p": parameter.detach().clone(), "g": parameter.grad.clone()}
        optimizer.step()
    state = optimizer.state[parameter]
    attrs = {"step": steps, "lr": lr, "beta1": beta1, "beta2": beta2, "eps": eps, "weightDecay": decay}
    write("adamw", attrs, in_=before, out={"p": parameter, "m": state["exp_avg"], "v": state["exp_avg_sq"]})


def clip_grad_norm(shapes, max_norm, scale=1.0):
    parameters = [torch.nn.Parameter(torch.zeros(shape)) for shape in shapes]
    gradients = [normal(*shape, scale=scale).float() for shape in shapes]
    for parameter, gradient in zip(parameters, gradients):
        parameter.grad = gradient.clone()
    norm = torch.nn.utils.clip_grad_norm_(parameters, max_norm)
    write("clip_grad_norm", {"maxNorm": max_norm}, in_={f"g{i}": g for i, g in enumerate(gradients)},
          out={"norm": norm.reshape(1), **{f"g{i}": p.grad for i, p in enumerate(parameters)}})


llama3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 32}


def main():
    for file in target.glob("*.safetensors"):
        file.unlink()
    rms_norm(9, 97, 1e-5, False)
    rms_norm(9, 96, 1e-6, True)
    swiglu(7, 111)
    rope(11, 3, 32, 10000.0, None)
    rope(7, 2, 64, 500000.0, llama3)
    attention(4, 2, 32, 17, [{"queries": [0, 17], "keys": [0, 17], "spans": []}])
    attention(3, 1, 32, 20, [{"queries": [0, 9], "keys": [0, 9], "spans": []},
                             {"queries": [9, 14], "keys": [9, 14], "spans": [[0, 9]]},
                             {"queries": [14, 20], "keys": [14, 20], "spans": [[0, 9]]}])
    attention(2, 2, 16, 12, [{"queries": [0, 3], "keys": None, "spans": [[2, 5]]},
                             {"queries": [3, 7], "keys": [8, 12], "spans": [[0, 2], [4, 7]]}])
    linear_logprob(13, 24, 59, 1.0)
    linear_logprob(5, 32, 97, 0.7)
    embedding(31, 12, 20)
    adamw(59, 1, 1e-3, 0.9, 0.999, 1e-8, 0.01)
    adamw(111, 6, 0.05, 0.8, 0.95, 1e-6, 0.1)
    clip_grad_norm([(59,), (7, 11)], 1.0)
    clip_grad_norm([(5,)], 1.0, scale=0.01)
    size = sum(file.stat().st_size for file in target.glob("*.safetensors"))
    print(f"{count} cases, {size} bytes, torch {torch.__version__}")


if __name__ == "__main__":
    main()
