"""bley.conf(5), from docs/settings.md and the findings."""

from pathlib import Path

from docs.roff import PREAMBLE, blocks, entry, heading, joined

from bley.core.findings import FindingKind

__all__ = ["page"]

_HEAD = f""".\\" Made by docs/settings_page.py
.TH BLEY.CONF 5 "" bley "File formats"
{PREAMBLE}.SH NAME
bley.conf \\- settings of the greylisting daemon bley
.SH DESCRIPTION
"""
_FINDINGS = "The names that `scores` takes, in the order in which their scores are added.\n"
_TAIL = """.SH SEE ALSO
.BR bley (1),
.BR postconf (5)
"""


def page() -> str:
    """Return the manual page."""
    markdown = Path(__file__).with_name("settings.md").read_text(encoding="utf-8")
    _, body = markdown.split("\n", 1)  # without its title
    findings = "".join(map(_finding, FindingKind))
    return joined((_HEAD, blocks(body), heading("Findings"), blocks(_FINDINGS), findings, _TAIL))


def _finding(kind: FindingKind) -> str:
    row = kind.row
    return entry(row.name, f"score {row.score}, by bley 2 {row.bley2_score}: {row.says}")
