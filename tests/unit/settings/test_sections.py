"""The sections [recipients NAME] of bley.conf; wrong ones are in tests/configs."""

from datetime import timedelta
from pathlib import Path

import pytest

from bley.core.errors import SettingsError
from bley.settings.file import Configuration, load
from bley.settings.sections import show_sections
from bley.settings.settings import show


def _load(folder: Path, text: str, **files: str) -> Configuration:
    for name, content in files.items():
        folder.joinpath(name).write_text(content, encoding="utf-8")
    file = folder / "bley.conf"
    file.write_text(text, encoding="utf-8")
    return load(file)


def _in_force(configuration: Configuration, recipient: str) -> str:
    """Return the name of the first section that has the recipient."""
    return next((each.name for each in configuration.sections if each.recipients.find(recipient)), "")


def test_the_values_of_a_section_replace_those_of_bley(tmp_path: Path) -> None:
    configuration = _load(
        tmp_path,
        "[recipients opt-in]\nmatch = example.org\nmode = enforce\ngreylist_period = 15m\ngreylist_max = 2h\n"
        "rfc_threshold = 3\ndnsbl_threshold = 4\nscores = helo-mismatch=3\nclassic = 1\n"
        "[bley]\nmode = off\nrfc_threshold = 5\nreject_msg = later\n",
    )
    settings = configuration.settings_of("opt-in")
    assert (settings.mode, settings.classic, settings.reject_msg) == ("enforce", True, "later")
    assert (settings.timing.period, settings.timing.longest) == (timedelta(minutes=15), timedelta(hours=2))
    assert (settings.thresholds.rfc_threshold, settings.thresholds.dnsbl_threshold) == (3, 4)
    assert str(settings.scores) == "default, helo-mismatch=3"
    assert (configuration.settings.mode, configuration.settings.rfc_threshold) == ("off", 5)
    assert configuration.settings_of("") is configuration.settings_of("none") is configuration.settings


@pytest.mark.parametrize(
    ("recipient", "section"),
    [
        ("jane@example.org", "first"),
        ("Jane@Example.ORG", "first"),
        ("joe@mx.example.org", "second"),
        ("info@example.net", "second"),
        ("info@example.edu", "second"),
        ("list-7@example.com", "second"),
        ("list-77@example.com", ""),
        ("more@example.edu", "second"),
        ("x@other.example", ""),
    ],
)
def test_the_first_section_that_has_the_recipient_is_in_force(tmp_path: Path, recipient: str, section: str) -> None:
    """Entries are those of list files: names with subdomains, addresses, local parts, regular expressions, files."""
    configuration = _load(
        tmp_path,
        "[bley]\n[recipients first]\nmatch = jane@example.org\n"
        "[recipients second]\nmatch = example.org, info@,\n  # more\n  /^list-\\d{1,1}@/\n  file:more file:none\n",
        more="more@example.edu  # a comment\n",
        none="",
    )
    assert _in_force(configuration, recipient) == section


def test_a_file_is_beside_the_settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    configuration = _load(tmp_path, "[bley]\n[recipients a]\nmatch = file:more\n", more="x@example.org")
    assert _in_force(configuration, "x@example.org") == "a"


def test_what_is_shown_is_equivalent(tmp_path: Path) -> None:
    """Passwords cannot occur in a section."""
    text = (
        "[bley]\nmode = off\n[recipients a.b@c_d-e]\nmatch=x@example.org\n  /a, b/\nmode=observe\ngreylist_period=90s\n"
    )
    configuration = _load(tmp_path, text)
    shown = show_sections(configuration.sections)
    assert shown == "\n[recipients a.b@c_d-e]\nmatch = x@example.org, /a, b/\nmode = observe\ngreylist_period = 90s\n"
    again = _load(tmp_path, show(configuration.settings) + shown)
    assert show_sections(again.sections) == shown
    assert again.settings_of("a.b@c_d-e") == configuration.settings_of("a.b@c_d-e")


