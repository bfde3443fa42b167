"""The prose of the project: docstrings, comments, messages, documents, manual pages and templates."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

__all__ = ["Passage", "passages", "split_sentences"]

Passage = tuple[int, str]
"""The number of the first line, and a text in one line."""

_CODE = re.compile(
    r"``.*?``|`[^`]*`|\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}|</?[a-z][^>]*>|https?://\S+|\]\([^)]*\)", re.DOTALL
)
_SENTENCE_END = re.compile(r"(?<![A-Z ]\.[a-z])(?<!e\.g)(?<!i\.e)(?<=[.?!])[)\"”*]* +(?=[\"“(*[`]*[A-Z…])")


def passages(file: Path) -> list[Passage]:
    """Return the passages of prose in a file, without code: whole strings of Python, else lines."""
    text = file.read_text(encoding="utf-8")
    found = _python(text) if file.suffix == ".py" else _markdown(text) if file.suffix == ".md" else _plain(text)
    return [(number, " ".join(_CODE.sub("`…`", passage).split())) for number, passage in found]


def split_sentences(passage: str) -> list[str]:
    """Return the sentences; one begins with a capital letter, a quotation or code."""
    return _SENTENCE_END.split(passage)


def _plain(text: str) -> Iterator[Passage]:
    yield from enumerate(text.splitlines(), 1)


def _markdown(text: str) -> Iterator[Passage]:
    is_code = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            is_code = not is_code
        elif not is_code:
            yield number, line


def _python(text: str) -> Iterator[Passage]:
    """Yield comments, docstrings, and all other strings that have a space."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, node.value
