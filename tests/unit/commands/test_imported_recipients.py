"""sqlgrey's recipients, as files and sections that bley reads."""

from pathlib import Path

import click
import pytest

from bley.commands.imported_recipients import write_recipients
from bley.settings.file import load

TABLES = {
    "optout_domain": ["@example.com"],
    "optin_email": ["jane@example.org", "jane@example.org", "no address", "#joe@example.org"],
    "optin_domain": [],
    "optout_email": ["joe@example.com"],
}


def _write(folder: Path, tables: dict[str, list[str]] = TABLES, *, dry_run: bool = False) -> list[str]:
    return list(write_recipients(folder, tables, dry_run=dry_run))


def test_the_sections_are_valid_and_in_order(tmp_path: Path) -> None:
    """Addresses come before domains; an empty table has no section."""
    lines = _write(tmp_path)
    assert lines[0] == f"{tmp_path}/optin_email: 1 recipient written"
    assert lines[1:3] == [
        "    skipped 'no address', which is no mail address or domain",
        "    skipped '#joe@example.org', which is no mail address or domain",
    ]
    sections = lines[lines.index("Sections for bley.conf:") + 1 :]
    file = tmp_path / "bley.conf"
    file.write_text("[bley]\nmode = off\n" + "\n".join(sections))
    configuration = load(file)
    names = [(section.name, configuration.settings_of(section.name).mode) for section in configuration.sections]
    assert names == [("optin-email", "enforce"), ("optout-email", "off"), ("optout-domain", "off")]
    found = [bool(section.recipients.find("jane@example.org")) for section in configuration.sections]
    assert found == [True, False, False]


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    assert f"{tmp_path}/optin_email: 1 recipient would be written" in _write(tmp_path, dry_run=True)
    assert not list(tmp_path.iterdir())


def test_a_repetition_changes_nothing_and_an_edited_file_stays(tmp_path: Path) -> None:
    assert _write(tmp_path) == _write(tmp_path)
    tmp_path.joinpath("optin_email").write_text("ann@example.org\n")
    with pytest.raises(click.ClickException, match="optin_email has other recipients: move it away"):
        _write(tmp_path)
    assert tmp_path.joinpath("optin_email").read_text() == "ann@example.org\n"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match=f"{tmp_path}/none/optin_email: No such file or directory"):
        _write(tmp_path / "none")


def test_there_may_be_none(tmp_path: Path) -> None:
    assert _write(tmp_path, {}) == ["sqlgrey has no recipients with rules of their own"]
