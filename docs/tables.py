"""The tables in docs/ that are made from the code. A table stands behind a line `<!-- table: NAME -->`."""

import re
from collections.abc import Iterator

from docs.commands_page import described_options, documented_commands, usage

from bley.commands.documented import COMMON_STATUSES
from bley.core.findings import LOG_FIELDS, REASON_OF, REASONS, FindingKind

__all__ = ["PAGES", "with_tables"]

PAGES = "reasons.md", "log.md", "commands.md"


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


def _commands() -> Iterator[str]:
    yield from ("| command | purpose |", "|---|---|")
    for command in documented_commands():
        line = usage(command).replace("|", "\\|")
        yield f"| `{line}` | {command.get_short_help_str(limit=80)} |"


def _options_of_list() -> Iterator[str]:
    yield from ("| option | meaning |", "|---|---|")
    for command in documented_commands():
        if command.name == "list":
            for names, described in described_options(command):
                yield f"| `{names.replace('|', chr(92) + '|')}` | {described} |"


def _statuses() -> Iterator[str]:
    yield from ("| status | meaning |", "|---|---|")
    yield from (f"| {status} | {meaning} |" for status, meaning in COMMON_STATUSES.items())


def _marked(text: str) -> str:
    """Return the text with settings as code."""
    return re.sub(r"\b[a-z]+(?:_[a-z]+)+\b", r"`\g<0>`", text)


_TABLES = {
    "reasons": _reasons,
    "findings": _findings,
    "journal": _journal,
    "commands": _commands,
    "options_of_list": _options_of_list,
    "statuses": _statuses,
}
