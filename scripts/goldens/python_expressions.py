"""Writes what CPython makes of Python expressions, well and badly formed: test/fixtures/text/python-expressions.jsonl.

    python3.11 scripts/goldens/python_expressions.py [--random N] > test/fixtures/text/python-expressions.jsonl

A line: `text`; `accepted`, for f-strings that `ast.parse` takes; else `unparsed`, the text that `ast.unparse` gives (null where `ast.parse` raises); `value`, the `repr` of the expression where it
consists of constants and operators between them (absent otherwise, null where Python raises). The values need no name: nothing is looked up.
"""

import argparse
import ast
import json
import random
import warnings
from pathlib import Path

warnings.simplefilter('ignore')

HAND = Path(__file__).with_suffix('.txt').read_text()


def literal(node):
    """The value of an expression of constants and operators, as `eval` gives it; KeyError where it is none."""
    for child in ast.walk(node):
        if not isinstance(child, (ast.Constant, ast.UnaryOp, ast.BinOp, ast.List, ast.Tuple, ast.Dict, ast.unaryop, ast.operator, ast.Load)):
            raise KeyError
        if isinstance(child, ast.Constant) and (isinstance(child.value, (bytes, complex)) or child.value is ...):
            raise KeyError
        if isinstance(child, ast.Dict) and None in child.keys:
            raise KeyError
    return eval(compile(ast.Expression(node), '', 'eval'), {'__builtins__': {}})


def row(text):
    try:
        tree = ast.parse(text, mode='eval').body
    except Exception:
        return {'text': text, 'unparsed': None}
    nodes = list(ast.walk(tree))
    if any(isinstance(node, ast.JoinedStr) for node in nodes):
        return {'text': text, 'accepted': True}  # f-strings keep their own spelling here
    result = {'text': text, 'unparsed': ast.unparse(tree)}
    try:
        if sum(isinstance(node, (ast.Pow, ast.LShift, ast.Mult)) for node in nodes) <= 1:
            value = literal(tree)
            if not isinstance(value, complex):
                result['value'] = repr(value)
    except KeyError:
        pass
    except Exception:
        result['value'] = None
    return result


class Writer:
    """Random expressions, some of them broken."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def pick(self, *options):
        return self.random.choice(options)

    def expression(self, depth):
        r = self.random
        if depth <= 0:
            return self.pick('a', 'b', 'f', '1', '2', '0', '3.5', '1e3', "'s'", '"t"', 'None', 'True', '...', '-1', '[]', '{}', '()', "b'x'", '10', "r'\\d'")
        e = lambda: self.expression(depth - 1)
        kind = r.randrange(22)
        if kind <= 3:
            return e() + self.pick(' ', '') + self.pick('+', '-', '*', '/', '//', '%', '**', '<<', '>>', '|', '^', '&', '@') + self.pick(' ', '') + e()
        if kind == 4:
            return self.pick('-', '+', '~', 'not ', '- ') + e()
        if kind == 5:
            return e() + self.pick(' and ', ' or ') + e()
        if kind == 6:
            return e() + self.pick(' < ', ' == ', ' in ', ' not in ', ' is ', ' is not ', ' != ') + e()
        if kind == 7:
            return f'{e()} if {e()} else {e()}'
        if kind == 8:
            return f'({e()})'
        if kind == 9:
            return '[' + ', '.join(e() for _ in range(r.randrange(4))) + self.pick('', '', ',') + ']'
        if kind == 10:
            return '(' + ', '.join(e() for _ in range(r.randrange(4))) + self.pick('', ',') + ')'
        if kind == 11:
            return '{' + ', '.join(f'{e()}: {e()}' for _ in range(r.randrange(3))) + '}'
        if kind == 12:
            return '{' + ', '.join(e() for _ in range(1 + r.randrange(3))) + '}'
        if kind <= 15:
            parts = [self.pick('', '', 'x=', 'y=', 'z=', '*', '**') + e() for _ in range(r.randrange(4))]
            return f'{self.pick("f", "a.b", e())}({", ".join(parts)}{self.pick("", "", ",")})'
        if kind == 16:
            return f'{e()}[{e()}]'
        if kind == 17:
            return f'{e()}[{self.pick("", e())}:{self.pick("", e())}{self.pick("", ":", ":" + e())}]'
        if kind == 18:
            return f'{e()}.{self.pick("a", "b", "real")}'
        if kind == 19:
            return f'lambda {self.pick("", "x", "x, y=1", "*a, **k", "x, /")}: {e()}'
        if kind == 20:
            o, c = self.pick('[]', '()', '{}')
            return f'{o}{e()} for {self.pick("i", "i, j", "(i, j)", e())} in {e()}{self.pick("", " if " + e())}{c}'
        return self.pick('(y := ' + e() + ')', 'await ' + e(), '*' + e(), '(yield ' + e() + ')', "f'{a}'")

    def broken(self, text):
        r = self.random
        at = r.randrange(len(text) + 1)
        how = r.randrange(4)
        if how == 0:
            return text[:at] + text[at + 1:]
        if how == 1:
            return text[:at] + self.pick(*'()[]{},.:=*+-\'"\\ \n#$é0a') + text[at:]
        if how == 2:
            return text[:at]
        return text[:at] + self.pick(' if ', ' for ', ' in ', ':=', '**', 'lambda', 'else', '...', 'not') + text[at:]

    def text(self):
        text = self.expression(1 + self.random.randrange(4))
        return self.broken(text) if self.random.random() < 0.4 else text


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--random', type=int, default=600)
    parser.add_argument('--seed', type=int, default=0)
    arguments = parser.parse_args()
    texts = [line for line in HAND.split('\n') if line]
    texts += [
        "'a\nb'", '"""a\nb"""', 'a\n', '\na', '\n\n  a', '  a', ' \n a', 'a\n\n', 'a\n# c\n', 'a\n b', '(a,\n b)', '[\n\n a\n]', 'a \\\n + b',
        '\\\na', 'a\r\n', '[a,\r\n b]', "'''a\r\nb\rc'''", "'a\rb'", 'a\x0c', '\x0ca', 'a\x0bb', 'a\xa0b', '\ufeffa', 'a\0', '\t[f()]',
        '[' * 90 + ']' * 90, '[' * 201 + ']' * 201, '(' * 60 + 'a' + ')' * 60, '-' * 900 + '1', 'not ' * 50 + 'a', '1' * 4300, '1' * 4301,
        '0x' + 'f' * 5000, '+'.join(['1'] * 500), 'a' + '.b' * 500, 'a' + '[0]' * 300, 'f' + '()' * 300, '2**' * 30 + '1',
    ]
    writer = Writer(arguments.seed)
    texts += [writer.text() for _ in range(arguments.random)]
    for text in dict.fromkeys(texts):
        try:
            line = row(text)
        except (RecursionError, ValueError):  # of ast.unparse, which is recursive Python
            continue
        if line is not None:
            print(json.dumps(line))


main()
