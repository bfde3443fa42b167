"""The settings and list files in force, without secrets, and what changed between two starts or reloads.

A snapshot is stored with each start and reload, so that the next start can be compared with it. It has the texts of
all settings, and of each list file the number of entries and a checksum, but no entry.
"""

import json
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any, Self

from bley import __version__
from bley.core.dnslists.syntax import hide_keys
from bley.core.exemptions.lookup import ClientExemptions, MailExemptions, Origin, SenderExemptions
from bley.core.history.audit import LONGEST_WHAT
from bley.core.quantity import quantity
from bley.settings.file import Configuration
from bley.settings.settings import show_values

__all__ = ["Snapshot", "describe_changes", "take_snapshot"]

_LONGEST_VALUE = 100
"""The characters of a value that a change shows."""

_LONGEST = LONGEST_WHAT - 100
"""The characters of all changes, besides the version; further ones are counted."""

_MOST_COMPARED = 20_000
"""The entries of all list files up to which they are compared one by one, some 30 ms; beyond it they are counted."""

_MOST_WORDS = 5
"""The added or removed entries of a setting that is a list; more are counted."""

_Value = str | list[str]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Settings as texts, or lists of texts, by name; those of a section have its name too."""

    version: str
    settings: Mapping[str, _Value]
    lists: Mapping[str, tuple[int, int]]
    """For each list file the number of its entries, and their checksum."""
    secrets: Mapping[str, object] = field(default_factory=dict, repr=False)
    """The values of settings that contain secrets; they are in no document."""
    entries: Mapping[str, Set[str]] | None = field(default=None, repr=False)
    """The entries of each list file; they are in no document."""

    @property
    def document(self) -> str:
        """The snapshot as JSON, without secrets and entries."""
        return json.dumps({"bley": self.version, "settings": self.settings, "lists": self.lists}, ensure_ascii=False)

    @classmethod
    def parse(cls, document: str) -> Self | None:
        """Return the snapshot of a document; None if there is none, or another program wrote it."""
        try:
            read: dict[str, Any] = json.loads(document)
            lists = {str(name): (int(number), int(checksum)) for name, (number, checksum) in read["lists"].items()}
            settings = {
                str(key): list(map(str, value)) if isinstance(value, list) else str(value)
                for key, value in read["settings"].items()
            }
            return cls(str(read["bley"]), settings, lists)
        except (ValueError, TypeError, LookupError, AttributeError):
            return None


def take_snapshot(configuration: Configuration) -> Snapshot:
    """Return the present settings and list files. It takes at most a tenth of the time that reading them took."""
    settings = dict(configuration.settings)
    texts = _texts(settings)
    for section in configuration.sections:  # their recipients are a list, and no text: the store may be private
        texts |= {f"[recipients {section.name}] {key}": value for key, value in _texts(section.values).items()}
    secrets = {key: settings[key] for key in ("database", "dbpass", "dnsbls", "dnswls", "domain_lists")}
    origins = list(_all_origins(configuration))
    if len(origins) > _MOST_COMPARED:
        numbers = Counter(origin.partition(":")[0] for origin in origins)
        return Snapshot(__version__, texts, {file: (number, 0) for file, number in numbers.items()}, secrets)
    entries: defaultdict[str, set[str]] = defaultdict(set)
    for origin in origins:
        file, _, line = origin.partition(":")
        entries[file].add(line.partition(":")[2])
    lists = {file: (len(found), _checksum(found)) for file, found in entries.items()}
    return Snapshot(__version__, texts, lists, secrets, entries)


def _texts(values: Mapping[str, object]) -> dict[str, _Value]:
    shown: Mapping[str, str] = show_values(values)
    return {
        key: [hide_keys(str(each)) for each in value] if isinstance(value, tuple) else hide_keys(shown[key])
        for key, value in values.items()
    }


def _all_origins(configuration: Configuration) -> Iterator[Origin]:
    lists: list[ClientExemptions | MailExemptions] = [configuration.clients, configuration.recipients]
    lists += [configuration.senders, *(section.recipients for section in configuration.sections)]
    for each in lists:
        yield from _origins(each)


def _checksum(entries: Set[str]) -> int:
    """Return a checksum that does not depend on the order of the entries."""
    return sum(zlib.crc32(entry.encode()) for entry in entries) % 2**32


def _origins(exemptions: ClientExemptions | MailExemptions) -> Iterator[Origin]:
    yield from exemptions.names.values()
    yield from (origin for _, origin in exemptions.expressions)
    if isinstance(exemptions, ClientExemptions):
        yield from (origin for networks in exemptions.networks.values() for origin in networks.values())
        yield from exemptions.followed.values()
        yield from [exemptions.nameless] if exemptions.nameless else []
        return
    yield from exemptions.addresses.values()
    if isinstance(exemptions, SenderExemptions):
        yield from _origins(exemptions.if_spf_passes)


def describe_changes(before: Snapshot, after: Snapshot) -> str:
    """Return the changes in words, in one line; empty if there are none. A setting that only one bley has is none."""
    changes = [*_setting_changes(before, after), *_list_changes(before, after)]
    if before.version != after.version:
        changes.insert(0, f"bley {after.version} instead of {before.version}")
    ends = accumulate(len(change) + len("; ") for change in changes)
    shown = sum(end <= _LONGEST for end in ends)
    further = [f"and {quantity(len(changes) - shown, 'further change')}"] if len(changes) > shown else []
    return "; ".join([*changes[:shown], *further])


def _setting_changes(before: Snapshot, after: Snapshot) -> Iterator[str]:
    for key, value in after.settings.items():
        old = before.settings.get(key)
        if old is None:
            if key.startswith("["):
                yield f"{key}: {_shown(value)}, and not set before"
        elif old != value:
            yield f"{key}: {_difference(old, value)}"
        elif key in before.secrets and before.secrets[key] != after.secrets.get(key):
            yield f"{key}: changed in a part that is not shown"
    gone = (key for key in before.settings if key.startswith("[") and key not in after.settings)
    yield from (f"{key}: not set any more" for key in gone)


def _difference(old: _Value, new: _Value) -> str:
    if isinstance(old, str) or isinstance(new, str):
        return f"from {_shown(old)} to {_shown(new)}"
    parts = [
        f"{verb} {_listed(words)}"
        for verb, words in (
            ("added", [each for each in new if each not in old]),
            ("removed", [each for each in old if each not in new]),
        )
        if words
    ]
    return ", ".join(parts) or "in another order"


def _listed(words: list[str]) -> str:
    further = [f"{len(words) - _MOST_WORDS} more"] if len(words) > _MOST_WORDS else []
    return ", ".join([*map(_cut, words[:_MOST_WORDS]), *further])


def _shown(value: _Value) -> str:
    return _cut(value if isinstance(value, str) else ", ".join(value)) or "empty"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


def _list_changes(before: Snapshot, after: Snapshot) -> Iterator[str]:
    files = dict.fromkeys([*before.lists, *after.lists])
    names = Counter(Path(file).name for file in files)
    for file in files:
        name = Path(file).name if names[Path(file).name] == 1 else file
        old, new = before.lists.get(file, (0, 0)), after.lists.get(file, (0, 0))
        if old == new:
            continue
        if before.entries is None or after.entries is None:
            words = f"instead of {old[0]}" if old[0] != new[0] else "as before, but not the same"
            yield f"{name}: {quantity(new[0], 'entry', 'entries')} {words}"
        else:
            yield f"{name}: {_entry_changes(before.entries.get(file, set()), after.entries.get(file, set()))}"


def _entry_changes(old: Set[str], new: Set[str]) -> str:
    numbers = {"added": len(new - old), "removed": len(old - new)}
    return ", ".join(f"{quantity(number, 'entry', 'entries')} {verb}" for verb, number in numbers.items() if number)
