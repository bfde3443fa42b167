"""What changed between two starts or reloads, without secrets."""

import re
from pathlib import Path

import pytest

from bley.core.history.audit import LONGEST_SETTINGS, LONGEST_WHAT
from bley.settings.file import load
from bley.settings.snapshot import Snapshot, describe_changes, take_snapshot

_KEY, _OTHER_KEY = "a" * 26, "b" * 26


class Files:
    """The settings file and list files of a bley."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def snapshot(self, text: str = "", **lists: str) -> Snapshot:
        """Return the snapshot of these files."""
        for name in ("whitelist_clients", "whitelist_senders", "whitelist_recipients"):
            (self._folder / name).write_text(lists.get(name, ""))
        file = self._folder / "bley.conf"
        file.write_text(f"[bley]\n{text}")
        return take_snapshot(load(file))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def _restarted(before: Snapshot, after: Snapshot) -> str:
    """Return the changes as the next start sees them, which has only the document of the one before."""
    read = Snapshot.parse(before.document)
    assert read
    return describe_changes(read, after)


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ("", "", ""),
        ("greylist_period = 5m", "", ""),  # the default
        ("", "greylist_period = 10m", "greylist_period: from 5m to 10m"),
        ("mode = observe", "", "mode: from observe to enforce"),
        ("greylist_header =", "greylist_header = X: y", "greylist_header: from empty to X: y"),
        (
            "dnsbls = a.example, b.example",
            "dnsbls = b.example, c.example*2, d.example",
            "dnsbls: added c.example*2, d.example, removed a.example",
        ),
        ("dnsbls = a.example, b.example", "dnsbls = b.example, a.example", "dnsbls: in another order"),
        ("resolver = 192.0.2.1", "", "resolver: removed 192.0.2.1"),
        (
            "[recipients x]\nmatch = a@example.org\nmode = off",
            "[recipients x]\nmatch = a@example.org\nmode = observe",
            "[recipients x] mode: from off to observe",
        ),
        (
            "",
            "[recipients x]\nmatch = a@example.org\nmode = off",
            "[recipients x] mode: off, and not set before; [recipients x] match: 1 entry added",
        ),
        (
            "[recipients x]\nmatch = a@example.org\nmode = off",
            "",
            "[recipients x] mode: not set any more; [recipients x] match: 1 entry removed",
        ),
    ],
)
def test_each_changed_setting_is_named_with_both_values(files: Files, before: str, after: str, changes: str) -> None:
    old, new = files.snapshot(before), files.snapshot(after)
    assert describe_changes(old, new) == changes
    restarted = changes.replace("1 entry added", "1 entry instead of 0").replace(
        "1 entry removed", "0 entries instead of 1"
    )
    assert _restarted(old, new) == restarted


def test_entries_of_list_files_are_counted_and_not_named(files: Files) -> None:
    """A comment, a blank line and the order are no change."""
    old = files.snapshot(whitelist_clients="example.com\nexample.net\n192.0.2.0/24\n/^mail/\n")
    same = files.snapshot(whitelist_clients="# mine\n192.0.2.0/24  # ours\n\nexample.net\nexample.com\n/^mail/\n")
    new = files.snapshot(
        whitelist_clients="example.com\nexample.org\n198.51.100.7\n/^mx/\n",
        whitelist_senders="spf:example.com\na@b.example",
    )
    assert describe_changes(old, same) == _restarted(old, same) == ""
    assert describe_changes(old, new) == (
        "whitelist_clients: 3 entries added, 3 entries removed; whitelist_senders: 2 entries added"
    )
    assert _restarted(old, new) == (
        "whitelist_clients: 4 entries as before, but not the same; whitelist_senders: 2 entries instead of 0"
    )


def test_a_reload_sees_that_a_secret_changed_and_nobody_sees_the_secret(files: Files) -> None:
    def snapshot(password: str, key: str) -> Snapshot:
        return files.snapshot(
            f"database = postgresql://bley:{password}@db.example/bley\ndnsbls = {key}.zen.dq.spamhaus.net"
        )

    old, new = snapshot("secret1", _KEY), snapshot("secret2", _OTHER_KEY)
    hidden = "changed in a part that is not shown"
    assert describe_changes(old, new) == f"database: {hidden}; dnsbls: {hidden}"
    assert _restarted(old, new) == ""
    assert describe_changes(old, old) == ""
    moved = files.snapshot("database = mysql://bley:secret3@db.example/bley\ndbpass = secret4")
    for text in (old.document, repr(old), describe_changes(old, moved), moved.document):
        assert not any(secret in text for secret in ("secret", _KEY)), text


def test_the_store_has_no_entry_of_a_list(files: Files) -> None:
    """With privacy = keyed-hash it contains no address of a user."""
    text = "[recipients x]\nmatch = jane@example.org\nmode = off"
    document = files.snapshot(text, whitelist_recipients="joe@example.org", whitelist_clients="mx.example.com").document
    assert not any(word in document for word in ("jane", "joe", "mx.example"))


def test_many_and_long_changes_are_bounded(files: Files) -> None:
    networks = ", ".join(f"10.{number}.0.0/16" for number in range(200))
    old, new = files.snapshot(), files.snapshot(f"trusted_networks = {networks}\nreject_msg = {'x y ' * 99}")
    text = describe_changes(old, new)
    assert "trusted_networks: added 10.0.0.0/16, 10.1.0.0/16, 10.2.0.0/16, 10.3.0.0/16, 10.4.0.0/16, 195 more" in text
    assert f"to {'x y ' * 25}...;" in f"{text};"
    sections = "".join(f"[recipients s{n}]\nmatch = a{n}@example.org\nmode = off\nclassic = 0\n" for n in range(100))
    many = files.snapshot(sections)
    assert re.search(r"; and \d\d+ further changes$", describe_changes(old, many))
    assert LONGEST_WHAT - 200 < len(describe_changes(old, many)) < LONGEST_WHAT
    assert len(many.document) < LONGEST_SETTINGS


def test_long_list_files_are_only_counted(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bley.settings.snapshot._MOST_COMPARED", 3)
    old = files.snapshot(whitelist_clients="a.example\nb.example")
    new = files.snapshot(whitelist_clients="c.example\nb.example\nd.example")
    assert describe_changes(old, new) == "whitelist_clients: 3 entries instead of 2"


def test_another_version_is_a_change_and_its_new_settings_are_none(files: Files) -> None:
    old = files.snapshot()
    older = Snapshot("3.0", {key: text for key, text in old.settings.items() if key != "node_name"}, old.lists)
    assert _restarted(older, old) == f"bley {old.version} instead of 3.0"


@pytest.mark.parametrize("text", ["", "x", "[]", "{}", '{"bley": "3", "settings": [], "lists": {}}', "null"])
def test_what_another_program_wrote_is_no_snapshot(text: str) -> None:
    assert Snapshot.parse(text) is None
