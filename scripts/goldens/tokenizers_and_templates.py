"""Fixtures for lib/text: tokens by the `tokenizers` library, rendered conversations by transformers.

    python scripts/goldens/tokenizers_and_templates.py      (tokenizers, transformers)

Five small tokenizers, one for each pre-tokenizer family that models of this project have, trained here on a few lines; their
tokens for texts that are hard to cut. And templates that use what chat templates of Llama and Qwen use.
"""

import json
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers.utils.chat_template_utils import render_jinja_template

OUT = Path(__file__).resolve().parents[2] / "test" / "fixtures" / "text"
CORPUS = [
    "The weather in Zürich is 21 degrees. The weather in Paris is 12.5 degrees, isn't it?",
    'get_weather(city="Paris", days=3)\n{"name": "get_weather", "arguments": {"city": "Paris", "days": 3}}',
    "I'll call the tool, and they've called it; we're done.  Two  spaces,\ttabs\n\nand new lines.",
    "naïve café 你好 世界 нет ok 🚀🚀 1234567890 ٣٤٥ x²+y³",
] * 3
SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
TEXTS = [
    "",
    " ",
    "Hello, world! It's 2024-05-06, isn't IT?",
    "get_weather(city=\"Zürich\", days=1234567)",
    '{"name": "f", "arguments": {"a": [1, 2.50, -3e10], "b": null}}\n',
    "  leading, trailing and   inner   spaces   ",
    "tabs\tand\r\nnew\n\n\nlines \n \n x",
    "naïve café e\u0301 你好，世界 🚀👨‍👩‍👧 \u00a0nbsp\u3000wide\u2028line",
    "\ufeffbom and \u0085nel and \u200bzero width",
    "digits ٣٤٥ ² ½ Ⅷ 12345678901234567890",
    "They'RE we'Ve I'LL don't 'quoted' s's",
    "a" * 50 + " " * 20 + "-" * 30 + "\n" * 5,
    "<|im_start|>user\nhi<|im_end|>\n<tool_call>x</tool_call> < |im_end|> <|im_end|",
    "x <mask> y <strip>  z",
]


def byte_level(name, steps, normalizer=None, ignore_merges=False, post=None):
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = steps[0] if len(steps) == 1 else pre_tokenizers.Sequence(steps)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=420, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return finish(name, tokenizer, post)


