"""The documentation of the settings matches the code: names, defaults, units, types, limits, effect of a reload."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import get_args

import pytest
from pydantic import ValidationError

from bley.daemon import reload
from bley.settings.file import load
from bley.settings.settings import Settings, show
from tests.test_docs import CONF_MANUAL, PROJECT, rows

SETTINGS = PROJECT.joinpath("docs/settings.md").read_text()


def test_every_setting_is_documented_and_every_documented_one_exists() -> None:
    documented = rows(SETTINGS, 3)
    keys = [key for key in documented if re.fullmatch("[a-z_0-9]+", key)]
    assert sorted(keys) == sorted(Settings.model_fields)


def test_the_documented_defaults_are_the_defaults() -> None:
    """Used as a settings file, they equal no settings at all."""
    defaults = dict(re.findall(r"^(\w+) = ?(.*)$", show(Settings()), re.MULTILINE))
    for key, (_, default, _) in rows(SETTINGS, 3).items():
        if key not in Settings.model_fields or not default.startswith("`"):
            continue
        text = default.strip("`")
        documented = dict(re.findall(r"^(\w+) = ?(.*)$", show(Settings.model_validate({key: text})), re.MULTILINE))
        assert documented[key] == defaults[key], key


_MEANINGS = {key: row[2] for key, row in rows(SETTINGS, 3).items() if key in Settings.model_fields}
_UNITS = {"seconds": "s", "minutes": "m", "days": "d"}


def _parsed(key: str, text: str) -> object:
    """Return the value of a setting, with a certificate for its key."""
    needed = {"web_tls_cert": "x"} if key == "web_tls_key" else {}
    return getattr(Settings.model_validate({**needed, key: text}), key)


def test_the_documented_units_are_those_of_bare_numbers() -> None:
    """A duration, and only that, has its unit in bold."""
    for key, meaning in _MEANINGS.items():
        unit = re.match(r"\*\*(\w+)\*\*", meaning)
        assert (unit is not None) == isinstance(getattr(Settings(), key), timedelta), key
        if unit:
            assert _parsed(key, "20") == _parsed(key, f"20{_UNITS[unit[1]]}"), key


def test_the_documented_types_are_those_of_the_settings() -> None:
    """A switch is documented as one, and so is a list, but for scores."""
    for key, meaning in _MEANINGS.items():
        value = getattr(Settings(), key)
        assert meaning.startswith("switch") == isinstance(value, bool), key
        assert meaning.startswith("list ") == isinstance(value, tuple), key


def test_all_words_that_a_setting_takes_are_documented() -> None:
    choices = {key: get_args(field.annotation) for key, field in Settings.model_fields.items()}
    choices = {key: words for key, words in choices.items() if words and all(isinstance(word, str) for word in words)}
    assert len(choices) >= 7
    for key, words in choices.items():
        _, default, meaning = rows(SETTINGS, 3)[key]
        assert {word for word in words if f"`{word}`" not in default + meaning} == set(), key


_OF_LENGTH: dict[str, Callable[[int], str]] = {
    "listen_addr": lambda length: "unix:" + "/".ljust(length, "x"),
    "node_name": lambda length: "x" * length,
    "reject_msg": lambda length: "x" * length,
}
"""The settings whose documented limit is a length."""


def test_the_documented_limits_of_settings_are_in_force() -> None:
    """The greatest value is taken, and one more is not."""
    limited = {key: int(found[1]) for key, text in _MEANINGS.items() if (found := re.search(r"at most (\d+)", text))}
    assert set(limited) == {"listen_addr", "workers", "node_name", "reject_msg", "check_timeout"}
    assert "like the other thresholds 1 to 999" in _MEANINGS["dnsbl_threshold"]
    for key, most in (limited | dict.fromkeys(("dnsbl_threshold", "dnswl_threshold", "rfc_threshold"), 999)).items():
        written = _OF_LENGTH.get(key, str)
        assert _parsed(key, written(most)), key
        with pytest.raises(ValidationError):
            _parsed(key, written(most + 1))


def test_the_settings_that_a_reload_does_not_take_are_documented() -> None:
    (sentence,) = re.findall(
        r"^A reload takes all settings but these, which need a restart: (.*)\.$", SETTINGS, re.MULTILINE
    )
    assert re.findall(r"`(\w+)`", sentence) == list(reload._NEEDS_RESTART)


def test_the_defaults_in_the_document_about_upgrades_are_those_of_bley_3() -> None:
    document = PROJECT.joinpath("docs/upgrading-from-bley-2.md").read_text()
    settings = {key: row for key, row in rows(document, 4).items() if key in Settings.model_fields}
    assert len(settings) > 25
    for key, (_, old, new, _) in settings.items():
        default = old if new == "the same" else new
        text = "" if default == "none" else default.strip("`")
        assert _parsed(key, text) == getattr(Settings(), key), key


def test_every_setting_is_in_the_manual_page() -> None:
    for key in Settings.model_fields:
        assert f".B {key}\n" in CONF_MANUAL, key


def test_the_example_settings_load_and_what_is_commented_in_them_is_the_default(tmp_path: Path) -> None:
    load(PROJECT / "contrib/bley.conf")
    text = PROJECT.joinpath("contrib/bley.conf").read_text()
    file = tmp_path / "bley.conf"
    file.write_text(re.sub(r"^#(\w+ = .*)$", r"\1", text, flags=re.MULTILINE).replace("dbpath = /var/lib/bley", ""))
    for name in ("whitelist_clients", "whitelist_recipients", "whitelist_senders"):
        tmp_path.joinpath(name).touch()
    assert load(file).settings == Settings()


def test_the_sections_of_the_documents_load(tmp_path: Path) -> None:
    """Those of docs/settings.md, and those in comments of the example."""
    (documented,) = re.findall(r"^```ini\n(.*?)^```$", SETTINGS, re.MULTILINE | re.DOTALL)
    (_, example) = PROJECT.joinpath("contrib/bley.conf").read_text().split("# Rules of some recipients")
    sections = re.sub("^# ", "", example, flags=re.MULTILINE).partition("\n")[2]
    tmp_path.joinpath("more_recipients").touch()
    for name, text in (("documented", documented), ("example", f"[bley]\n{sections}")):
        file = tmp_path / name
        file.write_text(text)
        assert load(file).settings_of("volunteers").mode == "enforce"
