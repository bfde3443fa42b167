"""Writes the tables of reasons and findings in docs/ from `bley.core.findings`: `python docs/finding_tables.py`.

A table stands behind a line `<!-- table: NAME -->`.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from bley.core.findings import LOG_FIELDS, REASON_OF, REASONS, FindingKind

FOLDER = Path(__file__).parent


def main() -> None:
    """Write the tables into all pages."""
    for name in ("reasons.md", "log.md"):
        page = FOLDER / name
        page.write_text(with_tables(page.read_text(encoding="utf-8")), encoding="utf-8")


def with_tables(text: str) -> str:
    """Return the page with its tables of today."""
    return re.sub(
        r"(<!-- table: (\w+) -->\n\n)(?:\|.*\n)+", lambda match: match[1] + "\n".join(_TABLES[match[2]]()) + "\n", text
    )


def _reasons() -> Iterator[str]:
    yield from ("| reason | answer | when |", "|---|---|---|")
    for word, row in REASONS.items():
        tips = "the findings reach `rfc_threshold`, this one last: " if word in REASON_OF.values() else ""
        yield f"| `{word}` | {row.answer} | {tips}{_marked(row.says)} |"


def _findings() -> Iterator[str]:
    yield from ("| finding | score | by bley 2 | in the log | when | source |", "|---|---|---|---|---|---|")
    for kind in FindingKind:
        row = kind.row
        field = f"`{row.check}`" if row.check else "by its name"
        yield f"| `{kind}` | {row.score} | {row.bley2_score} | {field} | {row.rule} | {row.source} |"


def _journal() -> Iterator[str]:
    yield from ("| finding | journal |", "|---|---|")
    for field in LOG_FIELDS:
        yield f"| `{field}` | `BLEY_{field.upper().replace('-', '_')}` |"


def _marked(text: str) -> str:
    """Return the text with settings as code."""
    return re.sub(r"\b[a-z]+(?:_[a-z]+)+\b", r"`\g<0>`", text)


_TABLES = {"reasons": _reasons, "findings": _findings, "journal": _journal}


if __name__ == "__main__":
    main()