def metaspace(name):
    """As in the first Llama models: no pre-tokenizer, spaces as U+2581, bytes for unknown characters."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=460, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator([line[:60] for line in CORPUS[:6]], trainer)
    state = json.loads(tokenizer.to_str())
    state["added_tokens"] = [t for t in state["added_tokens"] if t["content"] in ("<unk>", "<s>", "</s>")]
    tokenizer = Tokenizer.from_str(json.dumps(state))
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    return finish(name, tokenizer, "<s>")


def finish(name, tokenizer, post):
    tokenizer.add_special_tokens([AddedToken("<|im_start|>", special=True), AddedToken("<|im_end|>", special=True)])
    tokenizer.add_tokens([AddedToken("<tool_call>", normalized=False), AddedToken("</tool_call>", normalized=False)])
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True), AddedToken("<strip>", rstrip=True, special=True)])
    if post:
        tokenizer.post_processor = processors.TemplateProcessing(single=f"{post} $A", special_tokens=[(post, tokenizer.token_to_id(post))])
    cases = []
    for text in TEXTS:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        cases.append({
            "text": text,
            "ids": ids,
            "with_special": tokenizer.encode(text).ids,
            "decoded": tokenizer.decode(ids, skip_special_tokens=False),
            "skipped": tokenizer.decode(ids, skip_special_tokens=True),
        })
    (OUT / f"tokenizer-{name}.json").write_text(json.dumps({"tokenizer": json.loads(tokenizer.to_str()), "cases": cases}, ensure_ascii=False))


TOOL = {"type": "function", "function": {"name": "get_weather", "description": "Weather of a city — today", "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer", "default": 1}}, "required": ["city"]}}}
CALL = {"type": "function", "function": {"name": "get_weather", "arguments": {"city": "Zürich \"west\"", "days": 2}}}
CONVERSATIONS = [
    {"messages": [{"role": "user", "content": "Hi"}], "tools": None},
    {"messages": [{"role": "system", "content": " Be brief.\n"}, {"role": "user", "content": "  2 < 3 & 'x' \"y\"?  "}], "tools": None},
    {"messages": [{"role": "system", "content": "You call tools."}, {"role": "user", "content": "Weather?"}], "tools": [TOOL, TOOL]},
    {"messages": [{"role": "user", "content": "Weather?"}, {"role": "assistant", "content": "", "tool_calls": [CALL, CALL]}, {"role": "tool", "name": "get_weather", "content": '{"t": 21.5}'}, {"role": "tool", "name": "get_weather", "content": "rain"}, {"role": "user", "content": "Thanks"}], "tools": [TOOL]},
    {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "<think>\nhm\n</think>\n\nb"}, {"role": "user", "content": "c"}], "tools": None},
]
TEMPLATES = {
    "chatml": "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are helpful<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    "tools": """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\\n\\n' }}
    {%- endif %}
    {{- "# Tools\\n<tools>" }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\\n</tools><|im_end|>\\n" }}
{%- else %}
    {%- if messages[0].role == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endif %}
{%- set ns = namespace(last=-1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.last == -1 and message.role == "user" and message.content is string %}
        {%- set ns.last = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.role == "user" or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set content = message.content %}
        {%- if '</think>' in content and loop.index0 < ns.last %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- for call in message.tool_calls %}
            {%- if (loop.first and content) or (not loop.first) %}{{- '\\n' }}{%- endif %}
            {{- '<tool_call>\\n{"name": "' + call.function.name + '", "arguments": ' + (call.function.arguments | tojson) + '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}{{- '<|im_start|>user' }}{%- endif %}
        {{- '\\n<tool_response>\\n' + message.content + '\\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}{{- '<|im_end|>\\n' }}{%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}
""",
    "headers": """{{- bos_token }}
{%- if not date_string is defined %}{%- set date_string = "26 Jul 2024" %}{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|im_start|>system\\n\\nToday Date: " + date_string + "\\n" }}
{%- if tools is not none %}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\\n\\n" }}
    {%- endfor %}
{%- endif %}
{{- system_message }}{{- "<|im_end|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|im_start|>' + message['role'] + '\\n\\n'+ message['content'] | trim + '<|im_end|>' }}
    {%- elif 'tool_calls' in message %}
        {%- for tool_call in message.tool_calls %}
            {{- '<|im_start|>assistant\\n\\n{"name": "' + tool_call.function.name + '", "parameters": ' }}
            {{- tool_call.function.arguments | tojson }}{{- "}<|im_end|>" }}
        {%- endfor %}
    {%- else %}
        {{- "<|im_start|>ipython\\n\\n" }}
        {%- if message.content is mapping or message.content is iterable and message.content is not string %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- "<|im_end|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n\\n' }}{%- endif %}
""",
}


def templates():
    cases = []
    for name, source in TEMPLATES.items():
        for conversation in CONVERSATIONS:
            for extra in ({"add_generation_prompt": True}, {"add_generation_prompt": False}, {"add_generation_prompt": True, "enable_thinking": False, "date_string": "1 Jan 2025"}):
                rendered, _ = render_jinja_template(conversations=[conversation["messages"]], tools=conversation["tools"], chat_template=source, bos_token="<s>", eos_token="</s>", **extra)
                cases.append({"template": name, **conversation, "options": extra, "text": rendered[0]})
    (OUT / "templates.json").write_text(json.dumps({"templates": TEMPLATES, "cases": cases}, ensure_ascii=False))


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    bare = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    split = lambda digits: pre_tokenizers.Split(Regex(SPLIT % digits), "isolated")
    byte_level("gpt2", [level])
    byte_level("smollm", [pre_tokenizers.Digits(individual_digits=True), level])
    byte_level("qwen2", [split(r"\p{N}"), bare], normalizer=normalizers.NFC())
    byte_level("llama3", [split(r"\p{N}{1,3}"), bare], ignore_merges=True, post="<|im_start|>")
    metaspace("llama2")
    templates()
