"""Manual pages from Markdown: headings, paragraphs, lists, code, and tables whose first column is a key."""

import re
import textwrap
from collections.abc import Iterable

__all__ = ["PREAMBLE", "blocks", "entry", "heading", "joined", "literal", "text"]

PREAMBLE = ".nr HY 0\n.ds AD l\n.nh\n.ad l\n"
"""No word is hyphenated, and no line is stretched: what a reader copies from the page stays as it is.

The first two requests are for groff 1.23, which sets both again in each paragraph.
"""

_BLOCK = re.compile(r"```(?:[^`]|`(?!``))*```\n|(?:.+\n)+")
"""Code, or lines up to an empty one."""


def blocks(markdown: str) -> str:
    """Return a Markdown text, which ends with a newline."""
    return "".join(_block(block.rstrip()) for block in _BLOCK.findall(markdown))


def joined(parts: Iterable[str]) -> str:
    """Return the page: the first paragraph of a section needs no request."""
    return re.sub(r"^(\.S[HS] .*\n)\.PP\n", r"\1", "".join(parts), flags=re.MULTILINE)


def heading(title: str) -> str:
    """Return the heading of a section."""
    return f".SH {title.upper()}\n"


def entry(term: str, description: str) -> str:
    """Return a term, as it is printed, with the text in Markdown that describes it."""
    return f".TP\n.B {_escaped(term)}\n{text(description)}\n"


def literal(lines: list[str]) -> str:
    """Return lines that are never wrapped."""
    return ".PP\n.nf\n" + "".join(f"{_guarded(_escaped(line))}\n" for line in lines) + ".fi\n"


def text(markdown: str) -> str:
    """Return running text, in lines of at most 80 characters unless a word is longer."""
    escaped = _escaped(re.sub(r"`([^`]*)`|\*\*([^*]*)\*\*", r"\1\2", markdown))
    lines = (textwrap.fill(line, 80, break_long_words=False, break_on_hyphens=False) for line in escaped.splitlines())
    return _guarded("\n".join(lines))


def _escaped(plain: str) -> str:
    """Return ASCII in which backslash and hyphen are themselves."""
    escaped = plain.replace("\\", "\\e").replace("-", "\\-")
    return "".join(each if each.isascii() else f"\\[u{ord(each):04X}]" for each in escaped)


def _guarded(escaped: str) -> str:
    """Return the text with no line that troff takes as a request, which begins with a dot or quote."""
    return re.sub(r"^([.'])", r"\\&\1", escaped, flags=re.MULTILINE)


def _block(block: str) -> str:
    if block.startswith("## "):
        return heading(block[3:])
    if block.startswith("```"):
        return literal(block.splitlines()[1:-1])
    if block.startswith("- "):
        return "".join(f".IP \\(bu 2\n{text(item[2:])}\n" for item in block.splitlines())
    if block.startswith("|"):
        head, _, *rows = ([cell.strip() for cell in row.strip("|").split(" | ")] for row in block.splitlines())
        return "".join(_row(head, row) for row in rows)
    return f".PP\n{text(block)}\n"


def _sentence(cell: str) -> str:
    """Return the text of a cell as a sentence. One that begins with code keeps its first letter."""
    return cell[:1].upper() + cell[1:].removesuffix(".") + "." if cell else ""


def _row(head: list[str], row: list[str]) -> str:
    """Return one table row: its first cell as the term, the last as the text, with the other cells in front."""
    between = [f"{name.capitalize()}: {cell}." for name, cell in zip(head[1:-1], row[1:-1], strict=True)]
    description = "\n".join([*between, _sentence(row[-1])])
    return f".TP\n.B {text(row[0])}\n{text(description)}\n"
