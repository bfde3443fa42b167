"""The settings whose effect a replay cannot show, since what they need was not queried then."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from bley import __version__
from bley.commands.replay.facts import list_key
from bley.commands.replay.tally import Tally
from bley.core.findings import Check
from bley.core.history.audit import AuditEntry
from bley.core.history.search import StoredDecision
from bley.core.quantity import quantity
from bley.settings.file import Configuration
from bley.settings.settings import show_values
from bley.settings.snapshot import Snapshot, take_snapshot

__all__ = ["describe_limits", "queried_lists"]

_UNCHANGED = "no setting changed"

_PRIVATE = "local parts are stored as hashes (privacy): here an entry with a local part matches nothing"

_STAY = {
    "use_spf_guess": "the results of SPF stay those of then",
    "cache_valid": "a client whose judgement was cached then has that judgement here too",
    "check_timeout": "facts that were late then are unknown here too",
}
"""Settings that a replay leaves as they were, and what that means."""

_KEYS = ("greylist_by", "ipv4_prefix", "ipv6_prefix", "recipient_delimiter")
"""The settings of the triplet."""

_LISTS = ("dnsbls", "dnswls", "domain_lists")


def queried_lists(snapshot: Snapshot | None, decisions: Iterable[StoredDecision]) -> frozenset[str]:
    """Return the keys of the DNS lists that were queried: by the settings in force, or by these decisions."""
    then = snapshot.settings if snapshot else {}
    names = {
        list_key(re.split(r"[=*,]", text, maxsplit=1)[0], of_domains=key == "domain_lists")
        for key in _LISTS
        for text in then.get(key, [])
    }
    for decision in decisions:
        for check, finding in decision.details.get("findings", {}).items():
            of_domains = check == Check.DOMAIN_LIST
            names |= {list_key(each["list"], of_domains=of_domains) for each in finding.get("lists", ())}
    return frozenset(names)


def describe_limits(
    configuration: Configuration,
    snapshot: Snapshot | None,
    queried: frozenset[str],
    changes: Sequence[AuditEntry],
    tally: Tally,
    *,
    is_private: bool,
) -> list[str]:
    """Return what the replay does not show, one sentence each.

    `changes`: the starts and reloads of its time. `is_private`: the store has hashes of local parts.
    """
    return [
        *_of_facts(configuration, snapshot, queried),
        *([_PRIVATE] if is_private else []),
        *_of_settings(configuration, snapshot, tally),
        *(_of_lists(configuration, snapshot) if snapshot else ()),
        *_of_the_past(snapshot, changes),
    ]


def _of_facts(configuration: Configuration, snapshot: Snapshot | None, queried: frozenset[str]) -> Iterator[str]:
    settings, then = configuration.settings, snapshot.settings if snapshot else {}
    lists = (each for of_setting in settings.dns_lists.values() for each in of_setting)
    for key in dict.fromkeys(list_key(each.name, of_domains=each.is_of_domains) for each in lists):
        if key not in queried:
            yield f"{key} was not queried then: here it lists nothing"
    if settings.use_spf and then.get("use_spf") == "0":
        yield "SPF was not checked then (use_spf = 0): its results are missing"
    if settings.check_names and then.get("check_names") == "0":
        yield "the names of clients were not queried then (check_names = 0): here the mail server's result counts"
    if configuration.clients.followed:
        yield "the addresses of entries dyn:… are not known: here these entries exempt no client"


def _of_settings(configuration: Configuration, snapshot: Snapshot | None, tally: Tally) -> Iterator[str]:
    shown = show_values(dict(configuration.settings))
    then = snapshot.settings if snapshot else {}
    for key, meaning in _STAY.items():
        if key in then and then[key] != shown[key]:
            yield f"{key}: {meaning}"
    if changed := [key for key in _KEYS if key in then and then[key] != shown[key]]:
        retries = quantity(tally.restarted, "mail")
        yield f"{', '.join(changed)}: the triplets stay those of then; {retries} would wait again, as a new triplet"
    if configuration.settings.mode == "observe":
        yield "mode = observe: all this mail would pass, and the deferrals would only be logged"


def _of_lists(configuration: Configuration, snapshot: Snapshot) -> Iterator[str]:
    """Yield each list file of then that these settings do not read: a copy in another folder has none next to it."""
    read = {Path(file).name for file in take_snapshot(configuration).lists}
    for file, (number, _) in snapshot.lists.items():
        if Path(file).name not in read and not file.startswith("["):
            entries = quantity(number, "entry", "entries")
            yield f"{file} had {entries} then, and is not read now: list files are searched in the folder of --config"


def _of_the_past(snapshot: Snapshot | None, changes: Sequence[AuditEntry]) -> Iterator[str]:
    if number := sum(entry.what != _UNCHANGED and entry.kind == "reload" for entry in changes):
        times = "once" if number == 1 else f"{number} times"
        yield f"the settings were changed {times} in this time, which changes results too: bley list --audit"
    if snapshot and snapshot.version != __version__:
        yield f"bley {snapshot.version} made the last of these decisions, this is {__version__}: its rules may differ"
    if snapshot is None:
        yield "the store does not have the settings of then, so not every setting of this list is examined"
