"""Read the tables of facts, and the ACL of Exim, that are installed with bley. Neither changes while a process runs.

`core` has no other access to files: it parses these texts when a table is first used.
"""

from collections.abc import Iterator
from pathlib import Path

from publicsuffixlist import PSLFILE

__all__ = ["read_exim_acl", "read_known_lists", "read_public_suffixes"]


def read_known_lists() -> str:
    """Return the text of `lists.toml`, which describes its own format."""
    return Path(__file__).with_name("lists.toml").read_text(encoding="utf-8")


def read_exim_acl() -> str:
    """Return the text of `contrib/exim-acl.conf`, with which Exim queries bley."""
    return Path(__file__).with_name("exim-acl.conf").read_text(encoding="utf-8")


def read_public_suffixes() -> Iterator[bytes]:
    """Yield the lines of the public suffix list (publicsuffix.org) as the package publicsuffixlist installs it."""
    with Path(PSLFILE).open("rb") as lines:
        yield from lines