def test_there_may_be_a_hundred_sections(tmp_path: Path) -> None:
    sections = [f"[recipients n{number}]\nmatch = n{number}.example\n" for number in range(101)]
    assert len(_load(tmp_path, "[bley]\n" + "".join(sections[:100])).sections) == 100
    with pytest.raises(SettingsError, match=r"202: \[recipients n100\]: there may be 100 sections for recipients$"):
        _load(tmp_path, "[bley]\n" + "".join(sections))


def test_of_many_faults_of_a_section_ten_are_shown(tmp_path: Path) -> None:
    keys = "".join(f"k{number} = 1\n" for number in range(20))
    with pytest.raises(SettingsError) as caught:
        _load(tmp_path, f"[bley]\n[recipients a]\nmatch = example.org\n{keys}mode = on\n")
    *shown, more, mode = str(caught.value).splitlines()
    assert [line.partition(": ")[0] for line in shown] == [f"{tmp_path}/bley.conf:{line}" for line in range(4, 13)]
    assert more == f"{tmp_path}/bley.conf:12: and 11 more of this kind"
    assert mode.startswith(f"{tmp_path}/bley.conf:24: mode = on: ")


def test_expressions_that_took_too_long_are_named_with_their_section(tmp_path: Path) -> None:
    configuration = _load(tmp_path, "[bley]\n[recipients a]\nmatch = /((a+)b?)*$/\n")
    configuration.sections[0].recipients.find("a" * 511 + "!")
    assert configuration.disabled_entries == ["[recipients a] match:1:/((a+)b?)*$/"]


class TestWarnings:
    @pytest.mark.parametrize(
        ("sections", "warnings"),
        [
            ("[recipients a]\nmatch = example.org\nrfc_threshold = 3\n", []),
            (
                "[recipients a]\nmatch = example.org\ndnsbl_threshold = 7\n",
                [
                    "4: dnsbl_threshold = 7 is never reached: the weights of the living lists of dnsbls add up to 2",
                ],
            ),
            (
                "[recipients a]\nmatch = example.org\n[recipients b]\nmatch = x@example.net,\n jane@example.org, b@\n",
                ["5: match: jane@example.org is in [recipients a] too, which comes first"],
            ),
            (
                "[recipients a]\nmatch = example.org, b@\n[recipients b]\nmatch = b@,example.net,sub.example.org\n",
                ["5: match: @sub.example.org is in [recipients a] too, which comes first"],
            ),
            (
                "mode = off\n[recipients a]\nmatch = a@b.org\nclassic = 1\n[recipients b]\nmatch = b.org\nmode = off\n",
                ["4: match: mode = off of [bley] is in force here too: write mode = enforce"],
            ),
            ("[recipients b]\nmatch = jane@example.org, b@\n[recipients a]\nmatch = example.org, b@\n", []),
        ],
    )
    def test_what_has_no_effect_is_named(self, tmp_path: Path, sections: str, warnings: list[str]) -> None:
        """A threshold that nothing reaches, and a recipient of an earlier section."""
        configuration = _load(tmp_path, "[bley]\n" + sections)
        assert list(configuration.warnings) == [f"{tmp_path}/bley.conf:{warning}" for warning in warnings]

    def test_a_warning_of_all_recipients_is_not_repeated(self, tmp_path: Path) -> None:
        text = "[bley]\ndnsbl_threshold = 7\n[recipients a]\nmatch = example.org\nrfc_threshold = 3\n"
        assert len(_load(tmp_path, text).warnings) == 1


def test_the_durations_of_a_triplet_are_those_of_its_section(tmp_path: Path) -> None:
    first, second = "match = example.org\ngreylist_period = 15m\n", "match = b@\ngreylist_max = 2d\n"
    timings = _load(tmp_path, f"[bley]\n[recipients a]\n{first}[recipients b]\n{second}").timings
    assert timings.of("jane@example.org").period == timedelta(minutes=15)
    assert timings.of("jane@example.net").period == timedelta(minutes=5)
    assert timings.of("b@example.net").longest == timings.longest == timedelta(days=2)
