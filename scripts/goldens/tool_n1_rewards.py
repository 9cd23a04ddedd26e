"""Writes test/fixtures/tool-n1-rewards.jsonl: completions, truths and the six scores of Tool-N1's reward.

The scores come from a second implementation of the rules, below, on CPython's own json, re and str.strip: what the TypeScript has to
reproduce. Run with CPython 3.11 or later: python3 scripts/goldens/tool_n1_rewards.py > test/fixtures/tool-n1-rewards.jsonl
"""

import json
import random
import re
from collections import Counter

CALL = re.compile(r"<tool_call>(.*?)</tool_call>", re.DOTALL)
TABLE = {  # variant: scores of (exact, right names, other) with both think tags, then without
    "v0": ((1, 0, 0), (0, 0, 0)),
    "v1": ((1.2, -0.2, -0.2), (1, 0, 0)),
    "v2": ((1, 0, 0), (1, 0, 0)),
    "v3": ((1.0, 0.2, 0.2), (0.8, 0, 0)),
    "v4": ((1.0, 0.4, 0.2), (0.8, 0.2, 0)),
    "llama": ((1, 0, 0), (0, 0, 0)),
}


def counts(calls):
    return Counter((c["name"], json.dumps(c["arguments"], sort_keys=True)) for c in calls)


def outcome(found, truth):
    if not all(isinstance(c, dict) and "name" in c and "arguments" in c for c in found):
        return 2
    if not found or not truth:
        return 0 if len(found) == len(truth) else 2
    try:
        if counts(found) == counts(truth):
            return 0
    except TypeError:
        return 2
    return 1 if Counter(c["name"] for c in found) == Counter(c["name"] for c in truth) else 2


def score(completion, truth, variant):
    truth = json.loads(truth)
    truth = json.loads(truth) if isinstance(truth, str) else truth
    start = completion.rfind("<|im_start|>assistant") if variant != "llama" else -1
    text = completion[max(start, 0):]
    blocks = CALL.findall(text)
    thinks = "<think>" in text and "</think>" in text
    if variant == "llama" and not blocks:
        return int(not truth)
    rows = TABLE[variant][0 if thinks else 1]
    none = 0 if variant == "v1" else rows[2]
    try:
        found = json.loads(blocks[-1].strip())
        found = json.loads(found) if isinstance(found, str) else found
    except (IndexError, ValueError, RecursionError):
        return none
    if found is None:
        return none
    found = [found] if isinstance(found, dict) else found
    return rows[outcome(found, truth)] if isinstance(found, (str, list)) else 0


TRUTHS = [
    [{"name": "rate_film", "arguments": {"title": "Déjà vu", "stars": 4}}],
    [{"name": "heat", "arguments": {"room": "attic", "degrees": 21.0}}, {"name": "heat", "arguments": {"room": "hall", "degrees": 21.5}}],
    [{"name": "pay", "arguments": {"to": {"iban": "X1", "name": "Ada"}, "cents": 2**60, "tags": [1, 2.0, None, True]}}],
    [{"name": "stop", "arguments": {}}],
    [],
]

BLOCKS = {
    "same": lambda t: json.dumps(t),
    "unescaped, indented": lambda t: json.dumps(t, ensure_ascii=False, indent=1),
    "reversed": lambda t: json.dumps(t[::-1]),
    "doubled": lambda t: json.dumps(t + t),
    "keys reversed": lambda t: json.dumps([dict(reversed({**c, "arguments": dict(reversed(c["arguments"].items()))}.items())) for c in t]),
    "int as float": lambda t: re.sub(r"(: -?\d+)([,}])", r"\1.0\2", json.dumps(t)),
    "float as int": lambda t: re.sub(r"(\d)\.0\b", r"\1", json.dumps(t)),
    "exponent": lambda t: json.dumps(t).replace("21.0", "2.1e1").replace("21.5", "0.215e2"),
    "number as string": lambda t: re.sub(r": (\d+)([,}])", r': "\1"\2', json.dumps(t)),
    "one more key": lambda t: json.dumps([{**c, "id": 7} for c in t]),
    "no arguments": lambda t: json.dumps([{"name": c["name"]} for c in t]),
    "null arguments": lambda t: json.dumps([{**c, "arguments": None} for c in t]),
    "other name": lambda t: json.dumps([{**c, "name": c["name"].upper()} for c in t]),
    "number as name": lambda t: json.dumps([{**c, "name": 1} for c in t]),
    "list as name": lambda t: json.dumps([{**c, "name": []} for c in t]),
    "lone object": lambda t: json.dumps(t[0] if t else {}),
    "string": lambda t: json.dumps(json.dumps(t)),
    "string of a string": lambda t: json.dumps(json.dumps(json.dumps(t))),
    "empty string twice": lambda t: '"\\"\\""',
    "list of strings": lambda t: json.dumps([json.dumps(c) for c in t]),
    "duplicate key": lambda t: json.dumps(t).replace('"name"', '"name": "x", "name"'),
    "trailing comma": lambda t: json.dumps(t)[:-1] + ",]",
    "NaN": lambda t: '[{"name": "heat", "arguments": {"room": NaN}}]',
    "true": lambda t: "true",
    "number": lambda t: "-1.5",
    "null": lambda t: "null",
    "nothing": lambda t: " ",
    "code fence": lambda t: "```json\n" + json.dumps(t) + "\n```",
    "odd spaces": lambda t: "\u00a0\u2003\x1c\n" + json.dumps(t) + "\u3000\x85",
    "byte-order mark": lambda t: "\ufeff" + json.dumps(t),
    "form feed inside": lambda t: json.dumps(t).replace(", ", ",\f"),
    "deep": lambda t: "[" * 2000 + "]" * 2000,
    "4300 digits": lambda t: '[{"name": "stop", "arguments": ' + "7" * 4301 + "}]",
}

FRAMES = {
    "full": "<think>Sure.</think>\n<tool_call>{}</tool_call>",
    "no thought": "<tool_call>{}</tool_call>",
    "open thought": "<think>Sure. <tool_call>{}</tool_call>",
    "tags swapped": "<tool_call>{}</tool_call></think><think>",
    "capitals": "<THINK>Sure.</THINK><tool_call>{}</tool_call>",
    "no block": "<think>Sure.</think>{}",
    "block not closed": "<think>Sure.</think><tool_call>{}",
    "two, last right": "<think></think><tool_call>x</tool_call><tool_call>{}</tool_call>",
    "two, first right": "<think></think><tool_call>{}</tool_call><tool_call>[]</tool_call>",
    "nested": "<think></think><tool_call><tool_call>{}</tool_call></tool_call>",
    "earlier turn": "<think></think><tool_call>{}</tool_call><|im_end|>\n<|im_start|>assistant\nDone.",
    "own turn": "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n<think></think><tool_call>{}</tool_call><|im_end|>",
}


def main():
    rng = random.Random(0)
    for block, make in BLOCKS.items():
        for truth in TRUTHS:
            for frame in ["full", rng.choice(list(FRAMES)[1:])]:
                text = json.dumps(truth)
                completion = FRAMES[frame].format(make(truth)) if "{}" in FRAMES[frame] else FRAMES[frame]
                stored = json.dumps(text) if rng.random() < 0.2 else text
                scores = {v: score(completion, stored, v) for v in TABLE}
                print(json.dumps({"case": f"{block}, {frame}", "completion": completion, "truth": stored, "scores": scores}))


if __name__ == "__main__":
    main()
