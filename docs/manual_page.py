"""Make bley.conf(5) from docs/settings.md and the findings: `python docs/manual_page.py >docs/bley.conf.5`.

It knows as much of Markdown as settings.md has: headings, paragraphs, lists, blocks of code, tables whose first column
is a key, `code`.
"""

import re
from pathlib import Path

from bley.core.findings import FindingKind

HEAD = """.\\" Made from docs/settings.md by docs/manual_page.py
.TH BLEY.CONF 5 "" bley "File formats"
.SH NAME
bley.conf \\- settings of the greylisting daemon bley
.SH DESCRIPTION
"""
FINDINGS = """.SH FINDINGS
The names that \\fBscores\\fR takes, in the order in which their scores are added.
"""
_BLOCK = re.compile(r"```(?:[^`]|`(?!``))*```\n|(?:.+\n)+")
"""Code, or lines up to an empty one."""
TAIL = """.SH SEE ALSO
.BR bley (1),
.BR postconf (5)
"""


def main() -> None:
    """Print the page."""
    print(page(Path(__file__).with_name("settings.md").read_text(encoding="utf-8")), end="")


def page(markdown: str) -> str:
    """The manual page of a Markdown text."""
    body = "".join(_block(block.rstrip()) for block in _BLOCK.findall(markdown)[1:])
    return HEAD + body + FINDINGS + "".join(map(_finding, FindingKind)) + TAIL


def _finding(kind: FindingKind) -> str:
    row = kind.row
    return f".TP\n.B {_text(row.name)}\nscore {row.score}, by bley 2 {row.bley2_score}: {_text(row.says)}\n"


def _block(block: str) -> str:
    if block.startswith("## "):
        return f".SH {_text(block[3:]).upper()}\n"
    if block.startswith("```"):
        return ".PP\n.nf\n" + "".join(f"{_text(line)}\n" for line in block.splitlines()[1:-1]) + ".fi\n"
    if block.startswith("- "):
        return "".join(f".IP \\(bu 2\n{_text(item[2:])}\n" for item in block.splitlines())
    if block.startswith("|"):
        head, _, *rows = ([cell.strip() for cell in row.strip("|").split(" | ")] for row in block.splitlines())
        return "".join(_entry(head, row) for row in rows)
    return f".PP\n{_text(block)}\n"


def _entry(head: list[str], row: list[str]) -> str:
    """One table row: its first cell as the term, the last as the text, with what stands between in front."""
    between = "".join(f"{name}: {_text(cell)}.\n" for name, cell in zip(head[1:-1], row[1:-1], strict=True))
    return f".TP\n.B {_text(row[0])}\n{between}{_text(row[-1])}\n"


def _text(markdown: str) -> str:
    """Running text for troff: no line may begin with a dot or quote, backslash and hyphen are themselves."""
    text = re.sub(r"`([^`]*)`|\*\*([^*]*)\*\*", r"\1\2", markdown)
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.MULTILINE)


if __name__ == "__main__":
    main()
