"""Keys and values as other programs write them: tests/configs/foreign-*.conf have whole faults."""

import pytest

from bley.settings.foreign import find_mark, suggest_key
from bley.settings.settings import Settings


@pytest.mark.parametrize(
    ("key", "advice"),
    [
        ("delay", ": write greylist_period, in minutes or with a unit"),
        ("--max-age", ": write purge_days, in days or with a unit"),
        ("greylist-text", ": write reject_msg"),
        ("Whitelist_Clients", ": write whitelist_clients_file"),
        ("user", ": bley keeps the user that starts it, the User= of its systemd unit"),
        ("listen-port", ", did you mean 'listen_port'?"),
        ("reject_rhsbl_sender", ": write domain_lists"),
        ("rhsbl", ": write domain_lists"),
        ("rfc_treshold", ", did you mean 'rfc_threshold'?"),
        ("colour", ": see docs/settings.md for all keys"),
    ],
)
def test_key_has_the_setting_of_the_same_meaning(key: str, advice: str) -> None:
    assert suggest_key(key, Settings.model_fields) == advice


def test_setting_that_is_missing_is_not_suggested() -> None:
    assert suggest_key("delay", ["listen_addr"]) == ": see docs/settings.md for all keys"


@pytest.mark.parametrize("key", list(Settings.model_fields))
def test_own_keys_are_nothing_else(key: str) -> None:
    """No setting has the name that another program has for something else."""
    assert suggest_key(key, Settings.model_fields) == f", did you mean {key!r}?"


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ('"a b"', "quotes are part of a value: remove them"),
        ("'a'", "quotes are part of a value: remove them"),
        ("\u201c5m\u201d", "quotes are part of a value: remove them"),
        ("\u201e5m\u201c", "quotes are part of a value: remove them"),
        ("5min;", "; is part of a value: remove it"),
        ("a, \\", "\\ is part of a value: remove it"),
        ("5 # minutes", "a comment needs a line of its own"),
        ("5\t;minutes", "a comment needs a line of its own"),
        ("5#minutes", ""),
        ('"a\' \'b" "c"', ""),
        ('"', ""),
    ],
)
def test_marks(text: str, mark: str) -> None:
    assert find_mark(text) == mark
